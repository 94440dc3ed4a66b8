//! Both clocks of the gate, and whether the date may be used (DESIGN §3 "Clock").
//!
//! - Somebody must *vouch* for the date: the time daemon (synchronised), or a real-time clock that says the same (held).
//! - Once vouched for, the date is held while nobody does any more, for as long as it goes on with the monotonic clock:
//!   a gate that has not heard a time server for days drifts by seconds, and refuses nobody for it.
//! - A date that *jumps* against the monotonic clock by more than [`JUMP_MAX`], either way, is not used from that reading
//!   on, until somebody vouches for it anew; what was said before the jump does not count. So no jump that nobody
//!   answers for makes a code expire, brings an expired one back, or makes the gate forget who has passed. A time daemon
//!   that has corrected the date vouches for it in the same moment.
//! - The date is never below the *floor*: the last record, the newest signed `created`. A little below it, the date is
//!   the floor (the clock of a backend may be seconds ahead); further below, it is not used, whoever vouches for it.
//! - With `trust = "always"` whoever runs this vouches for every date. A jump is believed then; it is logged and counted
//!   all the same.
//!
//! How long something takes, or may take, is never a matter of the date: grants, passback and used codes of this process
//! are timed by the monotonic clock alone.

mod system;

use std::time::Duration;

pub use system::SystemDate;

use crate::domain::{ClockQuality, Mono, Now, Utc};
use crate::drivers::MonoClock;

/// A date that moves by more than this against the monotonic clock has jumped. Time servers slew what is less.
pub const JUMP_MAX: Duration = Duration::from_secs(10);
/// How long word of who vouches is believed.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// The same while the date is waited for.
const ASK_SOON: Duration = Duration::from_millis(500);
/// Both clocks are read within this, or once more.
const READ_MAX: Duration = Duration::from_secs(1);

/// Where the date comes from, and who vouches for it. Neither call may wait.
pub trait DateSource: Send {
    /// The date as it stands.
    fn date(&self) -> Utc;

    /// How far it can be believed. Word from before `jumped` does not count.
    fn vouched(&mut self, jumped: Option<Mono>) -> ClockQuality;
}

/// Reads the clocks. One a process; the loop reads it once a turn.
pub struct WallClock {
    mono: MonoClock,
    source: Box<dyn DateSource>,
    floor: Utc,
    vouched: ClockQuality,
    asked: Option<Mono>,
    last: Option<(Mono, Utc)>,
    jumped: Option<Mono>,
    jumps: u64,
    /// What was logged last, and whether the floor was the reason.
    told: Option<(ClockQuality, bool)>,
}

impl WallClock {
    /// A clock that does not believe any date before `floor`.
    #[must_use]
    pub fn new(mono: MonoClock, source: Box<dyn DateSource>, floor: Option<Utc>) -> Self {
        Self {
            mono,
            source,
            floor: floor.unwrap_or_default(),
            vouched: ClockQuality::Untrusted,
            asked: None,
            last: None,
            jumped: None,
            jumps: 0,
            told: None,
        }
    }

    /// The monotonic part, to hand to drivers.
    #[must_use]
    pub const fn mono(&self) -> MonoClock {
        self.mono
    }

    /// How often the date has jumped since the start.
    #[must_use]
    pub const fn jumps(&self) -> u64 {
        self.jumps
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
        let mut before = self.mono.now();
        let mut date = self.source.date();
        // A process that is stopped between the two readings would see a jump where there is none.
        for _ in 0..3 {
            let after = self.mono.now();
            if after.since(before) < READ_MAX {
                break;
            }
            before = after;
            date = self.source.date();
        }
        let now = self.read(before, date);
        self.tell(now);
        now
    }

    fn read(&mut self, mono: Mono, date: Utc) -> Now {
        let last = self.last.replace((mono, date));
        if let Some(expected) = last.map(|(then, dated)| dated + mono.since(then)) {
            self.watch_for_a_jump(mono, date, expected);
        }
        let word_holds = match self.vouched {
            ClockQuality::Synchronised => ASK_AGAIN,
            ClockQuality::Held | ClockQuality::Untrusted => ASK_SOON,
        };
        if self
            .asked
            .is_none_or(|asked| mono.since(asked) >= word_holds)
        {
            self.asked = Some(mono);
            self.vouched = match (self.source.vouched(self.jumped), self.vouched) {
                // It goes on with the monotonic clock from when it was vouched for.
                (ClockQuality::Untrusted, ClockQuality::Synchronised | ClockQuality::Held) => {
                    ClockQuality::Held
                }
                (word, _) => word,
            };
        }
        self.judge(mono, date)
    }

    fn watch_for_a_jump(&mut self, mono: Mono, date: Utc, expected: Utc) {
        let (ahead, behind) = (date.since(expected), expected.since(date));
        if ahead.max(behind) <= JUMP_MAX {
            return;
        }
        self.jumps = self.jumps.saturating_add(1);
        self.jumped = Some(mono);
        self.vouched = ClockQuality::Untrusted;
        self.asked = None;
        tracing::warn!(
            ahead_s = ahead.as_secs(),
            behind_s = behind.as_secs(),
            "the date has jumped; it is used again once it is vouched for anew"
        );
    }

    fn judge(&self, mono: Mono, date: Utc) -> Now {
        if self.vouched == ClockQuality::Untrusted || self.floor.since(date) > JUMP_MAX {
            return Now {
                mono,
                utc: None,
                quality: ClockQuality::Untrusted,
            };
        }
        Now {
            mono,
            utc: Some(date.max(self.floor)),
            quality: self.vouched,
        }
    }

    /// One line a change.
    fn tell(&mut self, now: Now) {
        let below_floor =
            now.quality == ClockQuality::Untrusted && self.vouched != ClockQuality::Untrusted;
        if self.told == Some((now.quality, below_floor)) {
            return;
        }
        let before = self.told.replace((now.quality, below_floor));
        match now.quality {
            ClockQuality::Untrusted if below_floor => tracing::warn!(
                "the date is older than what was recorded or signed before; what needs it follows `clock_untrusted`"
            ),
            ClockQuality::Untrusted => tracing::warn!(
                "nobody vouches for the date; what needs it follows `clock_untrusted`"
            ),
            ClockQuality::Synchronised | ClockQuality::Held if before.is_some() => {
                tracing::info!(clock = %now.quality, "the date is used");
            }
            ClockQuality::Synchronised | ClockQuality::Held => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const YEAR: Duration = Duration::from_secs(365 * 86_400);

    /// A time daemon that says what the test says; its word is older than any jump, until it is given again.
    #[derive(Clone, Default)]
    struct Daemon(Arc<Mutex<(ClockQuality, bool)>>);

    impl Daemon {
        fn says(&self, quality: ClockQuality) {
            *self.0.lock().unwrap() = (quality, true);
        }
    }

    impl DateSource for Daemon {
        fn date(&self) -> Utc {
            Utc::default()
        }

        fn vouched(&mut self, jumped: Option<Mono>) -> ClockQuality {
            let mut word = self.0.lock().unwrap();
            let given_since = std::mem::take(&mut word.1);
            if jumped.is_none() || given_since {
                word.0
            } else {
                ClockQuality::Untrusted
            }
        }
    }

    struct Desk {
        clock: WallClock,
        daemon: Daemon,
        at_s: u64,
    }

    impl Desk {
        fn new(word: ClockQuality, floor_s: u64) -> Self {
            let daemon = Daemon::default();
            daemon.says(word);
            let floor = Some(Utc::from_secs(floor_s));
            let clock = WallClock::new(MonoClock::start(), Box::new(daemon.clone()), floor);
            Self {
                clock,
                daemon,
                at_s: 0,
            }
        }

        /// Reads `date` a second after the reading before.
        fn reads(&mut self, date: Utc) -> (Option<Utc>, ClockQuality) {
            self.at_s += 1;
            let now = self.clock.read(Mono::from_millis(self.at_s * 1000), date);
            (now.utc, now.quality)
        }
    }

    const UNTRUSTED: (Option<Utc>, ClockQuality) = (None, ClockQuality::Untrusted);

    const fn date(s: u64) -> Utc {
        Utc::from_secs(1_770_000_000 + s)
    }

    #[tokio::test]
    async fn a_date_below_the_floor_is_not_used_and_a_little_below_it_is_the_floor() {
        let mut desk = Desk::new(ClockQuality::Synchronised, 1_000);
        assert_eq!(desk.reads(Utc::from_secs(900)), UNTRUSTED);
        let floor = Some(Utc::from_secs(1_000));
        let mut desk = Desk::new(ClockQuality::Synchronised, 1_000);
        assert_eq!(desk.reads(Utc::from_secs(999)).0, floor);
        assert_eq!(desk.reads(Utc::from_secs(1_000)).0, floor);
        desk.clock.raise_floor(Utc::from_secs(2_000));
        assert_eq!(desk.reads(Utc::from_secs(1_001)), UNTRUSTED);
    }

    #[tokio::test]
    async fn a_jump_either_way_is_not_believed_before_it_is_vouched_for_anew() {
        for ahead in [true, false] {
            let mut desk = Desk::new(ClockQuality::Synchronised, 0);
            assert_eq!(desk.reads(date(1)).1, ClockQuality::Synchronised);
            let jumped = |s| {
                if ahead {
                    date(s) + YEAR
                } else {
                    date(s) - YEAR
                }
            };
            for s in 2..100 {
                assert_eq!(desk.reads(jumped(s)), UNTRUSTED, "after {s} s");
            }
            assert_eq!(desk.clock.jumps(), 1);
            desk.daemon.says(ClockQuality::Synchronised);
            let believed = (Some(jumped(100)), ClockQuality::Synchronised);
            assert_eq!(desk.reads(jumped(100)), believed);
            // Back again is a jump like any other.
            assert_eq!(desk.reads(date(101)), UNTRUSTED);
            assert_eq!(desk.clock.jumps(), 2);
        }
    }

    #[tokio::test]
    async fn a_clock_that_drifts_without_a_time_server_is_held() {
        let mut desk = Desk::new(ClockQuality::Synchronised, 0);
        assert_eq!(desk.reads(date(0)).1, ClockQuality::Synchronised);
        desk.daemon.says(ClockQuality::Untrusted);
        // A minute a day, for ten days, read every hour.
        for hour in 1..=240 {
            desk.at_s = hour * 3_600;
            let drifted = date(hour * 3_600 + hour * 60 / 24);
            let read = desk.reads(drifted);
            assert_eq!(read, (Some(drifted), ClockQuality::Held), "hour {hour}");
        }
        assert_eq!(desk.clock.jumps(), 0);
    }

    #[tokio::test]
    async fn a_date_that_nobody_ever_vouched_for_is_not_used() {
        let mut desk = Desk::new(ClockQuality::Untrusted, 0);
        for s in 0..20 {
            assert_eq!(desk.reads(date(s)), UNTRUSTED);
        }
        desk.daemon.says(ClockQuality::Held);
        assert_eq!(desk.reads(date(20)), (Some(date(20)), ClockQuality::Held));
    }
}
