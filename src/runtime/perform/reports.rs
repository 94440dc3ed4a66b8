//! What drivers report beside presentations and sensors: to counters, to pages, and to the gate where it matters to
//! people.

use super::Performer;
use crate::domain::{
    Assessed, Event, Finding, LaneId, Levels, Medium, Mono, Presentation, Reason, Sensor,
};
use crate::drivers::gpio::GpioEvent;
use crate::drivers::serial::Provisioned;
use crate::drivers::{Blindness, Port, ReaderReport};
use crate::telemetry::metrics::seconds;
use crate::telemetry::status::DeviceState;

impl Performer {
    /// A reader's report that is no presentation.
    pub fn reader_report(
        &mut self,
        now: Mono,
        number: u64,
        port: &Port,
        report: &ReaderReport,
    ) -> Option<Event> {
        let name = port.name.as_str();
        match report {
            ReaderReport::Up(up) => {
                self.board.device(name, DeviceState::up(*up));
                return self.readers.heard(name, *up);
            }
            ReaderReport::Port(news) => self.board.ports.stands(name, news, &self.board.metrics),
            ReaderReport::Identified(what) => self.board.ports.is(name, what),
            ReaderReport::Blind(blindness) => {
                let state = match blindness {
                    Blindness::Frozen => DeviceState::Frozen,
                    Blindness::Dark => DeviceState::Dark,
                };
                self.board.device(name, state);
                return self.readers.heard(name, false);
            }
            ReaderReport::Faults(count) => {
                self.board
                    .metrics
                    .device_faults
                    .with_label_values(&[name])
                    .inc_by(u64::from(*count));
            }
            ReaderReport::Frame { decode, read } => {
                self.board
                    .metrics
                    .stages
                    .decode
                    .with_label_values(&[name])
                    .observe(seconds(*decode));
                let result = if *read { "read" } else { "empty" };
                self.board
                    .metrics
                    .frames
                    .with_label_values(&[name, result])
                    .inc();
            }
            ReaderReport::TooFast(count) => {
                self.drop_presentations(port.lane, *count);
                self.board.flooded(now, port.lane, name, *count);
            }
            ReaderReport::Provisioned(how) => {
                self.board.ports.provisioned(name, *how);
                let is_open = *how == Provisioned::Open;
                self.reader_alarm(port, "reader_provisioning", is_open);
            }
            ReaderReport::Tamper(on) => self.reader_alarm(port, "reader_tampered", *on),
            ReaderReport::PowerFailure(on) => self.reader_alarm(port, "reader_power", *on),
            // The driver has logged it.
            ReaderReport::NotAuthentic => {
                return Some(Event::Presented(refused_card(port, number, now)));
            }
            ReaderReport::Presented(_) | ReaderReport::Prompt(_) => {}
        }
        None
    }

    /// A reader has read something.
    pub fn reader_read(&mut self, name: &str, presentation: &Presentation) {
        let took = presentation.read.since(presentation.seen);
        let board = &mut self.board;
        board
            .ports
            .read(name, presentation.read, took, &board.metrics);
    }

    /// What the sensors of a lane say.
    pub fn sensed(&mut self, lane: LaneId, levels: Levels) {
        self.board.sensed(lane, levels);
        let somebody = Sensor::BEAMS
            .into_iter()
            .chain([Sensor::LowBeam, Sensor::Presence])
            .any(|sensor| levels.is_active(sensor));
        if let Some(Some(presence)) = self.presences.get(usize::from(lane.0)) {
            presence.set(somebody);
        }
    }

    /// A sensor contradicts the others, or says something again.
    pub(super) fn sensor_sticks(&self, lane: LaneId, sensor: Sensor, on: bool) {
        let (lane, sensor) = (self.board.lane_name(lane), sensor.as_str());
        let labels = [lane.as_str(), sensor];
        let gauge = self.board.metrics.sensor_sticks.with_label_values(&labels);
        gauge.set(on.into());
        if on {
            tracing::warn!(
                lane,
                sensor,
                "a sensor contradicts the others: it sticks, or sees nothing"
            );
        } else {
            tracing::info!(lane, sensor, "the sensor says something again");
        }
    }

    /// A board works, or has failed: its lanes cannot be served then, and nobody knows what is in their aisles.
    pub fn board_up(&mut self, number: usize, up: bool) -> Vec<Event> {
        let Some((name, lanes)) = self.outlets.boards.get(number) else {
            return Vec::new();
        };
        self.board.device(name, DeviceState::up(up));
        let lost = lanes
            .iter()
            .filter(|_| !up)
            .map(|lane| Event::LinesLost(*lane));
        lost.chain(self.barriers.board(lanes, up)).collect()
    }

    /// An alarm of a lane that its readers raise by themselves: how many of them do. The driver has logged it.
    fn reader_alarm(&mut self, port: &Port, alarm: &str, on: bool) {
        let lane = self.board.lane_name(port.lane);
        if !self.board.ports.alarm(&lane, alarm, &port.name, on) {
            return;
        }
        let gauge = self
            .board
            .metrics
            .alarm
            .with_label_values(&[lane.as_str(), alarm]);
        if on {
            gauge.inc();
        } else {
            gauge.dec();
        }
    }

    /// A report of the line driver that is no sensor; the driver has logged it.
    pub fn line_report(&mut self, event: &GpioEvent) -> Vec<Event> {
        match event {
            GpioEvent::BarrierObeys { lane, obeys } => return self.barriers.obeys(*lane, *obeys),
            GpioEvent::Performed { lane, at } => self.released(*lane, *at),
            GpioEvent::ReadBackMismatch { lane } => {
                let mut boards = self.outlets.boards.iter();
                let board = boards.find(|(_, lanes)| lanes.contains(lane));
                let name = board.map_or("lines", |(name, _)| name);
                let faults = &self.board.metrics.device_faults;
                faults.with_label_values(&[name]).inc();
            }
            GpioEvent::Sensed(..) | GpioEvent::Key(..) | GpioEvent::Fire(_) | GpioEvent::Up(_) => {}
        }
        Vec::new()
    }
}

/// A card that its module does not believe: refused without a look at it.
fn refused_card(port: &Port, number: u64, now: Mono) -> Assessed {
    Assessed {
        number,
        lane: port.lane,
        direction: port.direction,
        medium: Medium::IdCard,
        seen: now,
        read: now,
        finding: Finding::Refused {
            reason: Reason::CardNotAuthentic,
            issuer: None,
        },
    }
}
