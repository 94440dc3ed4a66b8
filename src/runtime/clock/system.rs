//! The date of this machine, and who vouches for it. A thread of its own asks: a real-time clock on a slow bus, or a
//! process that hangs, must not hold up the loop.
//!
//! | Who | How | Means |
//! |---|---|---|
//! | systemd-timesyncd | touches a file whenever it has set the date | synchronised |
//! | chrony, ntpd, ntpd-rs, any other | the kernel's own flag, which whoever sets the clock takes away and only a time daemon gives back; `timedatectl` reads it (org.freedesktop.timedate1, `NTPSynchronized`) | synchronised |
//! | a real-time clock | says the same as the date, in UTC | held |

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{DateSource, JUMP_MAX};
use crate::config::tree::ClockTrust;
use crate::domain::{ClockQuality, Mono, Utc};
use crate::drivers::MonoClock;

/// systemd-timesyncd touches this file whenever it has set the date; it lives until the next boot.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// A board with a real-time clock keeps the date while it is off.
const RTC: &str = "/sys/class/rtc/rtc0/since_epoch";
/// A real-time clock that differs by more than this is not set, or its battery is empty.
const RTC_MAX: Duration = Duration::from_secs(300);
/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often the kernel's flag is asked for while it is not set, and while it is.
const FLAG: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));
/// How long `timedatectl` may take.
const FLAG_MAX: Duration = Duration::from_secs(5);

/// The date of this machine.
pub struct SystemDate {
    word: Arc<Mutex<Word>>,
    /// Tells the thread of a jump; `None`: whoever runs this vouches for everything.
    jumps: Option<SyncSender<Mono>>,
    jumped: Option<Mono>,
}

/// What was found out when.
#[derive(Clone, Copy, Default)]
struct Word {
    at: Mono,
    quality: ClockQuality,
}

impl SystemDate {
    /// Begins to ask, once here and then on a thread that ends with this.
    ///
    /// # Errors
    /// What the system says if it has no thread left.
    pub fn start(trust: ClockTrust, mono: MonoClock) -> std::io::Result<Self> {
        let word = Arc::default();
        if trust == ClockTrust::Always {
            return Ok(Self {
                word,
                jumps: None,
                jumped: None,
            });
        }
        let witness = Witness::new(Path::new(SYNCHRONISED), Path::new(RTC));
        let mut asking = Asking {
            mono,
            witness,
            flag: None,
            jumped: None,
            word: Arc::clone(&word),
        };
        asking.look();
        let (jumps, told) = sync_channel(4);
        std::thread::Builder::new()
            .name("clock".into())
            .spawn(move || asking.run(&told))?;
        Ok(Self {
            word,
            jumps: Some(jumps),
            jumped: None,
        })
    }
}

impl DateSource for SystemDate {
    fn date(&self) -> Utc {
        system_date()
    }

    fn vouched(&mut self, jumped: Option<Mono>) -> ClockQuality {
        let Some(jumps) = &self.jumps else {
            return ClockQuality::Synchronised;
        };
        if let Some(at) = jumped.filter(|_| jumped != self.jumped) {
            // A full queue means that the thread is about to look again in any case.
            let _ = jumps.try_send(at);
            self.jumped = jumped;
        }
        let word = *self.word.lock().unwrap_or_else(PoisonError::into_inner);
        if jumped.is_some_and(|jumped| word.at < jumped) {
            return ClockQuality::Untrusted;
        }
        word.quality
    }
}

/// The thread.
struct Asking {
    mono: MonoClock,
    witness: Witness,
    /// The kernel's flag, and when it was asked for.
    flag: Option<(Mono, bool)>,
    jumped: Option<Mono>,
    word: Arc<Mutex<Word>>,
}

impl Asking {
    fn run(mut self, jumps: &Receiver<Mono>) {
        let mut has_flag = true;
        loop {
            if has_flag && self.wants_flag() {
                let at = self.mono.now();
                match flag() {
                    Ok(set) => self.flag = Some((at, set)),
                    Err(error) => {
                        tracing::info!(%error, "timedatectl cannot be asked about the clock");
                        has_flag = false;
                    }
                }
            }
            self.look();
            match jumps.recv_timeout(LOOK) {
                Ok(jumped) => self.jumped = Some(jumped),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Not while the file says it all.
    fn wants_flag(&self) -> bool {
        let now = self.mono.now();
        let due = match self.flag {
            None => true,
            Some((at, _)) if self.jumped.is_some_and(|jumped| at < jumped) => true,
            Some((at, true)) => now.since(at) >= FLAG.1,
            Some((at, false)) => now.since(at) >= FLAG.0,
        };
        due && !self.witness.has_mark(system_date(), self.since_jump(now))
    }

    fn since_jump(&self, now: Mono) -> Option<Duration> {
        self.jumped.map(|jumped| now.since(jumped))
    }

    fn look(&mut self) {
        let at = self.mono.now();
        let flagged = self
            .flag
            .is_some_and(|(asked, set)| set && self.jumped.is_none_or(|jumped| jumped <= asked));
        let (date, since_jump) = (system_date(), self.since_jump(at));
        let quality = if flagged || self.witness.has_mark(date, since_jump) {
            ClockQuality::Synchronised
        } else if self.witness.has_rtc(date) {
            ClockQuality::Held
        } else {
            ClockQuality::Untrusted
        };
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = Word { at, quality };
    }
}

/// The files.
struct Witness {
    mark: PathBuf,
    rtc: PathBuf,
}

impl Witness {
    fn new(mark: &Path, rtc: &Path) -> Self {
        Self {
            mark: mark.into(),
            rtc: rtc.into(),
        }
    }

    /// True if the mark was set by a clock that went as this one does: not later than now, and after the last jump.
    fn has_mark(&self, date: Utc, since_jump: Option<Duration>) -> bool {
        let modified = std::fs::metadata(&self.mark).and_then(|file| file.modified());
        let Ok(set) = modified.map(of_system) else {
            return false;
        };
        let age_max = since_jump.map(|since| since + JUMP_MAX);
        set.since(date) <= JUMP_MAX && age_max.is_none_or(|max| date.since(set) <= max)
    }

    fn has_rtc(&self, date: Utc) -> bool {
        let Ok(text) = std::fs::read_to_string(&self.rtc) else {
            return false;
        };
        let rtc = text.trim().parse().map(Utc::from_secs);
        rtc.is_ok_and(|rtc| rtc.since(date).max(date.since(rtc)) <= RTC_MAX)
    }
}

/// The kernel's flag. A `timedatectl` that fails or hangs says no; one that is not there is an error.
fn flag() -> std::io::Result<bool> {
    let child = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(said(child) == "yes")
}

fn said(mut child: Child) -> String {
    let tries = FLAG_MAX.as_millis() / 50;
    for _ in 0..tries {
        if !matches!(child.try_wait(), Ok(None)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // It has ended, or it does now; a kill of what has ended is refused, and harmless.
    let _ = child.kill();
    let _ = child.wait();
    let mut text = String::new();
    if let Some(out) = child.stdout {
        // What is no text is no "yes".
        let _ = out.take(64).read_to_string(&mut text);
    }
    text.trim().to_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one source of the date"
)]
fn system_date() -> Utc {
    of_system(SystemTime::now())
}

fn of_system(time: SystemTime) -> Utc {
    Utc::default() + time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn witness(dir: &Path) -> Witness {
        Witness::new(&dir.join("mark"), &dir.join("rtc"))
    }

    #[test]
    fn a_mark_counts_until_the_date_jumps_and_then_when_it_is_set_anew() {
        let dir = tempfile::tempdir().unwrap();
        let witness = witness(dir.path());
        let date = system_date();
        assert!(!witness.has_mark(date, None), "there is none");
        fs::write(dir.path().join("mark"), "").unwrap();
        assert!(witness.has_mark(date, None));
        assert!(witness.has_mark(date + DAY * 3, None), "days ago");
        // A jump ahead makes it look old, a jump back makes it look as if it were of tomorrow.
        let second = Some(Duration::from_secs(1));
        assert!(!witness.has_mark(date + DAY * 365, second));
        assert!(!witness.has_mark(date - DAY * 365, second));
        assert!(
            witness.has_mark(date, second),
            "set after the jump, by the new date"
        );
    }

    #[test]
    fn a_real_time_clock_counts_if_it_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let witness = witness(dir.path());
        let date = Utc::from_secs(1_770_000_000);
        assert!(!witness.has_rtc(date), "there is none");
        for (text, counts) in [
            ("1770000120\n", true),
            ("1769999900", true),
            ("1770000301", false),
            ("0", false),
            ("noon", false),
            ("", false),
        ] {
            fs::write(dir.path().join("rtc"), text).unwrap();
            assert_eq!(witness.has_rtc(date), counts, "{text:?}");
        }
    }

    #[test]
    fn a_helper_that_says_yes_is_heard_and_one_that_fails_is_not() {
        let sh = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdout(Stdio::piped());
            said(command.spawn().unwrap())
        };
        assert_eq!(sh("echo yes"), "yes");
        assert_eq!(sh("echo no"), "no");
        assert_eq!(sh("exit 1"), "");
    }
}
