//! The beams across an aisle, two to six: where the bodies are.
//!
//! Each body is an interval of positions, odd numbers for beams and even ones for the gaps between them. A new picture
//! is explained by the bodies that are there: each takes the broken beams that it overlaps or can have moved to. What
//! nobody explains is somebody new, and whoever takes nothing has left, or stands in a gap, unseen. With two beams one
//! long body and two short ones can look alike; every further beam tells more of them apart. Where it stays open, the
//! track keeps in mind that one more may be there, for the barrier waits for whoever may be.

use std::time::Duration;

use super::aisle::{Fact, Side};
use crate::domain::{Direction, Mono};

/// How soon somebody counts as gone whom a sensor of presence has seen, and sees no more.
const VACATED: Duration = Duration::from_millis(500);

/// A body in the aisle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Body {
    way: Direction,
    span: Span,
    /// It was in two beams at once: it does not fit between two.
    long: bool,
    /// Another may be behind it, unseen or too close to be told apart.
    doubt: bool,
    /// It stands in a gap, unseen: it counts as gone then.
    until: Option<Mono>,
}

/// The positions that something takes up: from `low` to `high`, counted from the outer side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    low: u8,
    high: u8,
}

impl Span {
    const fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// How many positions lie between the two.
    const fn distance(self, other: Self) -> u8 {
        if self.overlaps(other) {
            0
        } else if self.high < other.low {
            other.low - self.high
        } else {
            self.low - other.high
        }
    }
}

/// The track of one aisle.
#[derive(Debug)]
pub(super) struct Beams {
    /// Twice the number of beams: the position past the last.
    end: u8,
    bodies: Vec<Body>,
    broken: Vec<bool>,
    /// When the outermost beam of either side was last cleared.
    cleared: [Option<Mono>; 2],
    /// Closer than this to whoever is ahead is too close.
    gap: Duration,
    /// Whoever was new in the last picture came that close.
    close: bool,
    /// How long somebody may stand unseen between the beams.
    linger: Duration,
}

/// Index of a side.
const fn of(way: Direction) -> usize {
    match way {
        Direction::Entry => 0,
        Direction::Exit => 1,
    }
}

impl Beams {
    /// So many beams over an aisle; `unseen`: somebody on this way may stand between them already.
    pub(super) fn new(
        now: Mono,
        beams: usize,
        times: (Duration, Duration),
        unseen: Option<Direction>,
    ) -> Self {
        let (linger, gap) = times;
        let end = u8::try_from(2 * beams).unwrap_or(u8::MAX);
        let mut beams = Self {
            end,
            bodies: Vec::new(),
            broken: vec![false; beams],
            cleared: [None; 2],
            gap,
            close: true,
            linger,
        };
        beams
            .bodies
            .extend(unseen.map(|way| beams.hidden(now, way, 2)));
        beams
    }

    /// The way of whoever is in the aisle: of the first, if there are several.
    pub(super) fn occupant(&self) -> Option<Direction> {
        self.bodies.first().map(|body| body.way)
    }

    /// True if whoever was new in the last picture is closer to the one ahead than the set gap.
    pub(super) const fn is_close(&self) -> bool {
        self.close
    }

    /// When somebody unseen counts as gone.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.bodies.iter().filter_map(|body| body.until).min()
    }

    /// Whoever was unseen for so long has gone back; true if there was somebody.
    pub(super) fn timed_out(&mut self, now: Mono, facts: &mut Vec<Fact>) -> bool {
        let before = self.bodies.len();
        self.bodies.retain(|body| {
            let gone = body.until.is_some_and(|until| until <= now);
            facts.extend(gone.then_some(Fact::Left(body.way)));
            !gone
        });
        self.bodies.len() < before
    }

    /// What a sensor of presence says of who stands unseen. `seen`: it has seen somebody since the aisle was clear.
    pub(super) fn presence(&mut self, now: Mono, active: bool, seen: bool) {
        for until in self
            .bodies
            .iter_mut()
            .filter_map(|body| body.until.as_mut())
        {
            match (active, seen) {
                (true, _) => *until = now + self.linger,
                (false, true) => *until = (*until).min(now + VACATED),
                (false, false) => {}
            }
        }
    }

    /// Somebody is there whom no beam has seen.
    pub(super) fn appear(&mut self, now: Mono, way: Direction, facts: &mut Vec<Fact>) {
        self.bodies.push(self.hidden(now, way, 2));
        facts.push(Fact::Entered(way));
    }

    /// Follows the beams, counted from the outer side. `side.passable`: the barrier lets a body stand between them.
    pub(super) fn follow(&mut self, now: Mono, broken: &[bool], side: Side, facts: &mut Vec<Fact>) {
        let stepped_in = self.edges(now, broken);
        // Whoever stands unseen cannot leave past somebody who is seen: their time begins when nobody is.
        // A beam that seems stuck is nobody who bars the way.
        if !side.obstructed && self.bodies.iter().any(|body| body.until.is_none()) {
            self.presence(now, true, true);
        }
        let runs = runs(broken);
        let claims = self.claims(&runs);
        let mut next = Vec::new();
        for (body, claim) in self.bodies.iter().zip(&claims) {
            let run = claim.and_then(|claim| Some((claim, *runs.get(claim)?)));
            match run {
                None => next.extend(self.vanish(now, *body, side, facts)),
                Some((claim, run))
                    if claims.iter().filter(|of| **of == Some(claim)).count() > 1 =>
                {
                    next.push(self.share(*body, run, claim, &claims));
                }
                Some((_, run)) => self.move_to(*body, run, &mut next, facts),
            }
        }
        for (nth, run) in runs.iter().enumerate() {
            if !claims.contains(&Some(nth)) {
                let way = self.way_of(*run, side, &next);
                let behind = next.iter().any(|body| body.way == way);
                facts.push(if behind {
                    Fact::Followed(way)
                } else {
                    Fact::Entered(way)
                });
                next.push(Body::seen(way, *run));
            }
        }
        if let Some(Fact::Entered(way) | Fact::Followed(way)) = facts.last() {
            let cleared = self.cleared.get(of(*way)).copied().flatten();
            let fresh = stepped_in.get(of(*way)).copied().unwrap_or_default();
            self.close = !fresh || cleared.is_some_and(|at| now.since(at) <= self.gap);
        }
        self.bodies = next;
        // Whoever stood behind them, unseen, can go on only now.
        if facts.iter().any(|fact| matches!(fact, Fact::Crossed(_))) {
            self.presence(now, true, true);
        }
    }

    /// Keeps when the outermost beams were cleared; for either side, whether its beam is broken just now.
    fn edges(&mut self, now: Mono, broken: &[bool]) -> [bool; 2] {
        let edge =
            |of: &[bool]| [of.first(), of.last()].map(|beam| beam.copied().unwrap_or_default());
        let (before, after) = (edge(&self.broken), edge(broken));
        self.broken = broken.to_vec();
        let mut stepped_in = [false; 2];
        let sides = before.into_iter().zip(after).zip(&mut self.cleared);
        for (((before, after), cleared), fresh) in sides.zip(&mut stepped_in) {
            if before && !after {
                *cleared = Some(now);
            }
            *fresh = after && !before;
        }
        stepped_in
    }

    /// Which broken beams each body is: by its place in `runs`.
    fn claims(&self, runs: &[Span]) -> Vec<Option<usize>> {
        let mut claims: Vec<Option<usize>> = vec![None; self.bodies.len()];
        // Who is seen explains the beams that he was in; only what is left may be somebody who was unseen.
        for unseen in [false, true] {
            let taken = claims.clone();
            for (body, claim) in self.bodies.iter().zip(&mut claims) {
                if body.until.is_some() == unseen {
                    let runs = runs.iter().enumerate();
                    let overlapping = runs.filter(|(nth, run)| {
                        run.overlaps(body.span) && !(unseen && taken.contains(&Some(*nth)))
                    });
                    let front = |(_, run): &(usize, &Span)| self.along(body.way, **run).high;
                    *claim = overlapping.max_by_key(front).map(|(nth, _)| nth);
                }
            }
        }
        // Who is seen moves by a beam, and sooner than who is not; then by more, where pictures were lost.
        for (unseen, reach) in [(false, 2), (true, 3), (false, u8::MAX), (true, u8::MAX)] {
            for nth in 0..self.bodies.len() {
                let (Some(body), Some(None)) = (self.bodies.get(nth), claims.get(nth)) else {
                    continue;
                };
                if body.until.is_some() != unseen {
                    continue;
                }
                let free = runs
                    .iter()
                    .enumerate()
                    .filter(|(run, _)| !claims.contains(&Some(*run)));
                let near = free.filter(|(_, run)| self.may_move(body, **run, reach));
                let taken = near
                    .min_by_key(|(_, run)| run.distance(body.span))
                    .map(|(run, _)| run);
                if let Some(claim) = claims.get_mut(nth) {
                    *claim = taken;
                }
            }
        }
        claims
    }

    /// True if a body may have moved so far: farther than its reach it only goes on.
    fn may_move(&self, body: &Body, run: Span, reach: u8) -> bool {
        let (own, run_along) = (self.along(body.way, body.span), self.along(body.way, run));
        let ahead = run_along.low > own.high;
        // Who is in the last beam and then only in the first was two people.
        let is_another = own.high + 1 == self.end && run_along.low == 1 && !ahead;
        run.distance(body.span) <= reach && (reach != u8::MAX || ahead) && !is_another
    }

    /// A body that no broken beam shows: it has left, or stands in a gap.
    fn vanish(&self, now: Mono, body: Body, side: Side, facts: &mut Vec<Fact>) -> Option<Body> {
        if body.until.is_some() {
            return Some(body);
        }
        let Span { low, high } = self.along(body.way, body.span);
        if high + 1 == self.end {
            facts.push(Fact::Crossed(body.way));
            return (body.doubt && side.passable).then(|| self.hidden(now, body.way, high - 1));
        }
        if low == 1 && (body.long || !side.passable) {
            facts.push(Fact::Left(body.way));
            return None;
        }
        Some(self.hidden(now, body.way, high + 1))
    }

    /// A body moves to broken beams that are its own.
    fn move_to(&self, body: Body, run: Span, next: &mut Vec<Body>, facts: &mut Vec<Fact>) {
        let (own, seen) = (self.along(body.way, body.span), self.along(body.way, run));
        let at_end = own.high + 1 == self.end && seen.high == own.high;
        let edge_again = seen.low == 1 && own.low > 1;
        // Where the one ahead begins, if these are two.
        let ahead = if body.until.is_some() {
            (seen.low < own.low && seen.high > own.high).then_some(own.low + 1)
        } else if body.doubt && seen.low == 1 && seen.high > own.high {
            Some(own.high + 2)
        } else {
            (edge_again && at_end).then_some(own.low)
        };
        let span = |low, high| self.along(body.way, Span { low, high });
        if let Some(ahead) = ahead.filter(|ahead| *ahead > seen.low) {
            facts.push(Fact::Followed(body.way));
            next.push(Body {
                doubt: false,
                ..Body::seen(body.way, span(ahead, seen.high))
            });
            next.push(Body::seen(body.way, span(seen.low, ahead - 2)));
            return;
        }
        let retreats = seen.high < own.high && body.until.is_none();
        next.push(Body {
            long: body.long || seen.high > seen.low,
            doubt: (body.doubt && !retreats) || edge_again,
            ..Body::seen(body.way, run)
        });
    }

    /// Bodies that touch share the broken beams: each keeps what it had, the outer ones grow.
    fn share(&self, body: Body, run: Span, claim: usize, claims: &[Option<usize>]) -> Body {
        let others = self
            .bodies
            .iter()
            .zip(claims)
            .filter(|(_, of)| **of == Some(claim));
        let (mut lowest, mut highest) = (true, true);
        for (other, _) in others {
            lowest &= body.span.low <= other.span.low;
            highest &= body.span.high >= other.span.high;
        }
        // Unseen bodies are in gaps, which are even; beams are odd.
        let low = (body.span.low | 1).clamp(run.low, run.high);
        let high = (body.span.high.saturating_sub(1) | 1).clamp(low, run.high);
        let span = Span {
            low: if lowest { run.low } else { low },
            high: if highest { run.high } else { high },
        };
        Body {
            span,
            until: None,
            ..body
        }
    }

    /// The way of somebody new.
    fn way_of(&self, run: Span, side: Side, others: &[Body]) -> Direction {
        match (run.low == 1, run.high + 1 == self.end) {
            (true, false) => Direction::Entry,
            (false, true) => Direction::Exit,
            // At both ends at once, or in the middle: whoever is there or expected is the likely one.
            (true, true) | (false, false) => {
                let other = others.first().map(|body| body.way);
                other.or(side.expected).unwrap_or(Direction::Entry)
            }
        }
    }

    fn hidden(&self, now: Mono, way: Direction, along: u8) -> Body {
        let gap = Span {
            low: along,
            high: along,
        };
        Body {
            way,
            span: self.along(way, gap),
            long: false,
            doubt: false,
            until: Some(now + self.linger),
        }
    }

    /// Turns positions from the outer side into positions along a way, and back.
    const fn along(&self, way: Direction, span: Span) -> Span {
        match way {
            Direction::Entry => span,
            Direction::Exit => Span {
                low: self.end - span.high,
                high: self.end - span.low,
            },
        }
    }
}

impl Body {
    const fn seen(way: Direction, span: Span) -> Self {
        Self {
            way,
            span,
            long: span.high > span.low,
            doubt: false,
            until: None,
        }
    }
}

/// Broken beams that lie side by side, as spans.
fn runs(broken: &[bool]) -> Vec<Span> {
    let mut runs: Vec<Span> = Vec::new();
    for (at, _) in (1u8..)
        .step_by(2)
        .zip(broken)
        .filter(|(_, broken)| **broken)
    {
        match runs.last_mut() {
            Some(run) if run.high + 2 == at => run.high = at,
            Some(_) | None => runs.push(Span { low: at, high: at }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use Fact::{Crossed, Entered, Followed, Left};

    const IN: Direction = Direction::Entry;
    const OUT: Direction = Direction::Exit;
    const RELEASED: Side = Side {
        expected: Some(IN),
        passable: true,
        obstructed: false,
    };
    const LOCKED: Side = Side {
        expected: None,
        passable: false,
        obstructed: false,
    };
    const TIMES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

    /// Where the bodies are: `#` in beams, `?` unseen.
    type Bodies = Vec<(Direction, char)>;

    /// Plays pictures of the beams, `#` broken, 100 ms apart.
    fn facts(side: Side, pictures: &[&str]) -> (Vec<Fact>, Bodies) {
        let mut beams = Beams::new(Mono::default(), pictures[0].len(), TIMES, None);
        let mut facts = Vec::new();
        for (at, picture) in (0u64..).zip(pictures) {
            let broken: Vec<_> = picture.chars().map(|beam| beam == '#').collect();
            beams.follow(Mono::from_millis(at * 100), &broken, side, &mut facts);
        }
        let of = |body: &Body| (body.way, if body.until.is_some() { '?' } else { '#' });
        (facts, beams.bodies.iter().map(of).collect())
    }

    #[test]
    fn a_rider_walks_through_with_or_without_a_gap_between_the_beams() {
        for pictures in [
            ["..", "#.", "..", ".#", ".."],
            ["..", "#.", "##", ".#", ".."],
            ["..", "#.", "#.", ".#", ".."],
            ["..", "#.", "##", "##", ".."],
        ] {
            let walked = (vec![Entered(IN), Crossed(IN)], vec![]);
            assert_eq!(facts(RELEASED, &pictures), walked, "{pictures:?}");
        }
    }

    #[test]
    fn a_rider_walks_past_any_number_of_beams_either_way() {
        for beams in 2..=6 {
            for length in 1..=beams {
                let picture = |at: usize| -> String {
                    let broken = |beam| (at..at + length).contains(&(beam + length));
                    (0..beams)
                        .map(|beam| if broken(beam) { '#' } else { '.' })
                        .collect()
                };
                let inwards: Vec<_> = (0..=beams + length).map(picture).collect();
                let refs: Vec<_> = inwards.iter().map(String::as_str).collect();
                let walked = (vec![Entered(IN), Crossed(IN)], vec![]);
                assert_eq!(facts(RELEASED, &refs), walked, "{inwards:?}");
                let back: Vec<_> = refs.iter().rev().copied().collect();
                let side = Side {
                    expected: Some(OUT),
                    ..RELEASED
                };
                let walked = (vec![Entered(OUT), Crossed(OUT)], vec![]);
                assert_eq!(facts(side, &back), walked, "{back:?}");
            }
        }
    }

    #[test]
    fn a_long_body_that_goes_back_has_left_at_once() {
        let seen = facts(RELEASED, &["#.", "##", "#.", ".."]);
        assert_eq!(seen, (vec![Entered(IN), Left(IN)], vec![]));
        let seen = facts(RELEASED, &["#...", "##..", ".##.", "##..", "#...", "...."]);
        assert_eq!(seen, (vec![Entered(IN), Left(IN)], vec![]));
    }

    #[test]
    fn somebody_unseen_between_the_beams_is_still_there_for_a_while() {
        let (mut beams, mut facts) = (Beams::new(Mono::default(), 2, TIMES, None), Vec::new());
        beams.follow(Mono::from_millis(0), &[true, false], RELEASED, &mut facts);
        beams.follow(
            Mono::from_millis(100),
            &[false, false],
            RELEASED,
            &mut facts,
        );
        assert_eq!(
            (beams.occupant(), beams.deadline()),
            (Some(IN), Some(Mono::from_millis(5_100)))
        );
        beams.timed_out(Mono::from_millis(5_099), &mut facts);
        assert_eq!(beams.occupant(), Some(IN));
        beams.timed_out(Mono::from_millis(5_100), &mut facts);
        assert_eq!(facts, [Entered(IN), Left(IN)]);
        assert_eq!(beams.occupant(), None);
    }

    #[test]
    fn whoever_a_sensor_of_presence_sees_stays_and_is_gone_soon_after_it_does_not() {
        let mut beams = Beams::new(Mono::default(), 2, TIMES, Some(IN));
        let mut facts = Vec::new();
        beams.presence(Mono::from_millis(4_900), true, true);
        beams.timed_out(Mono::from_millis(9_000), &mut facts);
        assert_eq!(beams.occupant(), Some(IN));
        beams.presence(Mono::from_millis(9_000), false, false);
        assert_eq!(
            beams.deadline(),
            Some(Mono::from_millis(9_900)),
            "one that never saw anybody"
        );
        beams.presence(Mono::from_millis(9_000), false, true);
        assert_eq!(beams.deadline(), Some(Mono::from_millis(9_500)));
    }

    #[test]
    fn nobody_can_stand_inside_a_locked_flap() {
        let seen = facts(LOCKED, &["#.", ".."]);
        assert_eq!(seen, (vec![Entered(IN), Left(IN)], vec![]));
    }

    #[test]
    fn a_follower_is_seen_while_the_rider_is_at_the_far_beam() {
        let (seen, bodies) = facts(RELEASED, &["#.", "..", ".#", "##", "#."]);
        assert_eq!(seen, [Entered(IN), Followed(IN), Crossed(IN)]);
        assert_eq!(bodies, [(IN, '#')], "the follower is still in the aisle");
    }

    #[test]
    fn a_follower_close_behind_keeps_the_aisle_occupied_after_the_rider_has_crossed() {
        let (seen, bodies) = facts(RELEASED, &["#.", "..", "#.", "..", ".#"]);
        assert_eq!(seen, [Entered(IN)]);
        assert_eq!(bodies, [(IN, '#')]);
        let (seen, bodies) = facts(RELEASED, &["#.", "..", "#.", ".#", ".."]);
        assert_eq!(seen, [Entered(IN), Crossed(IN)]);
        assert_eq!(bodies, [(IN, '?')], "somebody may be between");
    }

    #[test]
    fn more_beams_see_a_follower_as_soon_as_one_is_clear_between() {
        let (seen, bodies) = facts(RELEASED, &["#...", "##..", ".##.", "..##", "#..#"]);
        assert_eq!(seen, [Entered(IN), Followed(IN)]);
        assert_eq!(bodies.len(), 2);
        let (seen, bodies) = facts(
            RELEASED,
            &["#.....", "###...", "####..", "##.##.", "..#..#", "...#.."],
        );
        assert_eq!(seen, [Entered(IN), Followed(IN), Crossed(IN)]);
        assert_eq!(bodies, [(IN, '#')]);
    }

    #[test]
    fn more_beams_see_two_who_come_from_both_sides() {
        let (seen, bodies) = facts(RELEASED, &["#...", "#..#", "##.#", "##.."]);
        assert_eq!(seen, [Entered(IN), Entered(OUT), Left(OUT)][..2].to_vec());
        assert_eq!(bodies, [(IN, '#'), (OUT, '?')]);
        let (seen, _) = facts(LOCKED, &["#...", "#..#", "#...", "...."]);
        assert_eq!(seen, [Entered(IN), Entered(OUT), Left(OUT), Left(IN)]);
    }

    #[test]
    fn somebody_from_the_other_side_is_told_apart() {
        let (seen, _) = facts(RELEASED, &[".#", "..", "#.", ".."]);
        assert_eq!(seen, [Entered(OUT), Crossed(OUT)]);
    }

    /// A body of some length that wanders over the beams until it has left on one side, in steps of half a gap. In the last
    /// beam it does not turn back: who leans back from there into the first looks like a follower.
    fn wanders(beams: u64, length: u64, mut seed: u64) -> (Vec<Fact>, usize, bool) {
        let mut track = Beams::new(
            Mono::default(),
            usize::try_from(beams).unwrap(),
            TIMES,
            None,
        );
        let (mut head, mut facts, mut at) = (0u64, Vec::new(), 0);
        loop {
            let broken: Vec<_> = (0..beams)
                .map(|beam| (head.saturating_sub(length)..=head).contains(&(2 * beam + 1)))
                .map(|within| within && head > 0)
                .collect();
            track.follow(Mono::from_millis(at), &broken, RELEASED, &mut facts);
            track.timed_out(Mono::from_millis(at), &mut facts);
            let gone = head >= 2 * beams + length;
            if gone || (head == 0 && at > 0) {
                track.timed_out(Mono::from_millis(at + 5_000), &mut facts);
                return (facts, track.bodies.len(), gone);
            }
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            head = match (seed >> 33) % 5 {
                0 | 1 if at > 0 && head + 1 < 2 * beams => head - 1,
                2 => head,
                _ => head + 1,
            };
            at += 50;
        }
    }

    #[test]
    fn whoever_is_alone_is_one_body_however_they_wander() {
        for beams in 2..=6 {
            // Longer than from beam to beam: one that fits between two can be anywhere.
            for length in 2..2 * beams {
                for seed in 0..200 {
                    let (facts, left, gone) =
                        wanders(beams, length, seed * 7_919 + beams * 31 + length);
                    let what = format!("{beams} beams, length {length}, seed {seed}: {facts:?}");
                    let crossed = facts
                        .iter()
                        .filter(|fact| matches!(fact, Crossed(IN)))
                        .count();
                    assert!(
                        !facts.iter().any(|fact| matches!(fact, Followed(_))),
                        "{what}"
                    );
                    assert_eq!(left, 0, "{what}");
                    assert_eq!(crossed, usize::from(gone), "{what}");
                }
            }
        }
    }

    #[test]
    fn a_follower_is_close_within_the_set_gap_and_not_beyond() {
        for (clear_for, close) in [(900, true), (1_100, false)] {
            let mut beams = Beams::new(Mono::default(), 2, TIMES, None);
            let mut facts = Vec::new();
            let at = |ms| Mono::from_millis(ms);
            beams.follow(at(0), &[true, false], RELEASED, &mut facts);
            beams.follow(at(300), &[false, true], RELEASED, &mut facts);
            beams.follow(at(300 + clear_for), &[true, true], RELEASED, &mut facts);
            assert_eq!(facts, [Entered(IN), Followed(IN)]);
            assert_eq!(beams.is_close(), close, "{clear_for} ms");
        }
    }
}
