//! Somebody wants to see the records: on the card of a stopped gate, exported and checked, and at the backend.

use std::fs;

use crate::daemon::disk::Disk;
use crate::daemon::{Home, subject};

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_of_a_stopped_gate_is_exported_and_checked() {
    let mut home = Home::new(3, "").await;
    let gate = home.gate(&Disk::Good).await;
    home.passes(0).await;
    home.have_passed(1).await;
    let verify = ["journal", "verify", "--config", "gate.toml"];
    let (code, _, complaint) = home.command(&verify);
    assert_eq!(code, Some(69), "{complaint}");
    assert!(
        complaint.contains("the gate is running on it"),
        "{complaint}"
    );

    home.lose_backend().await;
    home.passes(1).await;
    assert!(gate.stop().await.success());
    let (code, said, complaint) = home.command(&verify);
    assert_eq!(code, Some(0), "{complaint}");
    let line = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name} is not in {said}"))
            .to_owned()
    };
    assert!(line("hash chain").contains("unbroken"));
    assert!(line("backend has").contains("1 to "), "{said}");
    assert!(!line("wait for the backend").contains("none"), "{said}");

    let data = home.path("gate").display().to_string();
    let export = |more: &[&str]| {
        let args = [&["journal", "export", "--data", &data], more].concat();
        let (code, out, complaint) = home.command(&args);
        assert_eq!(code, Some(0), "{complaint}");
        out
    };
    let whole = export(&[]);
    let seqs = |text: &str| -> Vec<u64> {
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .map(|line: serde_json::Value| line["seq"].as_u64().unwrap())
            .collect()
    };
    let all = seqs(&whole);
    assert!(
        all.len() >= 5 && all.iter().copied().eq(1..=all.len() as u64),
        "acknowledged ones are kept for a day"
    );
    assert_eq!(seqs(&export(&["--after", "1", "--through", "3"])), [2, 3]);
    // An export that was torn off goes on where it was whole.
    let file = home.path("export.ndjson");
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    export(&["--out", "export.ndjson"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), whole);
    export(&["--out", "export.ndjson"]);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        whole,
        "and twice adds nothing"
    );

    fs::write(&file, "somebody else's\n").unwrap();
    let (code, _, complaint) = home.command(&[
        "journal",
        "export",
        "--data",
        &data,
        "--out",
        "export.ndjson",
    ]);
    assert_eq!(code, Some(66), "{complaint}");
    assert!(complaint.contains("none of an export"), "{complaint}");
    let (code, _, complaint) = home.command(&["journal", "verify", "--data", "nowhere"]);
    assert_eq!(code, Some(66), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_gives_passages_by_gate_lane_person_and_time() {
    let home = Home::new(3, "").await;
    let gate = home.gate(&Disk::Good).await;
    home.passes(0).await;
    home.passes(1).await;
    let all = home.have_passed(2).await;
    let url = home.backend_url();
    let passages = |more: &[&str]| -> Vec<serde_json::Value> {
        let args = [&["backend", "passages", "--backend", &url], more].concat();
        let (code, out, complaint) = home.command(&args);
        assert_eq!(code, Some(0), "{complaint}");
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    assert!(passages(&[]).len() >= all.len());
    assert!(passages(&["--gate", "another"]).is_empty());
    assert!(passages(&["--lane", "another"]).is_empty());
    let at_lane = passages(&["--lane", "entry"]);
    assert!(at_lane.len() >= 4 && at_lane.iter().all(|one| one["record"]["lane"] == "entry"));
    let of_person = passages(&["--subject", &subject(1)]);
    assert_eq!(of_person.len(), 1);
    assert_eq!(of_person[0]["record"]["verdict"], "grant");
    let number = of_person[0]["number"].to_string();
    assert!(
        passages(&["--subject", &subject(1), "--after", &number]).is_empty(),
        "it goes on behind"
    );
    assert!(passages(&["--until", "2020-01-01T00:00:00Z"]).is_empty());
    assert!(passages(&["--from", "2020-01-01T00:00:00Z"]).len() >= all.len());
    let (code, _, complaint) =
        home.command(&["backend", "passages", "--backend", &url, "--subject", "me"]);
    assert_eq!(code, Some(64), "{complaint}");
    drop(gate);
}
