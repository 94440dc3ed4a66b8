//! Why a round of following a list came to nothing, and what that is a reason for.

use super::chunk::ChunkError;
use super::client::LinkError;
use super::judge::Refused;
use super::manifest::ManifestError;
use crate::store::codes::CodesError;
use crate::store::journal::JournalError;

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("a chunk was refused")]
    Chunk(#[from] ChunkError),
    #[error("a snapshot removes rows")]
    SnapshotRemoves,
    #[error("more rows came than the manifest announces")]
    TooManyRows,
    #[error("the list cannot be stored")]
    Codes(#[from] CodesError),
    #[error("the accepted version cannot be remembered")]
    Journal(#[from] JournalError),
    #[error("the work was cut short")]
    CutShort,
    /// Told before; the manifest has not changed since.
    #[error("the list is still the one that was refused")]
    StillWrong,
}

impl Trouble {
    /// True if only a person, or another manifest, can help.
    pub(super) const fn is_content(&self) -> bool {
        !matches!(self, Self::Link(error) if error.is_away())
    }

    /// True if the delta does not lead to what the manifest says, so that a snapshot is worth its bytes.
    pub(super) const fn wants_snapshot(&self) -> bool {
        match self {
            Self::Codes(error) => error.wants_load(),
            Self::Chunk(_) | Self::TooManyRows => true,
            Self::Link(_)
            | Self::Manifest(_)
            | Self::Refused(_)
            | Self::SnapshotRemoves
            | Self::Journal(_)
            | Self::CutShort
            | Self::StillWrong => false,
        }
    }

    /// True if a snapshot that was fetched whole is wrong in itself: to fetch it again would only cost its bytes.
    pub(super) const fn is_for_good(&self) -> bool {
        match self {
            Self::Codes(error) => matches!(
                error,
                CodesError::Mismatch { .. }
                    | CodesError::NotAscending
                    | CodesError::UnreadableRow(_)
            ),
            // Bytes that are not what their name says may be better next time.
            Self::Chunk(error) => !matches!(error, ChunkError::OtherBytes),
            Self::SnapshotRemoves | Self::TooManyRows => true,
            Self::Link(_)
            | Self::Manifest(_)
            | Self::Refused(_)
            | Self::Journal(_)
            | Self::CutShort
            | Self::StillWrong => false,
        }
    }

    /// True if what has been loaded of a snapshot so far is worth keeping.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::Link(_) | Self::Chunk(ChunkError::OtherBytes))
    }
}
