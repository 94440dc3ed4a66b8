//! A gate under a script: events at milliseconds, deadlines kept in between, a journal that answers when told to.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks one action out of many"
)]

use std::time::Duration;

use super::{
    Barrier, Below, Drive, Gate, LaneSettings, LaneView, OnTrouble, Passback, Rules, Settings,
};
use crate::domain::{
    Action, Alarm, Assessed, Assurance, ClockQuality, Credential, Direction, Entry, Event, Finding,
    GrantId, HealthOutcome, IssuerId, JournalTrouble, Kind, LaneId, Levels, ListId, Medium, Mode,
    Mono, Now, Outcome, Prompt, Reason, Replay, ReplayKey, Restored, RowKey, Rule, Schedule,
    Sensor, Standing, StateChange, Subject, Utc, Verdict,
};

pub(super) const LANE: LaneId = LaneId(0);
pub(super) const BESIDE: LaneId = LaneId(1);
/// The date at millisecond 0.
pub(super) const TODAY_S: u64 = 1_900_000_000;

pub(super) fn flap() -> LaneSettings {
    LaneSettings {
        name: "north".into(),
        barrier: Barrier::Flap,
        directions: vec![Direction::Entry, Direction::Exit],
        mode: Mode::Normal,
        schedule: Schedule::default(),
        release: Duration::from_secs(5),
        debounce: Duration::from_millis(10),
        obstruction: Duration::from_secs(10),
        sensors: vec![Sensor::EntryBeam, Sensor::ExitBeam],
        travel: Duration::from_secs(2),
        follower_gap: Duration::from_secs(1),
        below: Below::Luggage,
        group_max: 1,
        duty_percent: 100,
    }
}

pub(super) fn tripod() -> LaneSettings {
    LaneSettings {
        name: "south".into(),
        barrier: Barrier::Tripod {
            drive: Drive::Pulse(Duration::from_millis(500)),
        },
        sensors: vec![Sensor::EntryRotor, Sensor::ExitRotor],
        ..flap()
    }
}

/// A swing gate with four beams, one below them, a sensor of presence and limit switches.
pub(super) fn swing() -> LaneSettings {
    use Sensor as S;
    LaneSettings {
        name: "wide".into(),
        barrier: Barrier::Swing,
        sensors: vec![
            S::EntryBeam,
            S::Middle1,
            S::Middle2,
            S::ExitBeam,
            S::LowBeam,
            S::Presence,
            S::Opened,
            S::Closed,
        ],
        ..flap()
    }
}

/// A full-height gate with six beams and limit switches.
pub(super) fn full_height() -> LaneSettings {
    let ends = [Sensor::Opened, Sensor::Closed];
    LaneSettings {
        name: "tall".into(),
        barrier: Barrier::FullHeight,
        sensors: Sensor::BEAMS.into_iter().chain(ends).collect(),
        ..flap()
    }
}

/// A tripod whose solenoid is held, with the points of 67 and 112 degrees.
pub(super) fn held_tripod() -> LaneSettings {
    LaneSettings {
        name: "held".into(),
        barrier: Barrier::Tripod { drive: Drive::Hold },
        sensors: vec![
            Sensor::EntryRotor,
            Sensor::ExitRotor,
            Sensor::PassPoint,
            Sensor::ResetPoint,
        ],
        ..flap()
    }
}

/// A lane of each kind.
pub(super) fn each_kind() -> [LaneSettings; 5] {
    [flap(), tripod(), swing(), full_height(), held_tripod()]
}

/// The defaults of a config file.
pub(super) fn settings(lanes: Vec<LaneSettings>) -> Settings {
    let entry = Rules {
        green: Rule::Open,
        yellow: Rule::Assist,
        red: Rule::Hold,
        unknown: Rule::Hold,
        not_applied: Rule::Hold,
        query_failed: Rule::Assist,
        timed_out: Rule::Assist,
        stale: Rule::Assist,
        trust_expired: Rule::Assist,
        clock_untrusted: Rule::Assist,
        assurance: Assurance::Identifier,
    };
    Settings {
        lanes,
        entry,
        exit: all(Rule::Open),
        passback: Some(Passback {
            remember: Duration::from_secs(4 * 3600),
            soft: false,
            wide: false,
        }),
        claims: None,
        resolve: Some(Duration::from_millis(800)),
        stall: Duration::from_millis(300),
        on_stall: OnTrouble::Hold,
        on_full: OnTrouble::Hold,
        software: "1.2.3".into(),
        required_entitlements: 1,
        health_required: true,
        overlays: Vec::new(),
        certificates: None,
    }
}

pub(super) const fn all(rule: Rule) -> Rules {
    Rules {
        green: rule,
        yellow: rule,
        red: rule,
        unknown: rule,
        not_applied: rule,
        query_failed: rule,
        timed_out: rule,
        stale: rule,
        trust_expired: rule,
        clock_untrusted: rule,
        assurance: Assurance::Identifier,
    }
}

/// Somebody with a printed code; `n` tells people apart.
pub(super) fn credential(n: u8) -> Credential {
    Credential {
        issuer: IssuerId::new("metro").unwrap(),
        medium: Medium::QrCode,
        assurance: Assurance::Identifier,
        keys: vec![(ListId::new("health").unwrap(), RowKey([n; 16]))],
        replay: None,
        valid_from: None,
        valid_until: None,
        alone: Rule::Open,
        unknown: None,
        trust_expired: false,
    }
}

/// The same with a code that is refreshed every minute.
pub(super) fn dynamic(n: u8) -> Credential {
    Credential {
        replay: Some(Replay {
            key: ReplayKey([n; 32]),
            window_s: 90,
        }),
        ..credential(n)
    }
}

pub(super) fn standing(health: HealthOutcome) -> Standing {
    Standing {
        health,
        subject: None,
        valid_from: None,
        valid_until: None,
        entitlements: 1,
        lists: Vec::new(),
        stale: false,
        region: 0,
    }
}

pub(super) fn read(credential: Credential, standing: Standing) -> Finding {
    Finding::Read {
        credential,
        standing,
    }
}

pub(super) fn green(n: u8) -> Finding {
    read(credential(n), standing(HealthOutcome::Green))
}

/// `"#."`: the outer sensor is active, the inner is not.
pub(super) fn levels(barrier: Barrier, picture: &str) -> Levels {
    let (outer, inner) = if barrier.is_tripod() {
        (Sensor::EntryRotor, Sensor::ExitRotor)
    } else {
        (Sensor::EntryBeam, Sensor::ExitBeam)
    };
    Levels::default()
        .with(outer, picture.starts_with('#'))
        .with(inner, picture.ends_with('#'))
}

pub(super) struct Scene {
    pub(super) gate: Gate,
    pub(super) settings: Settings,
    pub(super) log: Vec<(u64, Action)>,
    /// How long the journal takes; `None`: it does not answer by itself.
    pub(super) journal_ms: Option<u64>,
    pub(super) dateless: bool,
    now_ms: u64,
    number: u64,
    pending: Vec<(u64, GrantId)>,
}

impl Scene {
    pub(super) fn new(lane: LaneSettings) -> Self {
        Self::with(settings(vec![lane]))
    }

    pub(super) fn with(settings: Settings) -> Self {
        let restored = Restored {
            boot: 7,
            ..Restored::default()
        };
        Self::restored(settings, restored)
    }

    pub(super) fn restored(settings: Settings, restored: Restored) -> Self {
        let lanes = settings.lanes.len();
        let mut scene = Self::unsensed(settings, restored);
        // The driver says levels at once.
        for lane in (0..).map(LaneId).take(lanes) {
            scene.step(0, Event::Sensed(lane, Levels::default()));
        }
        scene
    }

    /// A gate whose sensors have said nothing yet.
    pub(super) fn unsensed(settings: Settings, restored: Restored) -> Self {
        let mut out = Vec::new();
        let gate = Gate::new(settings.clone(), restored, now(0, false), &mut out);
        Self {
            gate,
            settings,
            log: out.into_iter().map(|action| (0, action)).collect(),
            journal_ms: Some(5),
            dateless: false,
            now_ms: 0,
            number: 0,
            pending: Vec::new(),
        }
    }

    /// Lets time pass until `ms`: timers fire and the journal answers on the way.
    pub(super) fn until_ms(&mut self, ms: u64) -> &mut Self {
        loop {
            let due = self
                .gate
                .deadline()
                .map(|due| due.as_micros().div_ceil(1000).max(self.now_ms));
            self.pending.sort_unstable();
            let durable = self.pending.first().copied();
            match (due, durable) {
                (_, Some((at, grant))) if at <= ms && due.is_none_or(|due| at < due) => {
                    self.pending.remove(0);
                    self.step(at, Event::Durable(grant));
                }
                (Some(at), _) if at <= ms => self.step(at, Event::TimedOut),
                (Some(_) | None, _) => break,
            }
        }
        self.now_ms = self.now_ms.max(ms);
        self
    }

    pub(super) fn at_ms(&mut self, ms: u64, event: Event) -> &mut Self {
        self.until_ms(ms);
        self.step(ms, event);
        self
    }

    /// What `read` finds is shown on `side` of the first lane.
    pub(super) fn shows(&mut self, ms: u64, side: Direction, finding: Finding) -> &mut Self {
        self.shows_at(LANE, ms, side, finding)
    }

    pub(super) fn shows_at(
        &mut self,
        lane: LaneId,
        ms: u64,
        direction: Direction,
        finding: Finding,
    ) -> &mut Self {
        self.number += 1;
        let assessed = Assessed {
            number: self.number,
            lane,
            direction,
            medium: Medium::QrCode,
            seen: Mono::from_millis(ms),
            read: Mono::from_millis(ms),
            finding,
        };
        self.at_ms(ms, Event::Presented(assessed))
    }

    /// The sensors of the first lane, as pictures at milliseconds.
    pub(super) fn senses(&mut self, pictures: &[(u64, &str)]) -> &mut Self {
        let barrier = self.settings.lanes[0].barrier;
        for (ms, picture) in pictures {
            self.at_ms(*ms, Event::Sensed(LANE, levels(barrier, picture)));
        }
        self
    }

    /// The sensors of the first lane that are active from a millisecond on, all others not.
    pub(super) fn feels(&mut self, ms: u64, active: &[Sensor]) -> &mut Self {
        let levels = active.iter().copied().collect();
        self.at_ms(ms, Event::Sensed(LANE, levels))
    }

    /// Somebody walks past these sensors from a millisecond on, each for 200 ms and 100 ms into the next.
    pub(super) fn walks(&mut self, ms: u64, past: &[Sensor], beside: &[Sensor]) -> &mut Self {
        for nth in 0..past.len() as u64 {
            let at = usize::try_from(nth).unwrap();
            let with = |sensors: &[Sensor]| [sensors, beside].concat();
            self.feels(ms + nth * 200, &with(&past[at..=at]));
            let next = (at + 2).min(past.len());
            self.feels(ms + nth * 200 + 100, &with(&past[at..next]));
        }
        self.feels(ms + past.len() as u64 * 200, beside)
    }

    /// Sensors that were reported, or are no longer.
    pub(super) fn suspects(&self) -> Vec<(Sensor, bool)> {
        self.pick(|action| match action {
            Action::SensorSticks(LANE, sensor, on) => Some((*sensor, *on)),
            _ => None,
        })
    }

    pub(super) fn answers(
        &mut self,
        ms: u64,
        answer: Result<Standing, HealthOutcome>,
    ) -> &mut Self {
        let number = self.number;
        self.at_ms(ms, Event::Answered { number, answer })
    }

    fn step(&mut self, ms: u64, event: Event) {
        self.now_ms = ms;
        let mut out = Vec::new();
        self.gate.step(now(ms, self.dateless), event, &mut out);
        for action in out {
            if let (
                Action::Record(Entry {
                    grant: Some(grant), ..
                }),
                Some(after),
            ) = (&action, self.journal_ms)
            {
                self.pending.push((ms + after, *grant));
            }
            self.log.push((ms, action));
        }
    }

    pub(super) fn view(&self) -> LaneView {
        self.gate.lane_view(LANE)
    }

    pub(super) fn decisions(&self) -> Vec<(Verdict, Reason)> {
        self.pick(|action| match action {
            Action::Decided(decided) => Some((decided.verdict, decided.reason)),
            _ => None,
        })
    }

    /// Outcomes with the counter of the grant that they end.
    pub(super) fn outcomes(&self) -> Vec<(Outcome, Option<u64>)> {
        self.pick(|action| match action {
            Action::Ended(_, _, outcome, grant) => {
                Some((*outcome, grant.map(|grant| grant.0 & 0xFFFF_FFFF)))
            }
            _ => None,
        })
    }

    /// What was shown on one side of the first lane.
    pub(super) fn signs(&self, side: Direction) -> Vec<Prompt> {
        self.pick(|action| match action {
            Action::Show(LANE, at, prompt) if *at == side => Some(*prompt),
            _ => None,
        })
    }

    /// `R` release, `B` release both ways, `L` lock, with the millisecond.
    pub(super) fn barrier(&self) -> Vec<(u64, char)> {
        let at = |(ms, action): &(u64, Action)| match action {
            Action::ReleaseBarrier(LANE, _) => Some((*ms, 'R')),
            Action::ReleaseBothWays(LANE) => Some((*ms, 'B')),
            Action::LockBarrier(LANE) => Some((*ms, 'L')),
            _ => None,
        };
        self.log.iter().filter_map(at).collect()
    }

    pub(super) fn alarms(&self, of: Alarm) -> Vec<(u64, bool)> {
        let at = |(ms, action): &(u64, Action)| match action {
            Action::Alarm(_, alarm, on) if *alarm == of => Some((*ms, *on)),
            _ => None,
        };
        self.log.iter().filter_map(at).collect()
    }

    pub(super) fn records(&self) -> Vec<Kind> {
        self.pick(|action| match action {
            Action::Record(entry) => Some(entry.record.kind.clone()),
            _ => None,
        })
    }

    pub(super) fn changes(&self) -> Vec<StateChange> {
        let entries = self.pick(|action| match action {
            Action::Record(entry) => Some(entry.changes.clone()),
            _ => None,
        });
        entries.into_iter().flatten().collect()
    }

    fn pick<T>(&self, of: impl Fn(&Action) -> Option<T>) -> Vec<T> {
        self.log
            .iter()
            .filter_map(|(_, action)| of(action))
            .collect()
    }
}

pub(super) fn now(ms: u64, dateless: bool) -> Now {
    Now {
        mono: Mono::from_millis(ms),
        utc: (!dateless).then(|| Utc::from_millis(TODAY_S * 1000 + ms)),
        quality: if dateless {
            ClockQuality::Untrusted
        } else {
            ClockQuality::Synchronised
        },
    }
}

pub(super) fn grant(n: u64) -> GrantId {
    GrantId(7 << 32 | n)
}

pub(super) fn full(n: u64) -> Event {
    Event::NotDurable(grant(n), JournalTrouble::Full)
}

pub(super) fn person(n: u8) -> Subject {
    Subject([n; 8])
}
