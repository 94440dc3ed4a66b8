//! What the operator reads in the log. Each story that listens has a runtime of its own, whose threads log to it alone.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

/// The log of one story: gate, sync and backend. The threads of devices and disks log elsewhere.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// How many lines hold all of these parts.
    pub(crate) fn lines(&self, parts: &[&str]) -> usize {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        text.lines()
            .filter(|line| parts.iter().all(|part| line.contains(part)))
            .count()
    }

    /// The operator was told so, in one line.
    pub(crate) fn says_once(&self, parts: &[&str]) {
        let lines = self.lines(parts);
        assert_eq!(lines, 1, "{parts:?} stands in {lines} lines of\n{self}");
    }
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0.lock().unwrap()))
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Runs a story and listens to what is logged.
pub(crate) fn story<F: Future<Output = ()>>(tell: impl FnOnce(Log) -> F) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let here = tracing::Dispatch::new(subscriber);
    let there = here.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || {
            // It lasts as long as its thread.
            std::mem::forget(tracing::dispatcher::set_default(&there));
        })
        .build()
        .unwrap();
    let _here = tracing::dispatcher::set_default(&here);
    runtime.block_on(tell(log));
}
