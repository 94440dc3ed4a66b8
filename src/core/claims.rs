//! Claims of this gate that are under way, and those to be taken back.

use std::collections::BTreeMap;

use crate::domain::{Claim, ClaimId, PassbackKey, PersonClaim, Replay, ReplayKey};

/// The claims. At most one a lane is under way, so that nothing here grows.
#[derive(Debug, Default)]
pub(super) struct Claims {
    begun: u32,
    under_way: BTreeMap<ClaimId, (Option<ReplayKey>, Option<PassbackKey>)>,
    given_up: Vec<ClaimId>,
}

impl Claims {
    /// Every claim is begun before this one.
    pub(super) const NEXT: ClaimId = ClaimId(u64::MAX);

    pub(super) fn begin(
        &mut self,
        boot: u32,
        replay: Option<Replay>,
        person: Option<PersonClaim>,
    ) -> Claim {
        self.begun = self.begun.wrapping_add(1);
        let id = ClaimId(u64::from(boot) << 32 | u64::from(self.begun));
        let about = (
            replay.map(|replay| replay.key),
            person.map(|person| person.key),
        );
        self.under_way.insert(id, about);
        Claim { id, replay, person }
    }

    /// True if a claim that was begun before this one is about this code.
    pub(super) fn has_code(&self, key: &ReplayKey, before: ClaimId) -> bool {
        let mut others = self.under_way.range(..before);
        others.any(|(_, (code, _))| code.as_ref() == Some(key))
    }

    /// True if a claim that was begun before this one is about this person.
    pub(super) fn has_person(&self, key: &PassbackKey, before: ClaimId) -> bool {
        let mut others = self.under_way.range(..before);
        others.any(|(_, (_, person))| person.as_ref() == Some(key))
    }

    /// Its presentation is let through, or somebody else has won it.
    pub(super) fn settle(&mut self, claim: ClaimId) {
        self.under_way.remove(&claim);
    }

    /// What it was for did not come about.
    pub(super) fn give_up(&mut self, claim: ClaimId) {
        self.under_way.remove(&claim);
        self.given_up.push(claim);
    }

    /// Those to be taken back, once.
    pub(super) fn take_given_up(&mut self) -> Vec<ClaimId> {
        std::mem::take(&mut self.given_up)
    }
}
