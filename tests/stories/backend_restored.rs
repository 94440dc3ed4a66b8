//! The backend comes back with an older database: a copy from before.

use turnstiled::backend::{Mode, Offline};
use turnstiled::domain::{Reason, Verdict};
use turnstiled::store::codes::Change;

use crate::liar::{Call, Lie};
use crate::link::{Link, copied, health};
use crate::told::story;

#[test]
fn its_older_list_is_refused_until_a_new_era_and_what_it_lost_is_a_hole_that_stops_nobody() {
    story(async |log| {
        let mut gate = Link::new(log, 331).await;
        gate.passes("green code", Reason::InOrder).await;
        gate.everything_arrives_once().await;
        let data = gate.stage.folder().join("backend");
        let copy = gate.stage.folder().join("copy");
        gate.stage.lose_backend().await;
        copied(&data, &copy);
        gate.stage.bring_back_backend().await.unwrap();
        // This is what the copy does not have: a newer list, and records that the gate has deleted.
        let newer = gate.publish(1).await;
        gate.until_version(Some((1, newer))).await;
        gate.refused("red code", Verdict::Deny, Reason::RedCode)
            .await;
        gate.passes("green code, leaving", Reason::InOrder).await;
        gate.everything_arrives_once().await;
        let deleted = gate.stage.gate.journal.status().acked_seq;
        gate.stage.lose_backend().await;
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(&copy, &data).unwrap();
        gate.stage.bring_back_backend().await.unwrap();

        gate.until_metric("turnstile_list_failures_total{list=\"health\"}", 1.0)
            .await;
        assert_eq!(
            gate.version(),
            Some((1, newer)),
            "the newer list stays in force"
        );
        gate.log.says_once(&[
            "a list is refused",
            "is older than what was accepted before",
        ]);
        gate.passes("green code, backend back", Reason::InOrder)
            .await;
        gate.until("the gate goes on delivering", |status| status.backlog == 0)
            .await;
        let holes = gate.stage.backend().unwrap().holes().unwrap();
        assert_eq!(holes.len(), 1, "{holes:?}");
        assert_eq!((holes[0].gate.as_str(), holes[0].to), ("demo", deleted));
        assert!(holes[0].from > 1 && holes[0].from < deleted, "{holes:?}");
        gate.log
            .says_once(&["records of a gate are missing for ever", "gate=demo"]);
        let listed = gate.liar.truth("/v1/holes").await;
        let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
        assert_eq!(listed[0]["to"], deleted);

        // The signed way back.
        gate.stage.lose_backend().await;
        let offline = Offline::open(&data).unwrap();
        let pepper = offline.pepper(&health()).unwrap().id();
        let row = [0; 20];
        let change = Change::Put(turnstiled::domain::RowKey([2; 16]), row);
        let imported = offline
            .import(&health(), Mode::Patch, true, pepper, vec![change])
            .unwrap();
        assert_eq!(imported.era, 2);
        drop(offline);
        gate.stage.bring_back_backend().await.unwrap();
        gate.until_version(Some((2, imported.version))).await;
        gate.passes("green code, first time", Reason::InOrder).await;
        gate.until("everything is delivered", |status| status.backlog == 0)
            .await;
        assert_eq!(
            gate.stage.backend().unwrap().holes().unwrap().len(),
            1,
            "no other hole"
        );
        gate.ends().await;
    });
}

#[test]
fn one_that_insists_on_what_it_lost_gets_the_rest_under_a_new_epoch() {
    story(async |log| {
        let mut gate = Link::new(log, 332).await;
        gate.passes("green code", Reason::InOrder).await;
        gate.everything_arrives_once().await;
        let deleted = gate.stage.gate.journal.status().acked_seq;
        let epoch = gate.stage.gate.journal.status().epoch;
        // It has nothing of this epoch any more and says so, instead of taking what comes.
        let insists = format!("{{\"gate\":\"demo\",\"epoch\":\"{epoch}\",\"acked_seq\":0}}");
        gate.liar
            .lies(&[Call::Passages], &Lie::Says(insists.into_bytes()));
        gate.passes("green code, leaving", Reason::InOrder).await;
        gate.until_metric("turnstile_backend_lost_records_total", 1.0)
            .await;
        let lost = gate
            .metric("turnstile_backend_lost_records_total")
            .await
            .unwrap();
        assert!(
            (lost - f64::from(u32::try_from(deleted).unwrap())).abs() < 0.5,
            "{lost} of {deleted}"
        );
        gate.log
            .says_once(&["the backend has lost records that it had acknowledged"]);
        gate.liar.tells_the_truth();
        gate.until("the gate goes on delivering", |status| status.backlog == 0)
            .await;
        assert_ne!(gate.stage.gate.journal.status().epoch, epoch);
        // It goes on from the old epoch: the reference backend has lost nothing.
        gate.everything_arrives_once().await;
        assert!(gate.stage.backend().unwrap().holes().unwrap().is_empty());
        gate.ends().await;
    });
}
