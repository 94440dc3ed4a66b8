//! Devices: as the daemon that holds them says, or else looked at directly.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde_json::Value;

use super::super::super::table::Grade;
use super::Finding;
use crate::config::Config;

/// The devices of a running gate.
pub(super) fn held(status: &Value) -> Vec<Finding> {
    let devices = status["devices"].as_array().into_iter().flatten();
    let finding = |device: &Value| {
        let name = device["name"].as_str().unwrap_or("?");
        let state = device["state"].as_str().unwrap_or("?");
        let (grade, todo) = match state {
            "up" => return Finding::good("device", name, "up; the daemon holds it"),
            "dark" => (Grade::Look, "uncover or clean the lens; look at the light"),
            "frozen" => (
                Grade::Wrong,
                "the daemon opens it again by itself; replace the camera if that does not help",
            ),
            _ => (
                Grade::Wrong,
                "check its plug and power; the daemon opens it again by itself, and its log says why it cannot",
            ),
        };
        let said = format!("{state}; the daemon holds it");
        Finding::bad(grade, "device", name, said, todo)
    };
    devices.map(finding).collect()
}

/// The devices of a gate that does not run: whether each is there and may be used by whoever asks.
pub(super) fn direct(config: &Config) -> Vec<Finding> {
    let devices = config.devices();
    let look = |(key, path): (String, &Path)| look(&key, path);
    devices.into_iter().map(look).collect()
}

fn look(key: &str, path: &Path) -> Finding {
    let name = path.display().to_string();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let todo = format!(
                "plug it in, or correct the key `{key}`; `ls -l /dev/serial/by-id /dev/v4l/by-id` shows what there is"
            );
            return Finding::bad(Grade::Wrong, "device", name, error.to_string(), todo);
        }
    };
    let mut options = OpenOptions::new();
    options.read(true);
    if metadata.file_type().is_char_device() {
        // A terminal must neither block until its line is up nor become the one that controls this process.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        options.write(true).custom_flags(flags);
    }
    match options.open(path) {
        Ok(_) => Finding::good("device", name, format!("there and usable (`{key}`)")),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let said = format!(
                "there, but not for you; it belongs to group {} with mode {:o}",
                metadata.gid(),
                metadata.mode() & 0o777
            );
            let todo = "run this as the gate's user; that user belongs into the groups dialout, video and gpio, and the udev rules give devices to them";
            Finding::bad(Grade::Wrong, "permissions", name, said, todo)
        }
        Err(error) if error.kind() == ErrorKind::ResourceBusy => {
            let todo = "another process holds it: `fuser -v` with its path names that";
            Finding::bad(Grade::Wrong, "device", name, error.to_string(), todo)
        }
        Err(error) => {
            let todo = "check its plug and power";
            Finding::bad(Grade::Wrong, "device", name, error.to_string(), todo)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_as_the_daemon_says_or_as_it_is_found() {
        let status = serde_json::json!({"devices": [
            {"name": "a", "up": true, "state": "up"},
            {"name": "b", "up": false, "state": "dark"},
            {"name": "c", "up": false, "state": "down"},
        ]});
        let grades: Vec<_> = held(&status).iter().map(|found| found.grade).collect();
        assert_eq!(grades, [Grade::Good, Grade::Look, Grade::Wrong]);
        let gone = look("lane[0].reader[0].line.port", Path::new("/nowhere/tty"));
        assert_eq!(gone.grade, Grade::Wrong);
        assert!(gone.todo.unwrap().contains("lane[0].reader[0].line.port"));
        let there = look("gpio.chip", Path::new("/dev/null"));
        assert_eq!(there.grade, Grade::Good, "{there:?}");
    }
}
