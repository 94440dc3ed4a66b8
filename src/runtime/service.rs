//! What each side of each lane can still serve, from what its devices say. The gate hears of changes only.

use crate::config::Config;
use crate::config::tree::Reader;
use crate::domain::{Direction, Event, LaneId, Service};

/// A reader, and whether it works. Until it says otherwise it does: a start is no trouble.
#[derive(Clone, Debug)]
struct Place {
    name: String,
    lane: LaneId,
    side: Direction,
    reads_cards: bool,
    works: bool,
}

/// The readers of a gate.
#[derive(Clone, Debug)]
pub struct Readers(Vec<Place>);

impl Readers {
    /// The readers of `config`, all working.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let lanes = (0..).map(LaneId).zip(&config.lanes);
        let places = lanes.flat_map(|(lane, settings)| {
            settings.readers.iter().map(move |reader: &Reader| Place {
                name: reader.name.clone(),
                lane,
                side: reader.direction,
                reads_cards: reads_cards(reader),
                works: true,
            })
        });
        Self(places.collect())
    }

    /// A reader works, or does not; an event if its side can take something else now.
    pub fn heard(&mut self, name: &str, works: bool) -> Option<Event> {
        let place = self.0.iter().find(|place| place.name == name)?;
        let (lane, side) = (place.lane, place.side);
        let before = self.service(lane, side);
        for place in self.0.iter_mut().filter(|place| place.name == name) {
            place.works = works;
        }
        let after = self.service(lane, side);
        (before != after).then_some(Event::Readers(lane, side, after))
    }

    fn service(&self, lane: LaneId, side: Direction) -> Service {
        let here = || {
            let places = self.0.iter();
            places.filter(move |place| (place.lane, place.side) == (lane, side))
        };
        // What the side was not built for is not missed.
        let has = |cards: bool| here().any(|place| place.reads_cards == cards);
        let works = |cards: bool| here().any(|place| place.reads_cards == cards && place.works);
        match (works(true), works(false)) {
            (true, true) => Service::Full,
            (false, false) => Service::None,
            (true, false) if has(false) => Service::CardsOnly,
            (false, true) if has(true) => Service::CodesOnly,
            (true, false) | (false, true) => Service::Full,
        }
    }
}

/// True for everything that is held against a reader; what is left reads codes.
const fn reads_cards(reader: &Reader) -> bool {
    reader.id_card.is_some()
        || reader.rdm6300.is_some()
        || reader.wiegand.is_some()
        || reader.pn532.is_some()
        || reader.osdp.is_some()
}

/// Which barriers can be moved.
#[derive(Clone, Debug)]
pub struct Barriers {
    /// By lane: whether its board works.
    board_works: Vec<bool>,
    /// By lane: whether its relay obeys.
    obeys: Vec<bool>,
}

impl Barriers {
    /// So many barriers, all of which can be moved.
    #[must_use]
    pub fn new(lanes: usize) -> Self {
        Self {
            board_works: vec![true; lanes],
            obeys: vec![true; lanes],
        }
    }

    /// The board of these lanes works, or does not; an event for each lane for which that changes something.
    pub fn board(&mut self, lanes: &[LaneId], works: bool) -> Vec<Event> {
        self.change(|barriers| {
            let boards = (0..).map(LaneId).zip(&mut barriers.board_works);
            for (_, was) in boards.filter(|(lane, _)| lanes.contains(lane)) {
                *was = works;
            }
        })
    }

    /// The relay of a lane obeys, or does not.
    pub fn obeys(&mut self, lane: LaneId, obeys: bool) -> Vec<Event> {
        self.change(|barriers| {
            if let Some(was) = barriers.obeys.get_mut(usize::from(lane.0)) {
                *was = obeys;
            }
        })
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Vec<Event> {
        let work = |barriers: &Self| -> Vec<bool> {
            let lanes = barriers.obeys.iter().zip(&barriers.board_works);
            lanes.map(|(obeys, works)| *obeys && *works).collect()
        };
        let before = work(self);
        change(self);
        let changed = (0..).map(LaneId).zip(before.into_iter().zip(work(self)));
        changed
            .filter(|(_, (before, after))| before != after)
            .map(|(lane, (_, works))| Event::BarrierWorks(lane, works))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const ENTRY: Direction = Direction::Entry;

    /// The example's lane "in" has a camera and a card module, its lane "out" a scanner.
    fn readers() -> Readers {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/hardware/example.toml");
        let text = std::fs::read_to_string(path).unwrap();
        Readers::new(&crate::config::parse(Path::new(path), &text).unwrap())
    }

    #[test]
    fn a_side_takes_what_its_working_readers_take() {
        let mut readers = readers();
        let heard = [
            ("in-camera", true, None),
            ("in-camera", false, Some(Service::CardsOnly)),
            ("in-camera", false, None),
            ("in-card", false, Some(Service::None)),
            ("in-camera", true, Some(Service::CodesOnly)),
            ("in-card", true, Some(Service::Full)),
            ("no-such-reader", false, None),
        ];
        for (name, works, service) in heard {
            let event = service.map(|service| Event::Readers(LaneId(0), ENTRY, service));
            assert_eq!(readers.heard(name, works), event, "{name} {works}");
        }
    }

    #[test]
    fn a_side_that_was_never_built_for_cards_does_not_miss_them() {
        let mut readers = readers();
        let gone = Event::Readers(LaneId(1), Direction::Exit, Service::None);
        assert_eq!(readers.heard("out-scanner", false), Some(gone));
        let back = Event::Readers(LaneId(1), Direction::Exit, Service::Full);
        assert_eq!(readers.heard("out-scanner", true), Some(back));
    }

    #[test]
    fn a_barrier_works_while_the_board_does_and_its_own_relay_obeys() {
        let mut barriers = Barriers::new(2);
        let event = |lane, works| Event::BarrierWorks(LaneId(lane), works);
        let both = [LaneId(0), LaneId(1)];
        assert_eq!(barriers.board(&both, true), []);
        assert_eq!(barriers.obeys(LaneId(1), false), [event(1, false)]);
        assert_eq!(barriers.board(&both, false), [event(0, false)]);
        assert_eq!(barriers.obeys(LaneId(1), true), []);
        assert_eq!(
            barriers.board(&both, true),
            [event(0, true), event(1, true)]
        );
        assert_eq!(barriers.board(&[LaneId(1)], false), [event(1, false)]);
        assert_eq!(barriers.obeys(LaneId(9), false), []);
    }
}
