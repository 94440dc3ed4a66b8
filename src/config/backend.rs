//! The backend and the lists that come from it.

use std::path::PathBuf;

use serde::Deserialize;

use super::types::{ClaimTime, LearnedTime, PollTime, ResolveTime, StaleAfter, UnknownTime};
use crate::domain::{GateId, ListId};

/// `[backend]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// `https://backend.example:9481`, or `http://127.0.0.1:9480`: plain HTTP is accepted for loopback addresses only.
    pub url: String,
    /// `https`: certificate of this gate, PEM. For this and the two keys below, a value without a slash names a systemd
    /// credential if there is one of that name, and a file beside the config otherwise.
    pub certificate: Option<PathBuf>,
    /// `https`: its private key, PEM.
    pub key: Option<PathBuf>,
    /// `https`: the authority that the backend's certificate comes from, PEM.
    pub ca: Option<PathBuf>,
    /// Ed25519 keys that sign manifests, base64 of 32 bytes each: the current and the next.
    pub list_keys: Vec<String>,
    /// Ed25519 keys that sign the trust list, the same way; absent: the trust list is the file of `trust_file`, and none is
    /// taken from the backend.
    #[serde(default)]
    pub trust_keys: Vec<String>,
    /// Ed25519 keys that sign directives, the current and the next; none: no directive is followed.
    #[serde(default)]
    pub directive_keys: Vec<String>,
    /// Groups of gates that this one belongs to: their directives are for it too.
    #[serde(default)]
    pub groups: Vec<GateId>,
    /// Ask about credentials that no list knows.
    #[serde(default = "yes")]
    pub resolve: bool,
    /// How long such a question may take.
    #[serde(default)]
    pub resolve_ms: ResolveTime,
    /// Claim codes that can be used once only, so that no other gate takes a copy.
    #[serde(default = "yes")]
    pub claims: bool,
    /// How long the answer to a claim is waited for; then this gate goes by what it remembers itself.
    #[serde(default)]
    pub claim_ms: ClaimTime,
    /// How long the answer is kept for the next time; 0: it is not.
    #[serde(default)]
    pub learned_s: LearnedTime,
    /// How long it is kept that the backend does not know somebody; 0: it is not.
    #[serde(default)]
    pub learned_unknown_s: UnknownTime,
    /// How often to look for a newer manifest.
    #[serde(default)]
    pub poll_ms: PollTime,
}

const fn yes() -> bool {
    true
}

/// `[[list]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Its name at the backend.
    pub name: ListId,
    /// File with the pepper, or name of a systemd credential: 64 hex digits. Whoever has it can enumerate ID numbers.
    pub pepper_file: PathBuf,
    /// File with the pepper that the list will have next. While it is given, a list made with either is followed.
    pub next_pepper_file: Option<PathBuf>,
    /// From which age it counts as stale.
    #[serde(default)]
    pub stale_after_min: StaleAfter,
}
