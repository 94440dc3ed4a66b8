//! Both clocks of the gate, and whether the date may be used (DESIGN §3 "Clock").

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::tree::ClockTrust;
use crate::domain::{ClockQuality, Mono, Now, Utc};
use crate::drivers::MonoClock;

/// systemd-timesyncd touches this file once it has synchronised; it lives until the next boot.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// A board with a real-time clock keeps the date while it is off.
const RTC: &str = "/sys/class/rtc/rtc0/since_epoch";
/// How long an answer of the system about its clock is believed.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Reads the clocks. One a process; the loop reads it once a turn.
#[derive(Debug)]
pub struct WallClock {
    mono: MonoClock,
    trust: ClockTrust,
    floor: Utc,
    vouched: ClockQuality,
    asked: Option<Mono>,
}

impl WallClock {
    /// A clock that does not believe any date before `floor`.
    #[must_use]
    pub fn new(mono: MonoClock, trust: ClockTrust, floor: Option<Utc>) -> Self {
        Self {
            mono,
            trust,
            floor: floor.unwrap_or_default(),
            vouched: ClockQuality::Untrusted,
            asked: None,
        }
    }

    /// The monotonic part, to hand to drivers.
    #[must_use]
    pub const fn mono(&self) -> MonoClock {
        self.mono
    }

    /// Something signed or recorded says that it is at least `date` now.
    pub fn raise_floor(&mut self, date: Utc) {
        self.floor = self.floor.max(date);
    }

    /// No date before this is believed.
    #[must_use]
    pub const fn floor(&self) -> Utc {
        self.floor
    }

    /// Reads both clocks.
    pub fn now(&mut self) -> Now {
        let mono = self.mono.now();
        if self
            .asked
            .is_none_or(|asked| mono.since(asked) >= ASK_AGAIN)
        {
            self.asked = Some(mono);
            self.vouched = vouched(self.trust);
        }
        self.judge(mono, system_date())
    }

    fn judge(&self, mono: Mono, date: Utc) -> Now {
        if self.vouched == ClockQuality::Untrusted || date < self.floor {
            return Now {
                mono,
                utc: None,
                quality: ClockQuality::Untrusted,
            };
        }
        Now {
            mono,
            utc: Some(date),
            quality: self.vouched,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one source of the date"
)]
fn system_date() -> Utc {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Utc::default() + since
}

fn vouched(trust: ClockTrust) -> ClockQuality {
    match trust {
        ClockTrust::Always => ClockQuality::Synchronised,
        ClockTrust::System if Path::new(SYNCHRONISED).exists() => ClockQuality::Synchronised,
        ClockTrust::System if Path::new(RTC).exists() => ClockQuality::Held,
        ClockTrust::System => ClockQuality::Untrusted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_date_below_the_floor_is_not_used() {
        let mut clock = WallClock::new(
            MonoClock::start(),
            ClockTrust::Always,
            Some(Utc::from_secs(1_000)),
        );
        let _ = clock.now();
        let early = clock.judge(Mono::default(), Utc::from_secs(999));
        assert_eq!((early.utc, early.quality), (None, ClockQuality::Untrusted));
        let late = clock.judge(Mono::default(), Utc::from_secs(1_000));
        assert_eq!(
            (late.utc, late.quality),
            (Some(Utc::from_secs(1_000)), ClockQuality::Synchronised)
        );
        clock.raise_floor(Utc::from_secs(2_000));
        assert_eq!(
            clock.judge(Mono::default(), Utc::from_secs(1_000)).utc,
            None
        );
    }
}
