//! A port that was unplugged is back: inotify says so, and a look now and then where it cannot.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use tokio::io::unix::AsyncFd;
use tokio::time;

/// How often is looked for a port all the same: a directory on the way to it may come and go as well, and a system may have
/// no watches left.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Ends when a port that is not there is there again; for ever if it never went.
pub(super) async fn returns(path: Option<PathBuf>) {
    let Some(path) = path.filter(|path| !path.exists()) else {
        return std::future::pending().await;
    };
    loop {
        // Before the look, so that nothing falls between the two.
        let watch = watch(&path);
        if path.exists() {
            return;
        }
        match watch {
            Ok(watch) => {
                // What has changed does not matter: it is looked at anyway.
                let _ = time::timeout(LOOK_PERIOD, watch.readable()).await;
            }
            Err(error) => {
                tracing::debug!(%error, port = %path.display(), "no watch for a port that is away");
                time::sleep(LOOK_PERIOD).await;
            }
        }
    }
}

/// Watches the nearest directory on the way to `path` that is there: udev makes and removes `by-path` with its last link.
fn watch(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let directory = path
        .ancestors()
        .skip(1)
        .find(|directory| directory.is_dir());
    let directory = directory.ok_or(io::ErrorKind::NotFound)?;
    let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let changes = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB;
    add_watch(&inotify, directory, changes)?;
    #[expect(
        deprecated,
        reason = "the replacement is unsafe; an OwnedFd keeps its descriptor for life"
    )]
    AsyncFd::new(inotify)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_plugged_in_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("by-path").join("port");
        let waiting = tokio::spawn(returns(Some(path.clone())));
        time::sleep(Duration::from_millis(200)).await;
        assert!(!waiting.is_finished());
        // With the directory the wait begins anew: the next look is a whole period away.
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        let plugged = time::Instant::now();
        std::fs::write(&path, "").unwrap();
        time::timeout(5 * LOOK_PERIOD, waiting)
            .await
            .unwrap()
            .unwrap();
        let took = plugged.elapsed();
        assert!(
            took < LOOK_PERIOD * 9 / 10,
            "only the look now and then saw it: {took:?}"
        );
    }

    #[tokio::test]
    async fn a_port_that_is_there_has_not_returned() {
        let folder = tempfile::tempdir().unwrap();
        let there = returns(Some(folder.path().into()));
        assert!(
            time::timeout(Duration::from_millis(100), there)
                .await
                .is_err()
        );
    }
}
