//! FTDI adapters hold bytes back for 16 ms, and every poll would pay for it (READERS R10). The udev rule of this project sets
//! 1 ms; here that is made sure of, and said where it is not so.

use std::io;
use std::path::{Path, PathBuf};

/// Where the kernel shows terminals.
const TERMINALS: &str = "/sys/class/tty";

/// How long an adapter holds bytes back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Latency {
    /// It has no such timer.
    None,
    /// 1 ms, as it should be.
    Low,
    /// It was so many ms, and is 1 now.
    Lowered(u32),
}

/// Sets the timer of the adapter behind `port` to 1 ms, if it has one.
pub(super) fn low_latency(port: &Path) {
    match lower(Path::new(TERMINALS), port) {
        Ok(Latency::None | Latency::Low) => {}
        Ok(Latency::Lowered(ms)) => {
            tracing::info!(port = %port.display(), ms, "the adapter held bytes back; now for 1 ms");
        }
        // Slower by some milliseconds a poll, and no reason to leave people waiting.
        Err(error) => tracing::warn!(
            port = %port.display(),
            %error,
            "the adapter holds bytes back; install udev/70-turnstiled.rules, which lets it not"
        ),
    }
}

fn lower(terminals: &Path, port: &Path) -> io::Result<Latency> {
    let node = port.canonicalize().unwrap_or_else(|_| port.to_path_buf());
    let Some(name) = node.file_name() else {
        return Ok(Latency::None);
    };
    let timer: PathBuf = terminals.join(name).join("device/latency_timer");
    let text = match std::fs::read_to_string(&timer) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Latency::None),
        Err(error) => return Err(error),
    };
    match text.trim().parse() {
        Ok(0 | 1) => Ok(Latency::Low),
        Ok(ms) => {
            std::fs::write(&timer, "1")?;
            Ok(Latency::Lowered(ms))
        }
        Err(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "its latency_timer is no number",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_that_holds_bytes_back_is_told_not_to_and_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("ttyUSB7/device");
        std::fs::create_dir_all(&device).unwrap();
        let port = Path::new("/dev/ttyUSB7");
        assert_eq!(lower(folder.path(), port).unwrap(), Latency::None);
        let timer = device.join("latency_timer");
        std::fs::write(&timer, "16\n").unwrap();
        assert_eq!(lower(folder.path(), port).unwrap(), Latency::Lowered(16));
        assert_eq!(std::fs::read_to_string(&timer).unwrap(), "1");
        assert_eq!(lower(folder.path(), port).unwrap(), Latency::Low);
        std::fs::write(&timer, "soon").unwrap();
        assert!(lower(folder.path(), port).is_err());
        assert_eq!(
            lower(folder.path(), Path::new("/dev/ttyS0")).unwrap(),
            Latency::None
        );
    }
}
