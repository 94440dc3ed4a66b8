//! Whether a manifest with a good signature may take the place of what is in force. Pure.

use crate::store::codes::ListState;

/// What a manifest means for a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is in force already.
    Nothing,
    /// The same list, signed again.
    Resigned,
    /// A newer one.
    Load,
}

/// Why a manifest with a good signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Older than what was accepted before.
    #[error(
        "era {era} version {version} is older than what was accepted before, era {floor_era} version {floor_version}"
    )]
    Rollback {
        /// Its era.
        era: u32,
        /// Its version.
        version: u64,
        /// Era accepted before.
        floor_era: u32,
        /// Version accepted before.
        floor_version: u64,
    },
    /// The version in force, with other rows.
    #[error("era {era} version {version} is in force already, with other rows")]
    Forked {
        /// Its era.
        era: u32,
        /// Its version.
        version: u64,
    },
    /// Made with a pepper that this gate does not have.
    #[error("the list is made with pepper {theirs:08x}, this gate has {ours:08x}")]
    OtherPepper {
        /// The pepper of the list.
        theirs: u32,
        /// The pepper of the gate.
        ours: u32,
    },
}

/// Compares a manifest with what is in force and with the highest version ever accepted, which outlives the cache.
///
/// # Errors
/// [`Refused`].
pub fn judge(
    next: &ListState,
    live: Option<&ListState>,
    floor: Option<(u32, u64)>,
) -> Result<Step, Refused> {
    let (era, version) = (next.era, next.version);
    let accepted = live.map(|live| (live.era, live.version)).max(floor);
    if let Some((floor_era, floor_version)) = accepted.filter(|floor| (era, version) < *floor) {
        return Err(Refused::Rollback {
            era,
            version,
            floor_era,
            floor_version,
        });
    }
    let Some(live) = live.filter(|live| (live.era, live.version) == (era, version)) else {
        return Ok(Step::Load);
    };
    let same = (live.rows, live.digest, live.pepper_id) == (next.rows, next.digest, next.pepper_id);
    if !same {
        return Err(Refused::Forked { era, version });
    }
    // An older signature of the same list would only make it look stale.
    Ok(if next.created > live.created {
        Step::Resigned
    } else {
        Step::Nothing
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Digest, Utc};

    fn state(era: u32, version: u64, created_s: u64) -> ListState {
        ListState {
            era,
            version,
            created: Utc::from_secs(created_s),
            fresh_until: Utc::from_secs(created_s),
            pepper_id: 1,
            rows: 3,
            digest: Digest::default(),
        }
    }

    #[test]
    fn order_is_era_then_version_then_date() {
        let live = state(2, 5, 100);
        let step = |next: &ListState| judge(next, Some(&live), Some((2, 5)));
        assert_eq!(step(&state(2, 5, 100)), Ok(Step::Nothing));
        assert_eq!(step(&state(2, 5, 99)), Ok(Step::Nothing));
        assert_eq!(step(&state(2, 5, 101)), Ok(Step::Resigned));
        assert_eq!(step(&state(2, 6, 1)), Ok(Step::Load));
        assert_eq!(step(&state(3, 1, 1)), Ok(Step::Load));
        for older in [state(2, 4, 999), state(1, 9, 999)] {
            assert!(matches!(step(&older), Err(Refused::Rollback { .. })));
        }
    }

    #[test]
    fn the_higher_of_cache_and_floor_counts() {
        let next = state(1, 4, 1);
        assert!(judge(&next, None, Some((1, 5))).is_err());
        assert!(judge(&next, Some(&state(1, 5, 1)), None).is_err());
        assert_eq!(judge(&next, None, Some((1, 4))), Ok(Step::Load));
        assert_eq!(judge(&next, None, None), Ok(Step::Load));
    }

    #[test]
    fn one_version_has_one_content() {
        let (live, mut other) = (state(1, 1, 1), state(1, 1, 2));
        other.rows = 4;
        let forked = Err(Refused::Forked { era: 1, version: 1 });
        assert_eq!(judge(&other, Some(&live), None), forked);
    }
}
