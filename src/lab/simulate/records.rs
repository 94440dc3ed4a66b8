//! What the oracle knows of records: those that were promised are there, in order, once, at the gate and at the backend.

use std::collections::{BTreeMap, BTreeSet};

use super::oracle::Oracle;
use crate::domain::{Alarm, GrantId, Kind, Outcome, Record};
use crate::store::journal::StoredRecord;

impl Oracle {
    /// The writer says that the record of a grant is durable.
    pub(super) fn durable(&mut self, id: GrantId) {
        let recorded = self.log.iter().rev().any(|(_, text)| {
            matches!(kind(text), Some(Kind::Decision { grant: Some(grant), .. }) if grant == id)
        });
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
        self.log.last().map_or(0, |(seq, _)| *seq)
    }

    /// Records that were appended.
    pub(super) fn appended(&mut self, records: Vec<StoredRecord>) {
        for StoredRecord { seq, record, .. } in records {
            let last = self.last_seq();
            if seq != last.saturating_add(1) {
                self.violated(format!("record {seq} comes after record {last}"));
            }
            match kind(&record) {
                None => self.violated("a record cannot be read"),
                Some(Kind::Alarm {
                    alarm: Alarm::Fire,
                    on,
                }) => self.fire_durable = on,
                Some(Kind::Gap { unrecorded }) => {
                    self.gaps = self.gaps.saturating_add(unrecorded);
                }
                Some(
                    Kind::Started { .. }
                    | Kind::Decision { .. }
                    | Kind::Outcome { .. }
                    | Kind::Alarm { .. }
                    | Kind::Mode { .. }
                    | Kind::Staff { .. }
                    | Kind::Directive { .. },
                ) => {}
            }
            self.log.push((seq, record));
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
        let lost = self.log.iter().find(|(seq, text)| match known.get(seq) {
            Some(found) => found != text,
            None => *seq > acked,
        });
        if let Some((seq, _)) = lost {
            let seq = *seq;
            return self.violated(format!("record {seq} did not survive the power cut"));
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
        let same = self
            .log
            .iter()
            .filter(|(seq, _)| *seq > lost_before)
            .all(|(seq, text)| arrived.get(seq) == Some(&text));
        self.must(same, "the backend lacks a record of the journal");
        let known = |seq: &u64| *seq <= self.last_seq();
        let invented = !arrived.keys().all(known);
        self.must(!invented, "the backend has what the journal never had");
        self.each_grant_ends_once();
    }

    fn each_grant_ends_once(&mut self) {
        let (mut begun, mut ended) = (BTreeSet::new(), BTreeMap::new());
        for (_, text) in &self.log {
            if let Some((grant, _)) = end(text) {
                let count: &mut u32 = ended.entry(grant).or_default();
                *count = count.saturating_add(1);
            }
            if let Some(Kind::Decision {
                grant: Some(grant), ..
            }) = kind(text)
            {
                begun.insert(grant);
            }
        }
        let open = begun.iter().find(|grant| !ended.contains_key(grant));
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
pub(super) fn end(text: &str) -> Option<(GrantId, Outcome)> {
    match kind(text)? {
        Kind::Outcome {
            grant: Some(grant),
            outcome,
            ..
        } => Some((grant, outcome)),
        Kind::Started { .. }
        | Kind::Decision { .. }
        | Kind::Outcome { .. }
        | Kind::Alarm { .. }
        | Kind::Mode { .. }
        | Kind::Staff { .. }
        | Kind::Directive { .. }
        | Kind::Gap { .. } => None,
    }
}

fn kind(text: &str) -> Option<Kind> {
    let record: Record = serde_json::from_str(text).ok()?;
    Some(record.kind)
}
