//! What a lane is meant to do, who may want it, and whose wish is the strongest.
//!
//! Fire is no mode: while it is latched every lane is released, whatever its mode. Below it, from the strongest:
//!
//! 1. *Emergency*, whoever wants it: people leave.
//! 2. *Maintenance* by key switch or staff: somebody has their hands in the lane, and nobody far away moves it.
//! 3. Any other mode, by who wants it: key switch, staff, directive, schedule, and last the lane's own mode of the config.
//!
//! Between two of equal strength the later in this order wins: see [`Wish::strength`].

use serde::{Deserialize, Serialize};

use super::time::Utc;

/// What a lane is meant to do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Decide on each presentation.
    #[default]
    Normal,
    /// Open to everybody, counted.
    Free,
    /// Entry is closed; who is inside may leave.
    Closed,
    /// Only entry is served. Leaving is possible by staff.
    EntryOnly,
    /// Only exit is served.
    ExitOnly,
    /// Out of service, locked, for work on the lane.
    Maintenance,
    /// Open to everybody, as in a fire.
    Emergency,
}

impl Mode {
    /// Every mode, in the order of its number in the store.
    pub const ALL: [Self; 7] = [
        Self::Normal,
        Self::Free,
        Self::Closed,
        Self::EntryOnly,
        Self::ExitOnly,
        Self::Maintenance,
        Self::Emergency,
    ];

    /// The word in pages and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Free => "free",
            Self::Closed => "closed",
            Self::EntryOnly => "entry_only",
            Self::ExitOnly => "exit_only",
            Self::Maintenance => "maintenance",
            Self::Emergency => "emergency",
        }
    }

    /// The mode of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }

    /// True if everybody may walk.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Free | Self::Emergency => true,
            Self::Normal | Self::Closed | Self::EntryOnly | Self::ExitOnly | Self::Maintenance => {
                false
            }
        }
    }
}

/// Who wants a mode; the weakest first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The lane's own mode in the config: what counts while nobody wants anything.
    #[default]
    Config,
    /// The schedule of the config.
    Schedule,
    /// A signed directive of the backend.
    Directive,
    /// Staff, at the local socket.
    Staff,
    /// A key switch at the lane.
    Key,
}

impl Source {
    /// Every source, the weakest first.
    pub const ALL: [Self; 5] = [
        Self::Config,
        Self::Schedule,
        Self::Directive,
        Self::Staff,
        Self::Key,
    ];

    /// The word in records, pages and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Schedule => "schedule",
            Self::Directive => "directive",
            Self::Staff => "staff",
            Self::Key => "key",
        }
    }
}

/// A mode that somebody wants of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Which.
    pub mode: Mode,
    /// Who wants it.
    pub source: Source,
    /// Staff: the user id of who it was.
    pub by: Option<u32>,
    /// When it ends or may change, if that is known.
    pub until: Option<Utc>,
}

impl Wish {
    /// Of two wishes the one with the greater strength wins. Total: wishes of different sources never have the same.
    #[must_use]
    pub const fn strength(&self) -> (u8, Source) {
        let class = match (self.mode, self.source) {
            (Mode::Emergency, _) => 2,
            (Mode::Maintenance, Source::Key | Source::Staff) => 1,
            (
                Mode::Normal
                | Mode::Free
                | Mode::Closed
                | Mode::EntryOnly
                | Mode::ExitOnly
                | Mode::Maintenance,
                _,
            ) => 0,
        };
        (class, self.source)
    }

    /// The strongest of several; the lane's own mode if there is none.
    #[must_use]
    pub fn strongest(wishes: impl IntoIterator<Item = Self>) -> Self {
        let strongest = wishes.into_iter().max_by_key(Self::strength);
        strongest.unwrap_or_default()
    }
}

/// What staff did at the local socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// They want a mode.
    SetMode {
        /// Which.
        mode: Mode,
        /// For how many seconds; until it is taken back, if nothing is said.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        for_s: Option<u32>,
    },
    /// They want none any more.
    EndMode,
    /// They let one person through.
    OpenOnce {
        /// Which way.
        direction: super::ids::Direction,
    },
    /// The fire is over.
    ResetFire,
    /// Whoever was refused last for passback may pass once more.
    Forgive {
        /// On which side they were refused.
        direction: super::ids::Direction,
    },
    /// They let an OSDP reader be given its key.
    ProvisionReader {
        /// Its address on its line.
        address: u8,
        /// For at most so many seconds.
        for_s: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_wish() -> impl Iterator<Item = Wish> + Clone {
        Source::ALL.into_iter().flat_map(|source| {
            Mode::ALL.into_iter().map(move |mode| Wish {
                mode,
                source,
                ..Wish::default()
            })
        })
    }

    #[test]
    fn the_order_of_sources_is_total_and_the_order_of_arrival_does_not_matter() {
        for a in every_wish() {
            for b in every_wish().filter(|b| b.source != a.source) {
                assert_ne!(a.strength(), b.strength(), "{a:?} {b:?}");
                for c in every_wish().filter(|c| c.source != a.source && c.source != b.source) {
                    let wanted = Wish::strongest([a, b, c]);
                    for order in [[a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
                        assert_eq!(Wish::strongest(order), wanted);
                    }
                }
            }
        }
    }

    #[test]
    fn emergency_wins_over_everything_and_nobody_far_away_moves_a_lane_that_is_worked_on() {
        for a in every_wish() {
            for b in every_wish().filter(|b| b.source != a.source) {
                let won = Wish::strongest([a, b]);
                if a.mode == Mode::Emergency || b.mode == Mode::Emergency {
                    assert_eq!(won.mode, Mode::Emergency, "{a:?} {b:?}");
                    continue;
                }
                let local = |wish: &Wish| wish.source >= Source::Staff;
                let works = |wish: &Wish| local(wish) && wish.mode == Mode::Maintenance;
                if works(&a) || works(&b) {
                    assert_eq!(won.mode, Mode::Maintenance, "{a:?} {b:?}");
                } else {
                    assert_eq!(won.source, a.source.max(b.source), "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn a_mode_has_one_word() {
        for mode in Mode::ALL {
            assert_eq!(Mode::parse(mode.as_str()), Some(mode));
            let json = serde_json::to_string(&mode).unwrap();
            assert_eq!(json.trim_matches('"'), mode.as_str());
        }
        assert_eq!(Mode::parse("open"), None);
    }
}
