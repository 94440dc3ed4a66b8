//! How a link and who answers on it behave.

/// The mood of a gate's link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mood {
    /// As it should.
    #[default]
    Well,
    /// Nobody is there.
    Away,
    /// Nobody answers in time; what was sent has arrived all the same.
    Late,
    /// Status 500.
    Failing,
    /// Success, and nonsense in it.
    Nonsense,
    /// Acknowledges what was never sent.
    Greedy,
    /// What was sent arrives twice.
    Repeating,
    /// Documents with the signature of somebody else.
    Forging,
    /// Documents of an older version.
    RollingBack,
    /// The manifest of another list, a directive for another gate.
    Swapping,
}

impl Mood {
    /// All but [`Mood::Well`]; what needs other faults beside it is there twice.
    pub(super) const BAD: [Self; 10] = [
        Self::Away,
        Self::Late,
        Self::Failing,
        Self::Nonsense,
        Self::Greedy,
        Self::Repeating,
        Self::Forging,
        Self::RollingBack,
        Self::RollingBack,
        Self::Swapping,
    ];

    /// The name in counts.
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "backend_well",
            Self::Away => "backend_away",
            Self::Late => "backend_late",
            Self::Failing => "backend_500",
            Self::Nonsense => "backend_nonsense",
            Self::Greedy => "backend_acknowledges_unsent",
            Self::Repeating => "backend_hears_twice",
            Self::Forging => "backend_forges",
            Self::RollingBack => "backend_rolls_back",
            Self::Swapping => "backend_swaps",
        }
    }
}
