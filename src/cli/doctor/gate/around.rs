//! What is around a gate: its folder, its disk, the board, the clock, the backend, certificates.

use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use serde_json::Value;

use super::super::super::table::Grade;
use super::Finding;
use crate::backend::system_clock;
use crate::config::Config;
use crate::config::tree::ClockTrust;
use crate::domain::{ClockQuality, Utc};
use crate::drivers::MonoClock;
use crate::runtime::clock::{DateSource as _, SystemDate};
use crate::runtime::files::Files;
use crate::runtime::machine;
use crate::sync::tls::Facts;

/// Above this a Raspberry Pi is about to slow down (at 85 degrees).
const HOT_CELSIUS: f64 = 80.0;
/// From here on a disk is replaced.
const WORN: f64 = 0.85;
/// A certificate that ends sooner than this is renewed now, in days.
const ENDS_SOON_DAYS: u64 = 14;

/// The date of this machine, believed or not.
pub(super) fn date() -> Utc {
    system_clock()()
}

/// Whether the gate can write where it keeps what must not be lost.
pub(super) fn folder(config: &Config) -> Vec<Finding> {
    let dir = &config.data_dir;
    let name = dir.display().to_string();
    if !dir.exists() {
        let said = "not there yet; the first start makes it";
        let parent = dir.parent().unwrap_or(Path::new("/"));
        let todo = format!(
            "see that the gate's user may write in {}, or let systemd make it (StateDirectory=)",
            parent.display()
        );
        return vec![Finding::bad(Grade::Look, "permissions", name, said, todo)];
    }
    // A nameless file: it is gone with this process, whatever happens.
    vec![match tempfile::tempfile_in(dir) {
        Ok(_) => Finding::good("permissions", name, "can be written"),
        Err(error) => {
            let todo = "give the folder to the gate's user; a read-only file system is mounted again once its cause is gone (`dmesg`)";
            Finding::bad(Grade::Wrong, "permissions", name, error.to_string(), todo)
        }
    }]
}

/// Room on the disk under the journal, and how much of its life it has used.
pub(super) fn disk(config: &Config) -> Vec<Finding> {
    let dir = nearest(&config.data_dir);
    let name = dir.display().to_string();
    let mut found = Vec::new();
    match rustix::fs::statvfs(dir) {
        Err(error) => {
            let todo = "see that the disk is mounted";
            found.push(Finding::bad(
                Grade::Wrong,
                "disk",
                name,
                error.to_string(),
                todo,
            ));
        }
        Ok(stat) if stat.f_flag.contains(StatVfsMountFlags::RDONLY) => {
            let todo =
                "find out why (`dmesg`), replace the card if it is worn, then mount it read-write";
            found.push(Finding::bad(
                Grade::Wrong,
                "disk",
                name,
                "is read-only",
                todo,
            ));
        }
        Ok(stat) => {
            let mib = |blocks: u64| blocks.saturating_mul(stat.f_frsize) >> 20;
            let (free, size) = (mib(stat.f_bavail), mib(stat.f_blocks));
            let journal = config.journal.size_mib_max.get();
            let said = format!("{free} MiB of {size} MiB are free");
            found.push(if free < size / 20 {
                let todo = "find out what fills it: `du -xh --max-depth=2 / | sort -h | tail`";
                Finding::bad(Grade::Wrong, "disk", name, said, todo)
            } else if free < journal {
                let said = format!("{said}, and the journal may grow to {journal} MiB");
                let todo = "make room, or lower `journal.size_mib_max`";
                Finding::bad(Grade::Look, "disk", name, said, todo)
            } else {
                Finding::good("disk", name, said)
            });
        }
    }
    found
}

/// The first folder on the way up that exists.
fn nearest(dir: &Path) -> &Path {
    let there = dir.ancestors().find(|dir| dir.exists());
    there.unwrap_or(Path::new("/"))
}

/// Temperature and wear, where the board tells.
pub(super) fn board(config: &Config) -> Vec<Finding> {
    let machine = machine::look(Path::new("/sys"), nearest(&config.data_dir));
    let mut found = Vec::new();
    for (zone, celsius) in machine.celsius {
        let said = format!("{celsius:.1} degrees Celsius");
        found.push(if celsius > HOT_CELSIUS {
            let todo = "look at the fan, the vents and the sun on the housing";
            Finding::bad(Grade::Look, "board", zone, said, todo)
        } else {
            Finding::good("board", zone, said)
        });
    }
    for (disk, cells, wear) in machine.wear {
        let name = format!("{disk}, cells {cells}");
        let said = format!("up to {:.0} % of its life are used", wear * 100.0);
        found.push(if wear > WORN {
            let todo = "replace it, once the backlog is delivered";
            Finding::bad(Grade::Look, "disk", name, said, todo)
        } else {
            Finding::good("disk", name, said)
        });
    }
    found
}

/// Who vouches for the date: as the daemon says, or as this process finds out.
pub(super) fn clock(config: &Config, status: Option<&Value>) -> Finding {
    let quality = match status.and_then(|status| status["clock"].as_str()) {
        Some(word) => word.to_owned(),
        None => match SystemDate::start(config.clock.trust, MonoClock::start()) {
            Ok(mut date) => date.vouched(None).to_string(),
            Err(error) => {
                let todo = "see what takes all threads of this machine";
                return Finding::bad(Grade::Wrong, "clock", "date", error.to_string(), todo);
            }
        },
    };
    if config.clock.trust == ClockTrust::Always {
        let said = "always believed, as the config says";
        return Finding::good("clock", "date", said);
    }
    if quality == ClockQuality::Untrusted.to_string() {
        let said = "nobody vouches for it; codes with dates go by the rule `clock_untrusted`";
        let todo = "`timedatectl` shows whether a time daemon runs and reaches a server; a board with a real-time clock needs its battery";
        return Finding::bad(Grade::Wrong, "clock", "date", said, todo);
    }
    Finding::good("clock", "date", quality)
}

/// When the certificates end.
pub(super) fn certificates(files: &Files) -> Vec<Finding> {
    let Some((gate, authority)) = files.certificates() else {
        return Vec::new();
    };
    let now = date();
    let one = |(name, facts): (&str, &Facts)| {
        let days = facts.not_after.since(now).as_secs() / 86_400;
        let todo = "`turnstiled backend enrol` at the backend makes a new bundle; it is taken up without a restart";
        if facts.not_before > now {
            let said = "not valid yet at the date of this machine";
            let todo = "look at the clock of this machine and at that of the authority";
            Finding::bad(Grade::Wrong, "certificate", name, said, todo)
        } else if facts.not_after <= now {
            Finding::bad(Grade::Wrong, "certificate", name, "has ended", todo)
        } else if days < ENDS_SOON_DAYS {
            let said = format!("ends in {days} days");
            Finding::bad(Grade::Look, "certificate", name, said, todo)
        } else {
            Finding::good("certificate", name, format!("good for {days} days"))
        }
    };
    let both = [("gate", gate), ("authority", authority)];
    both.into_iter().map(one).collect()
}

/// Whether the backend answers.
pub(super) fn backend(config: &Config, knocked: Option<Result<(), String>>) -> Finding {
    let Some(backend) = &config.backend else {
        return Finding::good("backend", "none", "the config has none");
    };
    match knocked {
        Some(Ok(())) => Finding::good("backend", &backend.url, "answers"),
        Some(Err(why)) => {
            let todo = "look at the cable, at the address and at the backend; the gate decides from its lists meanwhile, and no record is lost";
            Finding::bad(Grade::Look, "backend", &backend.url, why, todo)
        }
        None => {
            let todo = "report this: a backend that is configured was not asked";
            Finding::bad(Grade::Look, "backend", &backend.url, "was not asked", todo)
        }
    }
}
