//! What a site wants of its gate, as the core needs it. Checked by `config` before it comes here.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::directive::{PolicyChange, RuleChanges};
use crate::domain::policy::{self, Requirement};
use crate::domain::{
    Assurance, CertificateRules, Direction, HealthOutcome, IssuerId, Mode, Rule, Schedule, Sensor,
    Standing,
};

/// Settings of a gate.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its lanes; `LaneId` counts them from 0.
    pub lanes: Vec<LaneSettings>,
    /// Rules on the way in.
    pub entry: Rules,
    /// Rules on the way out. Whatever they say, nobody gets a bare denial there.
    pub exit: Rules,
    /// The same person in the same direction again; `None`: nobody looks.
    pub passback: Option<Passback>,
    /// How long an answer to a claim is waited for; `None`: this gate goes by what it remembers itself.
    pub claims: Option<Duration>,
    /// How long the backend is waited for; `None`: it is never asked.
    pub resolve: Option<Duration>,
    /// How long a grant may take to be durable.
    pub stall: Duration,
    /// What happens to a grant that is not durable in time, or that the disk refused.
    pub on_stall: OnTrouble,
    /// What happens to a grant while the journal is full.
    pub on_full: OnTrouble,
    /// Version of the daemon, for the record of the start.
    pub software: String,
    /// Entitlements that a passenger must have, all of them; bit 0 is the ride.
    pub required_entitlements: u16,
    /// True if the health outcome counts. If not, only who has the entitlements.
    pub health_required: bool,
    /// Rules for some people in the place of those of everybody; the first that fits speaks.
    pub overlays: Vec<Overlay>,
    /// What a directive lets count of health certificates; `None`: what the config says.
    pub certificates: Option<Arc<Vec<CertificateRules>>>,
}

/// Rules for what some issuers made, or what comes from some regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Whose credentials; none: anybody's.
    pub issuers: Vec<IssuerId>,
    /// Source regions of the standing, as the lists count them; none: any.
    pub regions: Vec<u8>,
    /// Rules on the way in.
    pub entry: Rules,
    /// Rules on the way out.
    pub exit: Rules,
}

impl Overlay {
    /// These rules laid over those of everybody.
    #[must_use]
    pub fn over(entry: Rules, exit: Rules, overlay: &policy::Overlay) -> Self {
        Self {
            issuers: overlay.issuer.clone(),
            regions: overlay.region.clone(),
            entry: entry.changed(&overlay.entry),
            exit: exit.changed(&overlay.exit),
        }
    }

    fn is_for(&self, issuer: &IssuerId, region: u8) -> bool {
        (self.issuers.is_empty() || self.issuers.contains(issuer))
            && (self.regions.is_empty() || self.regions.contains(&region))
    }
}

impl Settings {
    /// Takes the policy of others.
    pub(super) fn take_policy(&mut self, of: &Self) {
        (self.entry, self.exit) = (of.entry, of.exit);
        self.overlays.clone_from(&of.overlays);
        self.required_entitlements = of.required_entitlements;
        self.health_required = of.health_required;
        self.certificates.clone_from(&of.certificates);
    }

    /// Changes the policy. Changed rules are above every rule of the site, those for some people too; overlays that come
    /// with them are above them.
    pub(super) fn change_policy(&mut self, by: &PolicyChange) {
        self.entry = self.entry.changed(&by.entry);
        self.exit = self.exit.changed(&by.exit);
        for overlay in &mut self.overlays {
            overlay.entry = overlay.entry.changed(&by.entry);
            overlay.exit = overlay.exit.changed(&by.exit);
        }
        if let Some(overlays) = &by.overlay {
            let over = |one| Overlay::over(self.entry, self.exit, one);
            self.overlays = overlays.iter().map(over).collect();
        }
        if let Some(required) = &by.required {
            self.required_entitlements = policy::entitlements(required);
            self.health_required = required.contains(&Requirement::Health);
        }
        if let Some(certificates) = &by.certificate {
            self.certificates = Some(Arc::new(certificates.clone()));
        }
    }

    /// The rules of one direction.
    #[must_use]
    pub const fn rules(&self, direction: Direction) -> &Rules {
        match direction {
            Direction::Entry => &self.entry,
            Direction::Exit => &self.exit,
        }
    }

    /// The rules of one direction for somebody.
    #[must_use]
    pub fn rules_for(
        &self,
        direction: Direction,
        issuer: &IssuerId,
        standing: &Standing,
    ) -> &Rules {
        let mut overlays = self.overlays.iter();
        let overlay = overlays.find(|overlay| overlay.is_for(issuer, standing.region));
        match (overlay, direction) {
            (Some(overlay), Direction::Entry) => &overlay.entry,
            (Some(overlay), Direction::Exit) => &overlay.exit,
            (None, direction) => self.rules(direction),
        }
    }
}

/// What is done about the same person in the same direction again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passback {
    /// How long a passage is remembered.
    pub remember: Duration,
    /// True if they pass all the same, and the record says so.
    pub soft: bool,
    /// True if it counts at which other gates somebody was seen: those of a station, or of a zone.
    pub wide: bool,
}

/// What to do with a grant that the journal does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTrouble {
    /// Keep the barrier and call staff.
    Hold,
    /// Release, with an alarm, and a gap record later.
    Open,
}

/// Settings of a lane.
#[derive(Clone, Debug)]
pub struct LaneSettings {
    /// Its name in records.
    pub name: String,
    /// What moves.
    pub barrier: Barrier,
    /// Which sides it serves.
    pub directions: Vec<Direction>,
    /// Its own mode: what counts while nobody wants another.
    pub mode: Mode,
    /// What the calendar wants of it.
    pub schedule: Schedule,
    /// How long the barrier stays released for a rider who does not come.
    pub release: Duration,
    /// How long a sensor must keep a level before it counts.
    pub debounce: Duration,
    /// From when an occupied aisle is an obstruction.
    pub obstruction: Duration,
    /// The sensors that the lane has. A leaf has at least its two outer beams, a tripod a rotor contact a direction.
    pub sensors: Vec<Sensor>,
    /// How long a leaf takes from one end to the other, at most.
    pub travel: Duration,
    /// Whoever steps in sooner than this behind the one ahead is tailgating; later, only if they walk through.
    pub follower_gap: Duration,
    /// What goes with a rider below the beams.
    pub below: Below,
    /// How many grants of one direction may be open at once; 1: one at a time.
    pub group_max: u8,
    /// How much of a minute the solenoid may be powered, in percent; 100: always.
    pub duty_percent: u8,
}

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// A solenoid frees one turn; rotor contacts tell the turn.
    Tripod {
        /// How the solenoid is powered.
        drive: Drive,
    },
    /// A flap that draws back; beams tell the body.
    Flap,
    /// A swing gate, driven by a motor.
    Swing,
    /// A full-height gate, driven by a motor.
    FullHeight,
}

impl Barrier {
    /// True for arms, which close on nobody; false for a leaf.
    #[must_use]
    pub const fn is_tripod(self) -> bool {
        match self {
            Self::Tripod { .. } => true,
            Self::Flap | Self::Swing | Self::FullHeight => false,
        }
    }
}

/// How the solenoid of a tripod is powered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// For so long: the mechanism keeps one turn free until it is turned or locked.
    Pulse(Duration),
    /// Until the person is through, or does not come.
    Hold,
}

/// What somebody or something is that goes with a rider below the beams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Below {
    /// Luggage: nothing is recorded.
    Luggage,
    /// A companion who needs no grant, like a child: recorded and counted.
    Companion,
    /// Somebody without a grant.
    Tailgating,
}

/// What is done with each outcome in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Green.
    pub green: Rule,
    /// Yellow.
    pub yellow: Rule,
    /// Red.
    pub red: Rule,
    /// No list and no backend knows the person.
    pub unknown: Rule,
    /// Known, but has not applied for a code.
    pub not_applied: Rule,
    /// The backend could not find out.
    pub query_failed: Rule,
    /// Nobody answered in time.
    pub timed_out: Rule,
    /// A list is stale.
    pub stale: Rule,
    /// The trust list is past its date.
    pub trust_expired: Rule,
    /// The decision needs the date and the clock is not trusted.
    pub clock_untrusted: Rule,
    /// How well a credential must be known to be what it says.
    pub assurance: Assurance,
}

impl Rules {
    /// The same with some of them changed.
    #[must_use]
    pub fn changed(self, by: &RuleChanges) -> Self {
        Self {
            green: by.green.unwrap_or(self.green),
            yellow: by.yellow.unwrap_or(self.yellow),
            red: by.red.unwrap_or(self.red),
            unknown: by.unknown.unwrap_or(self.unknown),
            not_applied: by.not_applied.unwrap_or(self.not_applied),
            query_failed: by.query_failed.unwrap_or(self.query_failed),
            timed_out: by.timed_out.unwrap_or(self.timed_out),
            stale: by.stale.unwrap_or(self.stale),
            trust_expired: by.trust_expired.unwrap_or(self.trust_expired),
            clock_untrusted: by.clock_untrusted.unwrap_or(self.clock_untrusted),
            assurance: by.assurance.unwrap_or(self.assurance),
        }
    }

    /// The rule for what a look-up ended in.
    #[must_use]
    pub const fn of(&self, health: HealthOutcome) -> Rule {
        match health {
            HealthOutcome::Green => self.green,
            HealthOutcome::Yellow => self.yellow,
            HealthOutcome::Red => self.red,
            HealthOutcome::Unknown => self.unknown,
            HealthOutcome::NotApplied => self.not_applied,
            HealthOutcome::QueryFailed => self.query_failed,
            HealthOutcome::TimedOut => self.timed_out,
        }
    }
}
