//! Relay boards: the gate's, and those of lanes that have one of their own.

use super::tree::{Config, Gpio, Lane};
use crate::domain::LaneId;

/// A relay board with the lanes that it serves.
#[derive(Clone, Debug)]
pub struct Board {
    /// Its name as a device: `lines` for the gate's, `lines.NAME` for that of a lane.
    pub name: String,
    /// Its lanes.
    pub lanes: Vec<LaneId>,
    /// The config as this board sees it: `gpio` is its own, and other lanes have no lines.
    pub config: Config,
}

impl Config {
    /// The relay boards, the gate's first if it has anything to do.
    #[must_use]
    pub fn boards(&self) -> Vec<Board> {
        let mut boards = Vec::new();
        let of_gate = self.board("lines".into(), &self.gpio, |lane| lane.gpio.is_none());
        if !of_gate.lanes.is_empty() || self.gpio.fire_loop.is_some() {
            boards.push(of_gate);
        }
        for lane in &self.lanes {
            if let Some(gpio) = &lane.gpio {
                let name = format!("lines.{}", lane.name);
                boards.push(self.board(name, gpio, |other| other.name == lane.name));
            }
        }
        boards
    }

    /// For the rule that one line has one use: what shares a chip, whoever names it, seen as one board.
    pub(super) fn chips(&self) -> Vec<Config> {
        let of = |lane: &Lane| lane.gpio.clone().unwrap_or_else(|| self.gpio.clone());
        let same = |one: &Gpio, other: &Gpio| {
            (one.driver, &one.chip, &one.folder) == (other.driver, &other.chip, &other.folder)
        };
        let gate = self.board(String::new(), &self.gpio, |lane| {
            same(&of(lane), &self.gpio)
        });
        let mut chips = vec![gate.config];
        for lane in &self.lanes {
            let gpio = of(lane);
            if !chips.iter().any(|known: &Config| same(&known.gpio, &gpio)) {
                let board = self.board(String::new(), &gpio, |other| same(&of(other), &gpio));
                chips.push(board.config);
            }
        }
        chips
    }

    fn board(&self, name: String, gpio: &Gpio, serves: impl Fn(&Lane) -> bool) -> Board {
        let mut config = self.clone();
        config.gpio = gpio.clone();
        let mut lanes = Vec::new();
        for (id, lane) in (0..=u8::MAX).map(LaneId).zip(&mut config.lanes) {
            if serves(lane) {
                lanes.push(id);
            } else {
                lane.outputs = Default::default();
                lane.sensors = Default::default();
                lane.key_switch = Vec::new();
            }
        }
        Board {
            name,
            lanes,
            config,
        }
    }
}
