//! Reading passages back: in the order of their arrival, of a gate, a lane, a person, a time.

use std::borrow::Cow;

use redb::ReadableDatabase as _;
use serde::Deserialize;

use super::StoreError;
use super::passages::{Arrived, Passage, Passages, RECORDS, RUNS};
use crate::domain::{GateId, Utc};

/// Records looked at for one that is asked for, at most: a search that finds little ends, and says where to go on.
const LOOK_FACTOR: usize = 100;

/// What is asked for; nothing set is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::backend) struct Wanted {
    /// Of this gate.
    pub gate: Option<GateId>,
    /// At this lane.
    pub lane: Option<String>,
    /// Of this person, 16 hex digits. Outcomes name a grant and no person.
    pub subject: Option<String>,
    /// Not before this date. A record without a date is at no time.
    pub from: Option<Utc>,
    /// Before this date.
    pub until: Option<Utc>,
}

/// What a record says about itself.
#[derive(Deserialize)]
struct Marks<'a> {
    utc_ms: Option<u64>,
    #[serde(borrow)]
    lane: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
}

impl Wanted {
    fn is_gate(&self, gate: &str) -> bool {
        self.gate
            .as_ref()
            .is_none_or(|wanted| wanted.as_str() == gate)
    }

    fn is_record(&self, text: &str) -> bool {
        let looks_inside = self.lane.is_some()
            || self.subject.is_some()
            || self.from.is_some()
            || self.until.is_some();
        if !looks_inside {
            return true;
        }
        let Ok(marks) = serde_json::from_str::<Marks<'_>>(text) else {
            return false;
        };
        let utc = marks.utc_ms.map(Utc::from_millis);
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == found
        };
        is(&self.lane, marks.lane.as_deref())
            && is(&self.subject, marks.subject.as_deref())
            && self.from.is_none_or(|from| utc >= Some(from))
            && self
                .until
                .is_none_or(|until| utc.is_some_and(|utc| utc < until))
    }
}

impl Passages {
    /// At most `max` passages that arrived after number `after`, and the number up to which was looked: no more than
    /// a hundred times as many.
    pub(in crate::backend) fn after(
        &self,
        wanted: &Wanted,
        after: u64,
        max: usize,
    ) -> Result<(Vec<Passage>, u64), StoreError> {
        let transaction = self.0.begin_read()?;
        let (runs, records) = (
            transaction.open_table(RUNS)?,
            transaction.open_table(RECORDS)?,
        );
        let first = after.saturating_add(1);
        // The run that the next number lies in may have begun before it.
        let begins = runs
            .range(..=first)?
            .next_back()
            .transpose()?
            .map_or(first, |(number, _)| number.value());
        let mut budget = max.saturating_mul(LOOK_FACTOR);
        let (mut found, mut looked) = (Vec::new(), after);
        for row in runs.range(begins..)? {
            let (number, run) = row?;
            let (number, (gate, epoch, seq, length)) = (number.value(), run.value());
            let skip = first.saturating_sub(number);
            if skip >= length {
                continue;
            }
            if !wanted.is_gate(gate) {
                // Only the run is looked at, not what is in it.
                budget = budget.saturating_sub(1);
                if budget == 0 {
                    return Ok((found, looked));
                }
                looked = number.saturating_add(length).saturating_sub(1);
                continue;
            }
            let from = (gate, epoch, seq.saturating_add(skip));
            let through = (gate, epoch, seq.saturating_add(length).saturating_sub(1));
            for row in records.range(from..=through)? {
                if budget == 0 || found.len() >= max {
                    return Ok((found, looked));
                }
                budget -= 1;
                let (key, stored) = row?;
                let (hash, number, text) = stored.value();
                looked = number;
                if wanted.is_record(text) {
                    found.push(Passage {
                        number,
                        gate: gate.to_owned(),
                        epoch: *epoch,
                        record: Arrived {
                            seq: key.value().2,
                            hash: *hash,
                            record: text.to_owned(),
                        },
                    });
                }
            }
        }
        Ok((found, looked))
    }
}
