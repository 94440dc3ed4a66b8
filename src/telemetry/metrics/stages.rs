//! How long each stage of a passage takes: a code or a card comes into view, is read, decided upon, recorded, and the
//! relay is commanded.

use prometheus::{Histogram, HistogramVec};

use super::MetricsError;
use super::build::Build;

/// One histogram a stage, and one for the whole.
#[derive(Clone, Debug)]
pub struct Stages {
    /// `turnstile_decode_seconds{device}`: one frame through the pipeline.
    pub decode: HistogramVec,
    /// `turnstile_decide_seconds{lane,medium}`: credential read to verdict, without waits for the backend.
    pub decide: HistogramVec,
    /// `turnstile_online_wait_seconds`: how long the backend was waited for.
    pub online_wait: Histogram,
    /// `turnstile_claim_wait_seconds`: how long a claim was waited for.
    pub claim_wait: Histogram,
    /// `turnstile_journal_append_seconds`: one durable group.
    pub journal_append: Histogram,
    /// `turnstile_relay_seconds{lane}`: release wanted to relay commanded.
    pub relay: HistogramVec,
    /// `turnstile_own_share_seconds{lane}`: text or card facts at hand to relay commanded, without waits for the backend.
    pub own_share: HistogramVec,
    /// `turnstile_end_to_end_seconds{lane,medium}`: in view to relay commanded.
    pub end_to_end: HistogramVec,
}

impl Stages {
    pub(super) fn new(new: &Build<'_>) -> Result<Self, MetricsError> {
        Ok(Self {
            decode: new.histograms(
                "turnstile_decode_seconds",
                "One frame through the pipeline",
                &["device"],
            )?,
            decide: new.histograms(
                "turnstile_decide_seconds",
                "Credential read to verdict, without waits for the backend",
                &["lane", "medium"],
            )?,
            online_wait: new.histogram(
                "turnstile_online_wait_seconds",
                "How long the backend was waited for",
            )?,
            claim_wait: new.histogram(
                "turnstile_claim_wait_seconds",
                "How long a claim was waited for",
            )?,
            journal_append: new.histogram(
                "turnstile_journal_append_seconds",
                "One durable group of records",
            )?,
            relay: new.histograms(
                "turnstile_relay_seconds",
                "Release wanted to relay commanded",
                &["lane"],
            )?,
            own_share: new.histograms(
                "turnstile_own_share_seconds",
                "Text or card facts at hand to relay commanded, without waits for the backend",
                &["lane"],
            )?,
            end_to_end: new.histograms(
                "turnstile_end_to_end_seconds",
                "In view to relay commanded",
                &["lane", "medium"],
            )?,
        })
    }
}
