//! What the oracle knows of records: those that were promised are there, in order, once, at the gate and at the backend.

use std::collections::{BTreeMap, BTreeSet};

use super::cast::PERSONAL;
use super::oracle::{Oracle, Scene};
use crate::domain::{Action, Alarm, GrantId, Kind, LaneId, Mode, Outcome, Record};
use crate::store::journal::StoredRecord;

/// A record of the journal, read once.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) seq: u64,
    pub(super) text: String,
    /// The grant that it begins.
    begins: Option<GrantId>,
    /// The grant that it ends.
    ends: Option<(GrantId, Outcome)>,
}

impl Oracle {
    /// The controller starts again: what must be remembered is. `staff`: what staff want of each lane, as the gate says.
    pub(super) fn restarted(
        &mut self,
        actions: &[Action],
        scene: &Scene<'_>,
        staff: &[Option<Mode>],
    ) {
        self.boot = self.boot.saturating_add(1);
        self.alarms.clear();
        self.unrecorded.clear();
        // What had ended in memory only has not ended.
        self.ends = self.log.iter().filter_map(|logged| logged.ends).collect();
        let begun: BTreeSet<_> = self.log.iter().filter_map(|logged| logged.begins).collect();
        for (id, grant) in &mut self.grants {
            let unused = self.ends.get(id) == Some(&Outcome::NoEntryAfterGrant);
            grant.annulled = unused || !begun.contains(id);
            grant.durable = begun.contains(id);
        }
        let mut wishes = self.lanes.iter_mut().zip(staff);
        let known = wishes.all(|(lane, staff)| {
            lane.signs = [None; 2];
            lane.wishes.restarted(*staff)
        });
        self.must(known, "staff never wanted the mode that a lane starts with");
        let open = |lane: LaneId| {
            let opens =
                |action: &Action| matches!(action, Action::ReleaseBothWays(of) if *of == lane);
            actions.iter().any(opens)
        };
        let mut ids = (0..=u8::MAX).map(LaneId).zip(&self.lanes);
        let all_open = ids.all(|(id, _)| open(id));
        self.must(
            all_open || !self.fire_durable,
            "a fire is forgotten over a restart",
        );
        self.fire = actions
            .iter()
            .any(|action| matches!(action, Action::Alarm(_, Alarm::Fire, true)));
        self.see(actions, scene, &BTreeMap::new());
    }

    /// The writer says that the record of a grant is durable.
    pub(super) fn durable(&mut self, id: GrantId) {
        let recorded = self
            .log
            .iter()
            .rev()
            .any(|logged| logged.begins == Some(id));
        self.must(
            recorded,
            "a grant is called durable and is not in the journal",
        );
        self.unrecorded.remove(&id);
        if let Some(grant) = self.grants.get_mut(&id) {
            grant.durable = true;
        }
    }

    /// The number of the last record that the oracle knows.
    #[must_use]
    pub(super) fn last_seq(&self) -> u64 {
        self.log.last().map_or(0, |logged| logged.seq)
    }

    /// Records that were appended.
    pub(super) fn appended(&mut self, records: Vec<StoredRecord>) {
        for StoredRecord { seq, record, .. } in records {
            let last = self.last_seq();
            if seq != last.saturating_add(1) {
                self.violated(format!("record {seq} comes after record {last}"));
            }
            let personal = PERSONAL.iter().any(|of| record.contains(of));
            self.must(!personal, "a record names what was shown");
            let mut logged = Logged {
                seq,
                text: record,
                begins: None,
                ends: None,
            };
            match serde_json::from_str(&logged.text).map(|record: Record| record.kind) {
                Err(_) => self.violated("a record cannot be read"),
                Ok(Kind::Alarm {
                    alarm: Alarm::Fire,
                    on,
                }) => self.fire_durable = on,
                Ok(Kind::Gap { unrecorded }) => {
                    self.gaps = self.gaps.saturating_add(unrecorded);
                }
                Ok(Kind::Decision { grant, .. }) => logged.begins = grant,
                Ok(kind @ Kind::Outcome { outcome, .. }) => {
                    logged.ends = end_of(&kind).map(|grant| (grant, outcome));
                }
                Ok(
                    Kind::Started { .. }
                    | Kind::Alarm { .. }
                    | Kind::Mode { .. }
                    | Kind::Staff { .. }
                    | Kind::Directive { .. },
                ) => {}
            }
            self.log.push(logged);
        }
    }

    /// The journal after a power cut: everything that was there is there, what was under way may be.
    pub(super) fn reopened(&mut self, acked: u64, records: Vec<StoredRecord>) {
        self.must(
            acked <= self.last_seq(),
            "what was never written is acknowledged",
        );
        // Acknowledged records may still be there, for somebody on site.
        let last = self.last_seq();
        let (known, new): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| record.seq <= last);
        let known: BTreeMap<_, _> = known.into_iter().map(|one| (one.seq, one.record)).collect();
        let lost = self.log.iter().find(|logged| match known.get(&logged.seq) {
            Some(found) => *found != logged.text,
            None => logged.seq > acked,
        });
        if let Some(Logged { seq, .. }) = lost {
            let what = format!("record {seq} did not survive the power cut");
            return self.violated(what);
        }
        self.appended(new);
    }

    /// Everything has settled: the backend's view is the journal's, and each grant has ended.
    pub(super) fn closing(&mut self, received: &[(u64, String)], lost_before: u64) {
        let mut arrived: BTreeMap<u64, &String> = BTreeMap::new();
        for (seq, text) in received {
            let same = arrived
                .insert(*seq, text)
                .is_none_or(|before| before == text);
            self.must(same, "the backend has two records of one number");
        }
        let mut kept = self.log.iter().filter(|logged| logged.seq > lost_before);
        let same = kept.all(|logged| arrived.get(&logged.seq) == Some(&&logged.text));
        self.must(same, "the backend lacks a record of the journal");
        let known = |seq: &u64| *seq <= self.last_seq();
        let invented = !arrived.keys().all(known);
        self.must(!invented, "the backend has what the journal never had");
        self.each_grant_ends_once();
        self.gaps_are_told();
    }

    /// Whoever was let through without a record is in the count of a gap record; what a power cut took is not known.
    fn gaps_are_told(&mut self) {
        let begun: BTreeSet<_> = self.log.iter().filter_map(|logged| logged.begins).collect();
        let untold = self.grants.iter().filter(|(id, grant)| {
            grant.boot == self.boot && grant.released.is_some() && !begun.contains(id)
        });
        let (untold, gaps) = (untold.count(), self.gaps as usize);
        // It is recorded with the next grant; until then the alarm says so.
        let same_boot = self.boot == 1 && !self.alarms.contains(&Alarm::Unrecorded);
        self.must(
            untold <= gaps || !same_boot,
            "a grant without a record is in no gap record",
        );
    }

    fn each_grant_ends_once(&mut self) {
        let mut ended: BTreeMap<GrantId, u32> = BTreeMap::new();
        for (grant, _) in self.log.iter().filter_map(|logged| logged.ends) {
            let count = ended.entry(grant).or_default();
            *count = count.saturating_add(1);
        }
        let mut begun = self.log.iter().filter_map(|logged| logged.begins);
        let open = begun.find(|grant| !ended.contains_key(grant) && !self.given_up.contains(grant));
        if let Some(grant) = open {
            self.violated(format!("grant {grant} never ended in the journal"));
        }
        if let Some((grant, _)) = ended.iter().find(|(_, count)| **count > 1) {
            self.violated(format!("grant {grant} ended twice in the journal"));
        }
    }

    /// How many grants there were.
    #[must_use]
    pub(super) fn grants(&self) -> u64 {
        self.grants.len() as u64
    }
}

/// The grant that a record ends.
pub(super) const fn end_of(kind: &Kind) -> Option<GrantId> {
    match kind {
        Kind::Outcome { grant, .. } => *grant,
        Kind::Started { .. }
        | Kind::Decision { .. }
        | Kind::Alarm { .. }
        | Kind::Mode { .. }
        | Kind::Staff { .. }
        | Kind::Directive { .. }
        | Kind::Gap { .. } => None,
    }
}
