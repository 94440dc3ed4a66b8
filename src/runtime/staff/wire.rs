//! What is said over the socket: one line of JSON each way, then the connection ends.

use serde::{Deserialize, Serialize};

use crate::domain::{Direction, Mode};

/// Longest request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 4096;
/// Longest reply, in bytes.
pub const REPLY_BYTES_MAX: usize = 1 << 20;
/// Longest time that staff may want a mode for, seconds: a week.
pub const FOR_S_MAX: u32 = 7 * 86_400;

/// What staff ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// How it stands.
    Status,
    /// A mode for a lane.
    Mode {
        /// Which lane; absent: every one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lane: Option<String>,
        /// Which mode; absent: what the others want.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Mode>,
        /// For how many seconds, 1 to [`FOR_S_MAX`]; absent: until it is taken back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_s: Option<u32>,
    },
    /// Let one person through.
    OpenOnce {
        /// At which lane.
        lane: String,
        /// Which way; may be left out where the lane serves one only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<Direction>,
    },
    /// Whoever was refused last for passback may pass once more.
    Forgive {
        /// At which lane.
        lane: String,
        /// On which side; may be left out where the lane serves one only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<Direction>,
    },
    /// The fire is over.
    ResetFire,
    /// An OSDP reader is to be given its key.
    Provision {
        /// Its name.
        reader: String,
        /// For how many seconds it is waited for.
        for_s: u32,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// It is done, or known.
    Done,
    /// Not now: the sentence says why.
    Refused,
    /// Whoever asks may not.
    Forbidden,
    /// The request is none.
    Malformed,
    /// The gate did not answer.
    Unavailable,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// What came of it.
    pub result: Result,
    /// In sentences.
    pub said: Vec<String>,
    /// The status page for machines, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}

impl Reply {
    /// A reply of one sentence.
    #[must_use]
    pub fn new(result: Result, sentence: impl Into<String>) -> Self {
        Self {
            result,
            said: vec![sentence.into()],
            status: None,
        }
    }
}
