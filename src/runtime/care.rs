//! What is looked after now and then, on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{ListId, Mono, Now};
use crate::store::codes::Codes;
use crate::store::journal::Journal;

/// How often stores are looked after.
const CARE: Duration = Duration::from_secs(600);

/// When it was done last.
#[derive(Debug, Default)]
pub(super) struct Care(Mono);

impl Care {
    /// What is over leaves the journal, and a list that many changes have made slow is rebuilt, if it is time.
    pub(super) fn tick(
        &mut self,
        now: Now,
        journal: &Journal,
        cache: &Arc<dyn Codes>,
        lists: &[(ListId, Duration)],
        remember: Duration,
    ) {
        let Some(utc) = now.utc else { return };
        if now.mono.since(self.0) < CARE {
            return;
        }
        self.0 = now.mono;
        let (journal, cache, lists) = (journal.clone(), Arc::clone(cache), lists.to_vec());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = journal.prune(utc, remember) {
                tracing::warn!(%error, "what is over stays in the journal for now");
            }
            for (list, _) in lists {
                match cache.tidy(&list) {
                    Ok(true) => tracing::info!(%list, "the list was rebuilt after many changes"),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%list, %error, "the list could not be rebuilt; it stays as it is")
                    }
                }
            }
        });
    }
}
