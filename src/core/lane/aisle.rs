//! The aisle: repeated levels in, facts out. Facts come before any judgement: a grant is not known here.

use std::time::Duration;

use super::beams::Beams;
use super::below::Below;
use super::debounce::Debounce;
use super::rotor::Rotor;
use super::suspects::Suspects;
use crate::core::settings::LaneSettings;
use crate::domain::{Direction, Levels, Mono, Sensor};

/// How long somebody may be present without having broken a beam before that is somebody who waits inside.
const WAITS: Duration = Duration::from_secs(1);

/// How long a point of the rotor may be closed while the rotor is home: contacts do not all let go at once.
const SLACK: Duration = Duration::from_millis(500);

/// What was seen. The direction is the way the person walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// Somebody stepped into the aisle, or began to turn the rotor.
    Entered(Direction),
    /// Somebody has walked through, or the rotor is past 67 degrees, or home again.
    Crossed(Direction),
    /// A second person stepped in behind the first.
    Followed(Direction),
    /// Whoever stepped in went back.
    Left(Direction),
    /// Somebody or something below the beams: a child, a bag, or somebody who crawls.
    Below(Direction),
    /// The rotor was turned past 67 degrees though it was locked.
    Forced(Direction),
}

/// What the aisle must know of its lane to read its sensors well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    /// The way somebody is expected to come.
    pub(super) expected: Option<Direction>,
    /// True while the barrier is released.
    pub(super) passable: bool,
    /// The aisle has not cleared for so long that a sensor may be stuck.
    pub(super) obstructed: bool,
}

/// The aisle of one lane.
#[derive(Debug)]
pub(super) struct Aisle {
    debounce: Debounce,
    /// Sensors that the lane has.
    own: Levels,
    /// Those of them that a body touches: while one is active the aisle is not clear.
    touched: Levels,
    watch: Watch,
    suspects: Suspects,
    /// Levels have come since the start, or since the lines were away.
    sensed: bool,
}

#[derive(Debug)]
enum Watch {
    Beams {
        beams: Beams,
        /// Which beams there are, from the outer side.
        order: Vec<Sensor>,
        below: Below,
        presence: Presence,
    },
    Rotor {
        rotor: Rotor,
        /// Since when a point has been closed while the rotor is home.
        odd: Option<Mono>,
    },
}

/// What the sensor of presence has said; nothing where there is none.
#[derive(Debug, Default)]
struct Presence {
    /// It has seen somebody since the aisle was clear.
    seen: bool,
    /// Since when it has seen somebody whom no beam has.
    alone: Option<Mono>,
}

impl Aisle {
    /// An aisle that nobody has looked into yet; `rider`: somebody may be in it, on this way.
    pub(super) fn new(lane: &LaneSettings, now: Mono, rider: Option<Direction>) -> Self {
        use Sensor as S;
        let own: Levels = lane.sensors.iter().copied().collect();
        let kept = |of: &[Sensor]| of.iter().copied().collect::<Levels>().only(own);
        let order: Vec<_> = S::BEAMS
            .into_iter()
            .filter(|beam| own.is_active(*beam))
            .collect();
        let bodies = kept(&[S::LowBeam, S::Presence]).or(kept(&S::BEAMS));
        let is_tripod = lane.barrier.is_tripod();
        let (touched, witnesses) = if is_tripod {
            (
                kept(&[S::EntryRotor, S::ExitRotor]),
                kept(&[S::PassPoint, S::ResetPoint]),
            )
        } else {
            (bodies, bodies)
        };
        let watch = if is_tripod {
            Watch::Rotor {
                rotor: Rotor::new(own.is_active(S::PassPoint)),
                odd: None,
            }
        } else {
            let times = (lane.release, lane.follower_gap);
            Watch::Beams {
                beams: Beams::new(now, order.len(), times, rider),
                order,
                below: Below::new(),
                presence: Presence::default(),
            }
        };
        Self {
            debounce: Debounce::new(lane.debounce),
            own,
            touched,
            watch,
            suspects: Suspects::new(witnesses),
            sensed: false,
        }
    }

    /// Nothing is known until the next levels.
    pub(super) const fn lose_sight(&mut self) {
        self.sensed = false;
    }

    /// Takes levels as the driver repeats them.
    pub(super) fn sense(&mut self, now: Mono, levels: Levels, side: Side) -> Vec<Fact> {
        self.sensed = true;
        let before = self.debounce.levels();
        // A sensor that this lane does not have says nothing.
        self.debounce.sense(now, levels.only(self.own));
        self.follow(now, before, side)
    }

    /// A deadline may be here.
    pub(super) fn timed_out(&mut self, now: Mono, side: Side) -> Vec<Fact> {
        let before = self.debounce.levels();
        self.debounce.timed_out(now);
        let mut facts = self.follow(now, before, side);
        if let Watch::Beams { beams, .. } = &mut self.watch
            && beams.timed_out(now, &mut facts)
        {
            self.suspects.walked();
        }
        facts
    }

    fn follow(&mut self, now: Mono, before: Levels, side: Side) -> Vec<Fact> {
        let levels = self.debounce.levels();
        self.suspects.see(before, levels);
        let mut facts = Vec::new();
        match &mut self.watch {
            Watch::Beams {
                beams,
                order,
                below,
                presence,
            } => {
                let broken = believed(order, levels, &self.suspects);
                beams.follow(now, &broken, side, &mut facts);
                if self.suspects.is_suspect(Sensor::Presence) {
                    *presence = Presence::default();
                } else if self.own.is_active(Sensor::Presence) {
                    let active = levels.is_active(Sensor::Presence);
                    presence.follow(now, active, beams, side, &mut facts);
                }
                let upright = broken.contains(&true);
                if below.follow(now, levels.is_active(Sensor::LowBeam), upright) {
                    let way = beams.occupant().or(side.expected);
                    facts.push(Fact::Below(way.unwrap_or(Direction::Entry)));
                }
                let crossed = facts.iter().filter(|fact| matches!(fact, Fact::Crossed(_)));
                crossed.for_each(|_| self.suspects.walked());
            }
            Watch::Rotor { rotor, odd } => {
                if rotor.follow(levels, side, &mut facts) {
                    self.suspects.walked();
                }
                let points = [Sensor::PassPoint, Sensor::ResetPoint];
                let is_home = levels.only(self.touched).is_quiet();
                let is_odd = is_home && points.iter().any(|point| levels.is_active(*point));
                *odd = is_odd.then(|| odd.unwrap_or(now));
                let late = odd.is_some_and(|since| since + SLACK <= now);
                for point in points.into_iter().filter(|point| levels.is_active(*point)) {
                    self.suspects
                        .contradicts(point, late || self.suspects.is_suspect(point));
                }
            }
        }
        facts
    }

    /// The way of whoever is in the aisle.
    pub(super) fn occupant(&self) -> Option<Direction> {
        match &self.watch {
            Watch::Beams { beams, .. } => beams.occupant(),
            Watch::Rotor { rotor, .. } => rotor.occupant(),
        }
    }

    /// True while the one before turns the rotor to its end: what moves is not the next.
    pub(super) const fn is_leaving(&self) -> bool {
        match &self.watch {
            Watch::Beams { .. } => false,
            Watch::Rotor { rotor, .. } => rotor.is_leaving(),
        }
    }

    /// True if whoever stepped in last is closer to the one ahead than the set gap.
    pub(super) const fn is_close(&self) -> bool {
        match &self.watch {
            Watch::Beams { beams, .. } => beams.is_close(),
            Watch::Rotor { .. } => true,
        }
    }

    /// True if the sensors have been heard, nobody is there and none says otherwise, not even for an instant.
    pub(super) fn is_clear(&self) -> bool {
        self.sensed && self.occupant().is_none() && self.debounce.is_quiet(self.touched)
    }

    /// True while a level is still too young to count: what it means is not known yet.
    pub(super) fn is_settling(&self) -> bool {
        self.debounce.deadline().is_some()
    }

    /// The levels of the limit switches: open, shut.
    pub(super) const fn leaf(&self) -> (bool, bool) {
        let levels = self.debounce.levels();
        (
            levels.is_active(Sensor::Opened),
            levels.is_active(Sensor::Closed),
        )
    }

    /// True once levels have come.
    pub(super) const fn is_sensed(&self) -> bool {
        self.sensed
    }

    /// Sensors that contradict the others.
    pub(super) const fn suspects(&mut self) -> &mut Suspects {
        &mut self.suspects
    }

    /// When the aisle wants to be woken.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let own = match &self.watch {
            Watch::Beams {
                beams,
                below,
                presence,
                ..
            } => {
                let waits = presence.alone.map(|since| since + WAITS);
                [beams.deadline(), below.deadline(), waits]
                    .into_iter()
                    .flatten()
                    .min()
            }
            Watch::Rotor { odd, .. } => odd
                .filter(|_| !self.is_reported())
                .map(|since| since + SLACK),
        };
        self.debounce.deadline().into_iter().chain(own).min()
    }

    /// True if the points that are closed while the rotor is home are reported already.
    fn is_reported(&self) -> bool {
        let levels = self.debounce.levels();
        let mut points = [Sensor::PassPoint, Sensor::ResetPoint].into_iter();
        points.all(|point| !levels.is_active(point) || self.suspects.is_suspect(point))
    }
}

/// Which beams count as broken. One that sees nobody where both its neighbours do would cut one body in two.
fn believed(order: &[Sensor], levels: Levels, suspects: &Suspects) -> Vec<bool> {
    let broken: Vec<_> = order.iter().map(|beam| levels.is_active(*beam)).collect();
    let mut believed = broken.clone();
    let inner = broken
        .windows(3)
        .zip(order.iter().zip(&mut believed).skip(1));
    for (around, (beam, level)) in inner {
        if let [before, _, after] = around
            && suspects.is_suspect(*beam)
        {
            *level |= *before && *after;
        }
    }
    believed
}

impl Presence {
    fn follow(
        &mut self,
        now: Mono,
        active: bool,
        beams: &mut Beams,
        side: Side,
        facts: &mut Vec<Fact>,
    ) {
        let nobody = beams.occupant().is_none();
        self.seen = active || self.seen && !nobody;
        self.alone = (active && nobody).then(|| self.alone.unwrap_or(now));
        if self.alone.is_some_and(|since| since + WAITS <= now) {
            self.alone = None;
            beams.appear(now, side.expected.unwrap_or(Direction::Entry), facts);
        }
        beams.presence(now, active, self.seen);
    }
}
