//! A gate that runs: what can be seen of it, and how it is told to take up another config or to end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::assess::Assessor;
use super::files::read_files;
use super::orders::{Order, Reloaded};
use super::{settings, start, trust};
use crate::config::staff::Staff;
use crate::config::{self, Config};
use crate::store::journal::Journal;
use crate::telemetry::{Status, log};

/// A running gate.
pub struct Running {
    /// Newest snapshot for the pages.
    pub status: watch::Receiver<Arc<Status>>,
    /// Where the pages are.
    pub pages: SocketAddr,
    /// The journal, to be looked at.
    pub journal: Journal,
    /// What is in force of the config.
    pub(super) config: Config,
    pub(super) assessor: watch::Sender<Arc<Assessor>>,
    pub(super) allowed: watch::Sender<Staff>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: JoinHandle<()>,
}

impl Running {
    /// Reads the config at `path` again and takes up what a running gate can. A bad config, or a bad file that it names,
    /// changes nothing. Log, page and metrics say what came of it.
    pub async fn reload(&mut self, path: &Path) {
        let order = match self.reloaded(path) {
            Ok(reloaded) => {
                for sentence in &reloaded.left {
                    tracing::warn!("{sentence}");
                }
                tracing::info!("the config was read again");
                Ok(Box::new(reloaded))
            }
            Err(why) => {
                tracing::error!("{why}; the config before stays in force");
                Err(why)
            }
        };
        if self.orders.send(Order::Reload(order)).await.is_err() {
            tracing::error!("the loop is gone: nothing is taken up");
        }
    }

    fn reloaded(&mut self, path: &Path) -> Result<Reloaded, String> {
        let new = config::load(path).map_err(|error| chain(&error))?;
        let (taken, left) = config::take_up(&self.config, &new);
        let mut files = read_files(&taken).map_err(|error| chain(&error))?;
        let own = files.trust.with_own_pepper(&taken.data_dir);
        own.map_err(|error| chain(&error))?;
        let before = Arc::clone(&self.assessor.borrow());
        let trust = trust::renew(&before.trust, &files.trust, &self.journal);
        let trust = trust.map_err(|error| chain(&error))?;
        self.assessor.send_replace(Arc::new(Assessor {
            trust: before.trust.clone(),
            certificates: taken.certificates.clone(),
            cache: Arc::clone(&before.cache),
            lists: start::lists(&taken),
            learned: before.learned.clone(),
        }));
        if let Some(staff) = &taken.staff {
            self.allowed.send_replace(staff.clone());
        }
        log::set_level(taken.log.level.as_str());
        let left = left.into_iter().map(|key| {
            format!("key `{key}` has changed, and that needs a restart: what it had at the start stays in force")
        });
        let reloaded = Reloaded {
            settings: settings::core_settings(&taken),
            lists: start::lists(&taken),
            trust,
            left: left.collect(),
        };
        self.config = taken;
        Ok(reloaded)
    }

    /// Ends when the loop has ended without being told to: a broken invariant. Its lines are in their safe state then,
    /// and the process is of no use any more. After this, [`Running::stop`] is not called.
    pub async fn broke_off(&mut self) {
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the loop broke off");
        }
    }

    /// Stops the gate: lines into their safe state, the last records on the disk.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the loop broke off");
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
