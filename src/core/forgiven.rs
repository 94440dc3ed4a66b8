//! Whom staff forgive: whoever was refused last at a lane may pass once more. Nobody is named; staff say which lane.

use std::collections::BTreeMap;
use std::time::Duration;

use super::expiring::{Expiring, Until};
use crate::domain::{Direction, LaneId, Mono, Now, PassbackKey};

/// How long staff may forgive a refusal, and how long whoever is forgiven may take to come again.
const WITHIN: Duration = Duration::from_secs(600);
/// Most people who are forgiven and have not come yet.
const FORGIVEN_MAX: usize = 64;

/// Refusals that can be forgiven, and who is forgiven.
#[derive(Debug)]
pub(super) struct Forgiven {
    /// The last of each side of each lane.
    refused: BTreeMap<(LaneId, Direction), (PassbackKey, Mono)>,
    people: Expiring<PassbackKey, ()>,
}

impl Default for Forgiven {
    fn default() -> Self {
        Self {
            refused: BTreeMap::new(),
            people: Expiring::new(FORGIVEN_MAX),
        }
    }
}

impl Forgiven {
    /// Somebody was refused for passback.
    pub(super) fn note(&mut self, now: Now, lane: LaneId, side: Direction, key: PassbackKey) {
        self.refused.insert((lane, side), (key, now.mono));
    }

    /// True if somebody was refused here lately.
    pub(super) fn may(&self, now: Now, lane: LaneId, side: Direction) -> bool {
        let refused = self.refused.get(&(lane, side));
        refused.is_some_and(|(_, at)| now.mono.since(*at) <= WITHIN)
    }

    /// Forgives whoever was refused here last; a second time there is nobody.
    pub(super) fn forgive(
        &mut self,
        now: Now,
        lane: LaneId,
        side: Direction,
    ) -> Option<PassbackKey> {
        let (key, at) = self.refused.remove(&(lane, side))?;
        if now.mono.since(at) > WITHIN {
            return None;
        }
        self.give_back(now, key);
        Some(key)
    }

    /// True while somebody is forgiven.
    pub(super) fn has(&self, now: Now, key: &PassbackKey) -> bool {
        self.people.get(now, key).is_some()
    }

    /// They pass: that was it. True if they were forgiven.
    pub(super) fn take(&mut self, now: Now, key: &PassbackKey) -> bool {
        let has = self.has(now, key);
        self.people.remove(key);
        has
    }

    /// They did not walk: they are still forgiven.
    pub(super) fn give_back(&mut self, now: Now, key: PassbackKey) {
        let until = Until::Mono(now.mono + WITHIN);
        self.people.insert(now, key, until, ());
    }
}
