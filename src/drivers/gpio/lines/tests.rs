use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::sync::mpsc::{self, error::TryRecvError};

use super::*;
use crate::config::types::{Active, Pin};
use crate::domain::{Direction, Mode, Sensor};
use crate::drivers::gpio::LaneLines;
use crate::drivers::gpio::folder::FolderBoard;
use crate::drivers::gpio::memory::{Change, Wires};
use crate::drivers::gpio::signal::{Colour, Pattern, Signal};

const FLAP: LaneId = LaneId(0);
const TRIPOD: LaneId = LaneId(1);
/// Longest wait for something that should happen; only a failing test takes so long.
const PATIENCE: Duration = Duration::from_secs(5);

fn line(pin: Pin, active: Active) -> Line {
    Line { pin, active }
}

fn high(pin: u8) -> Line {
    line(Pin::from(pin), Active::High)
}

fn low(pin: u8) -> Line {
    line(Pin::from(pin), Active::Low)
}

/// A flap both ways by one relay, and a tripod with relays that pull in at a low level.
fn layout() -> Layout {
    Layout {
        lanes: vec![
            LaneLines {
                closes: true,
                release_entry: Some(high(17)),
                release_exit: Some(high(17)),
                green: [Some(high(22)), None],
                red: [Some(high(23)), None],
                buzzer: Some(high(24)),
                sensors: vec![(Sensor::EntryBeam, low(5)), (Sensor::ExitBeam, high(6))],
                keys: vec![(Mode::Maintenance, high(26)), (Mode::Free, low(27))],
            },
            LaneLines {
                release_entry: Some(low(20)),
                release_exit: Some(low(21)),
                sensors: vec![(Sensor::ExitRotor, high(13))],
                ..LaneLines::default()
            },
        ],
        fire_loop: Some(high(4)),
    }
}

/// A running thread, the far ends of its wires, and everything it has said.
struct Scene {
    wires: Wires,
    commands: Option<SyncSender<Command>>,
    events: mpsc::Receiver<GpioEvent>,
    thread: JoinHandle<()>,
    clock: MonoClock,
}

impl Scene {
    fn new() -> Self {
        Self::with(64, |_| {})
    }

    fn with(capacity: usize, prepare: impl FnOnce(&Wires)) -> Self {
        Self::of(layout(), capacity, prepare)
    }

    fn of(layout: Layout, capacity: usize, prepare: impl FnOnce(&Wires)) -> Self {
        let clock = MonoClock::start();
        let wires = Wires::new(&layout, clock);
        prepare(&wires);
        let (commands, receiver) = sync_channel(64);
        let (sender, events) = mpsc::channel(capacity);
        let thread = spawn(wires.opener(), layout, receiver, sender, clock).unwrap();
        Self {
            wires,
            commands: Some(commands),
            events,
            thread,
            clock,
        }
    }

    fn say(&self, command: Command) {
        self.commands.as_ref().unwrap().try_send(command).unwrap();
    }

    /// Waits until something holds.
    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&Wires) -> bool) {
        let end = self.clock.now() + PATIENCE;
        while !holds(&self.wires) {
            assert!(self.clock.now() < end, "never came: {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The next event that `wanted` picks; others are skipped.
    #[track_caller]
    fn next<T>(&mut self, wanted: impl Fn(GpioEvent) -> Option<T>) -> T {
        let end = self.clock.now() + PATIENCE;
        loop {
            match self.events.try_recv() {
                Ok(event) => {
                    if let Some(found) = wanted(event) {
                        return found;
                    }
                }
                Err(TryRecvError::Empty) => thread::sleep(Duration::from_millis(1)),
                Err(TryRecvError::Disconnected) => panic!("the thread has ended"),
            }
            assert!(self.clock.now() < end, "the event never came");
        }
    }

    #[track_caller]
    fn expect(&mut self, event: GpioEvent) {
        self.next(|found| (found == event).then_some(()));
    }

    #[track_caller]
    fn performed(&mut self) -> (LaneId, Mono) {
        self.next(|event| {
            let GpioEvent::Performed { lane, at } = event else {
                return None;
            };
            Some((lane, at))
        })
    }

    fn fire(&mut self) -> bool {
        self.next(|event| {
            let GpioEvent::Fire(fire) = event else {
                return None;
            };
            Some(fire)
        })
    }

    /// Closes the commands and waits for the end of the thread.
    fn end(mut self) -> Wires {
        self.commands = None;
        self.thread.join().unwrap();
        self.wires
    }
}

fn clear() -> Levels {
    Levels::default()
}

#[test]
fn at_start_the_board_is_up_the_aisles_are_clear_and_there_is_no_fire() {
    let mut scene = Scene::new();
    scene.expect(GpioEvent::Up(true));
    scene.expect(GpioEvent::Sensed(FLAP, clear()));
    scene.expect(GpioEvent::Sensed(TRIPOD, clear()));
    assert!(!scene.fire());
    assert!(scene.end().take_changes().is_empty());
}

#[test]
fn a_release_is_performed_at_once_and_says_when() {
    let mut scene = Scene::new();
    scene.expect(GpioEvent::Up(true));
    let before = scene.clock.now();
    scene.say(Command::Release(FLAP, Direction::Entry));
    let (lane, at) = scene.performed();
    assert!(lane == FLAP && at >= before && scene.wires.is_active(high(17)));
    let changes = scene.wires.take_changes();
    assert!(matches!(changes[..], [Change { pin: 17, level: true, at: changed }] if changed <= at));
    scene.say(Command::Release(FLAP, Direction::Entry));
    scene.performed();
    assert!(
        scene.wires.take_changes().is_empty(),
        "a repeated command changes nothing"
    );
    scene.say(Command::Lock(FLAP));
    scene.until("locked", |wires| !wires.is_active(high(17)));
}

#[test]
fn a_release_of_one_way_locks_the_other_first() {
    let mut scene = Scene::new();
    let (entry, exit) = ((Direction::Entry, 20), (Direction::Exit, 21));
    scene.say(Command::Release(TRIPOD, Direction::Entry));
    scene.performed();
    assert!(scene.wires.is_active(low(20)) && !scene.wires.is_active(low(21)));
    let _ = scene.wires.take_changes();
    for ((_, before), (direction, after)) in [(entry, exit), (exit, entry)] {
        scene.say(Command::Release(TRIPOD, direction));
        scene.performed();
        let changes = scene.wires.take_changes();
        let order: Vec<_> = changes.iter().map(|c| (c.pin, c.level)).collect();
        assert_eq!(order, [(before, true), (after, false)]);
    }
    scene.say(Command::ReleaseBoth(TRIPOD));
    scene.performed();
    assert!(scene.wires.is_active(low(20)) && scene.wires.is_active(low(21)));
    assert!(
        !scene.wires.is_active(high(17)),
        "the other lane is not touched"
    );
}

#[test]
fn an_output_that_somebody_else_changed_is_driven_again() {
    let mut scene = Scene::new();
    scene.say(Command::Release(FLAP, Direction::Entry));
    scene.performed();
    scene.wires.set_input(17, false);
    scene.expect(GpioEvent::ReadBackMismatch { lane: FLAP });
    scene.until("released again", |wires| wires.is_active(high(17)));
    scene.say(Command::Lock(FLAP));
    scene.until("locked", |wires| !wires.is_active(high(17)));
    scene.wires.set_input(17, true);
    scene.until("locked again", |wires| !wires.is_active(high(17)));
}

#[test]
fn one_relay_for_both_ways_is_active_for_either() {
    let mut scene = Scene::new();
    for command in [
        Command::Release(FLAP, Direction::Exit),
        Command::Release(FLAP, Direction::Entry),
        Command::ReleaseBoth(FLAP),
    ] {
        scene.say(command);
        scene.performed();
        assert!(scene.wires.is_active(high(17)), "{command:?}");
    }
    let changes = scene.wires.take_changes();
    assert_eq!(changes.len(), 1, "the flap does not twitch: {changes:?}");
}

/// A light that is on, and nothing else.
fn lit(colour: Colour) -> Signal {
    Signal {
        colour,
        light: Pattern::Steady,
        tone: Pattern::Off,
    }
}

#[test]
fn lights_exclude_each_other_and_the_buzzer_is_on_its_own() {
    let scene = Scene::new();
    let seen = |wires: &Wires| [22, 23, 24].map(|pin| wires.output(pin));
    let entry = |colour| Command::Signal(FLAP, Direction::Entry, lit(colour));
    let exit = |colour| Command::Signal(FLAP, Direction::Exit, lit(colour));
    for (command, expected) in [
        (entry(Colour::Green), [true, false, false]),
        (Command::Alarm(FLAP, true), [true, false, true]),
        // One pair of lights shows the side that was told last.
        (exit(Colour::Red), [false, true, true]),
        (Command::Alarm(FLAP, false), [false, true, false]),
        (exit(Colour::Off), [false, false, false]),
    ] {
        scene.say(command);
        scene.until("lights", |wires| seen(wires) == expected);
    }
    scene.say(Command::Signal(
        TRIPOD,
        Direction::Entry,
        lit(Colour::Green),
    ));
    scene.say(Command::Signal(
        LaneId(9),
        Direction::Entry,
        lit(Colour::Green),
    ));
    scene.say(Command::Release(LaneId(9), Direction::Entry));
    scene.end();
}

#[test]
fn a_lane_with_lights_on_both_sides_tells_each_side_its_own() {
    let mut layout = layout();
    layout.lanes[0].green[1] = Some(high(25));
    layout.lanes[0].red[1] = Some(high(26));
    let scene = Scene::of(layout, 64, |_| {});
    scene.say(Command::Signal(FLAP, Direction::Entry, lit(Colour::Green)));
    scene.say(Command::Signal(FLAP, Direction::Exit, lit(Colour::Red)));
    let seen = |wires: &Wires| [22, 23, 25, 26].map(|pin| wires.output(pin));
    scene.until("each side", |wires| {
        seen(wires) == [true, false, false, true]
    });
}

#[test]
fn patterns_blink_and_beep_and_an_alarm_sounds_through_them() {
    let scene = Scene::new();
    let (on_ms, off_ms) = (40, 40);
    let signal = Signal {
        colour: Colour::Red,
        light: Pattern::Blink { on_ms, off_ms },
        tone: Pattern::Times {
            on_ms,
            off_ms,
            times: 2,
        },
    };
    let _ = scene.wires.take_changes();
    scene.say(Command::Signal(FLAP, Direction::Entry, signal));
    thread::sleep(Duration::from_millis(600));
    let changes = scene.wires.take_changes();
    let of = |pin| {
        changes
            .iter()
            .filter(move |change| change.pin == pin)
            .count()
    };
    assert_eq!(of(24), 4, "two beeps: {changes:?}");
    assert!(of(23) >= 6, "it goes on blinking: {changes:?}");
    scene.say(Command::Alarm(FLAP, true));
    scene.until("the alarm", |wires| wires.output(24));
    thread::sleep(Duration::from_millis(100));
    assert!(scene.wires.output(24), "steady");
}

#[test]
fn a_solenoid_that_nobody_answers_for_is_let_go_and_a_leaf_is_not() {
    let mut scene = Scene::new();
    scene.say(Command::Release(TRIPOD, Direction::Entry));
    scene.say(Command::Release(FLAP, Direction::Entry));
    scene.performed();
    scene.performed();
    for _ in 0..8 {
        thread::sleep(SILENCE / 6);
        scene.say(Command::Alive);
        assert!(scene.wires.is_active(low(20)), "somebody answers for it");
    }
    // The loop hangs from now on.
    scene.until("let go", |wires| !wires.is_active(low(20)));
    assert!(scene.wires.is_active(high(17)), "somebody may be in it");
    // In a fire nothing is taken back.
    scene.say(Command::ReleaseBoth(TRIPOD));
    scene.performed();
    thread::sleep(SILENCE + Duration::from_millis(300));
    assert!(scene.wires.is_active(low(20)) && scene.wires.is_active(low(21)));
}

#[test]
fn a_beam_is_told_at_once_by_its_polarity_and_repeated() {
    let mut scene = Scene::new();
    scene.expect(GpioEvent::Sensed(FLAP, clear()));
    scene.wires.set_input(5, false);
    let broken = clear().with(Sensor::EntryBeam, true);
    scene.expect(GpioEvent::Sensed(FLAP, broken));
    let first = scene.clock.now();
    scene.expect(GpioEvent::Sensed(FLAP, broken));
    scene.expect(GpioEvent::Sensed(FLAP, broken));
    assert!(scene.clock.now().since(first) < Duration::from_secs(1));
    scene.wires.set_active(high(6), true);
    scene.expect(GpioEvent::Sensed(FLAP, broken.with(Sensor::ExitBeam, true)));
    scene.wires.set_active(high(13), true);
    scene.expect(GpioEvent::Sensed(
        TRIPOD,
        clear().with(Sensor::ExitRotor, true),
    ));
}

#[test]
fn an_open_fire_loop_is_a_fire_until_it_is_closed() {
    let mut scene = Scene::new();
    assert!(!scene.fire());
    scene.wires.set_input(4, false);
    scene.expect(GpioEvent::Fire(true));
    assert!(scene.fire(), "repeated");
    scene.wires.set_input(4, true);
    scene.expect(GpioEvent::Fire(false));
}

#[test]
fn a_loop_that_is_open_at_start_is_a_fire() {
    let mut scene = Scene::with(64, |wires| wires.set_input(4, false));
    assert!(scene.fire());
}

#[test]
fn a_board_that_fails_is_reported_once_and_opened_again_with_the_wanted_levels() {
    let mut scene = Scene::new();
    scene.expect(GpioEvent::Up(true));
    scene.say(Command::Signal(FLAP, Direction::Entry, lit(Colour::Green)));
    scene.until("green", |wires| wires.output(22));
    scene.wires.fail(true);
    scene.expect(GpioEvent::Up(false));
    // Given while the board is away.
    scene.say(Command::Signal(FLAP, Direction::Entry, lit(Colour::Red)));
    thread::sleep(Duration::from_millis(20));
    scene.wires.fail(false);
    let said = scene.next(|event| {
        (!matches!(event, GpioEvent::Fire(_) | GpioEvent::Sensed(..))).then_some(event)
    });
    assert_eq!(said, GpioEvent::Up(true));
    assert!(scene.wires.output(23) && !scene.wires.output(22));
    scene.expect(GpioEvent::Sensed(FLAP, clear()));
}

#[test]
fn a_board_that_never_opens_is_reported_and_tried_again() {
    let mut scene = Scene::with(64, |wires| wires.fail(true));
    scene.expect(GpioEvent::Up(false));
    scene.say(Command::Release(FLAP, Direction::Entry));
    scene.say(Command::Lock(FLAP));
    scene.wires.fail(false);
    scene.expect(GpioEvent::Up(true));
    assert!(
        !scene.wires.is_active(high(17)),
        "what was locked meanwhile is not released later"
    );
    assert!(scene.wires.take_changes().is_empty());
}

#[test]
fn a_flap_stays_as_it_is_found_until_somebody_who_knows_the_aisle_locks_it() {
    // The pull holds it open while nobody drives it; so does a process that was killed.
    let mut scene = Scene::with(64, |wires| wires.set_input(17, true));
    scene.expect(GpioEvent::Sensed(FLAP, clear()));
    scene.expect(GpioEvent::Sensed(FLAP, clear()));
    assert!(scene.wires.is_active(high(17)), "not at the start");
    scene.say(Command::Lock(FLAP));
    scene.until("locked", |wires| !wires.is_active(high(17)));

    scene.wires.fail(true);
    scene.expect(GpioEvent::Up(false));
    scene.wires.set_input(17, true);
    scene.wires.set_input(20, false);
    scene.wires.fail(false);
    scene.expect(GpioEvent::Up(true));
    scene.expect(GpioEvent::Sensed(FLAP, clear()));
    scene.expect(GpioEvent::Sensed(FLAP, clear()));
    assert!(
        scene.wires.is_active(high(17)),
        "not when the board is back"
    );
    assert!(
        !scene.wires.is_active(low(20)),
        "the arms of a tripod close on nobody"
    );
    scene.say(Command::Lock(FLAP));
    scene.until("locked again", |wires| !wires.is_active(high(17)));
}

#[test]
fn an_output_that_does_not_obey_is_reported_once_and_driven_again() {
    let mut scene = Scene::new();
    scene.wires.stick(17, Some(false));
    scene.say(Command::Release(FLAP, Direction::Entry));
    scene.expect(GpioEvent::ReadBackMismatch { lane: FLAP });
    // Two repetitions later nothing more has been said about it.
    let mut repeated = 0;
    while repeated < 2 {
        scene.next(|event| {
            assert!(
                !matches!(event, GpioEvent::ReadBackMismatch { .. }),
                "said twice"
            );
            matches!(event, GpioEvent::Sensed(FLAP, _)).then_some(())
        });
        repeated += 1;
    }
    scene.wires.stick(17, None);
    scene.until("released after all", |wires| wires.is_active(high(17)));
    thread::sleep(REPEAT * 2);
    scene.wires.stick(17, Some(false));
    scene.expect(GpioEvent::ReadBackMismatch { lane: FLAP });
}

#[test]
fn at_the_end_every_output_is_inactive_but_a_leaf_that_nobody_has_locked() {
    let mut scene = Scene::new();
    scene.say(Command::Signal(FLAP, Direction::Entry, lit(Colour::Green)));
    scene.say(Command::ReleaseBoth(TRIPOD));
    scene.say(Command::ReleaseBoth(FLAP));
    scene.performed();
    scene.performed();
    scene.until("green", |wires| wires.output(22));
    assert!(scene.wires.is_driven());
    let wires = scene.end();
    let active: Vec<_> = layout()
        .outputs()
        .filter(|output| wires.is_active(*output))
        .collect();
    assert_eq!(active, [high(17)], "never driven shut on a body");
    assert!(!wires.is_driven(), "pulls and polarity decide now");

    let mut scene = Scene::new();
    scene.say(Command::ReleaseBoth(FLAP));
    scene.performed();
    scene.say(Command::Lock(FLAP));
    scene.until("locked", |wires| !wires.is_active(high(17)));
    let wires = scene.end();
    assert!(layout().outputs().all(|output| !wires.is_active(output)));
}

#[test]
fn a_panic_of_whoever_gives_commands_leaves_the_lines_safe() {
    let mut scene = Scene::new();
    scene.say(Command::Release(TRIPOD, Direction::Entry));
    scene.performed();
    let commands = scene.commands.take();
    let broken = thread::spawn(move || {
        let _held = commands;
        panic!("a broken invariant");
    });
    assert!(broken.join().is_err());
    scene.until("safe", |wires| {
        !wires.is_active(low(20)) && !wires.is_driven()
    });
}

#[test]
fn it_ends_when_nobody_listens() {
    let scene = Scene::new();
    scene.say(Command::Release(FLAP, Direction::Entry));
    scene.until("released", |wires| wires.is_active(high(17)));
    drop(scene.events);
    scene.thread.join().unwrap();
    assert!(!scene.wires.is_driven());
    drop(scene.commands);
}

#[test]
fn a_receiver_that_does_not_keep_up_never_holds_a_command_back() {
    let mut scene = Scene::with(1, |_| {});
    scene.until("nothing", |_| true);
    for turn in 0..400 {
        scene.wires.set_input(5, turn % 2 == 0);
        thread::sleep(Duration::from_micros(500));
    }
    let before = scene.clock.now();
    scene.say(Command::Release(FLAP, Direction::Entry));
    scene.until("released", |wires| wires.is_active(high(17)));
    assert!(scene.clock.now().since(before) < Duration::from_secs(1));
    // And what happened is still told, in order, though levels may have been dropped.
    scene.expect(GpioEvent::Up(true));
    assert_eq!(scene.performed().0, FLAP);
}

#[test]
fn the_same_thread_runs_on_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let (commands, receiver) = sync_channel(8);
    let (sender, mut events) = mpsc::channel(256);
    let board_path = path.clone();
    let open = move || -> Result<Box<dyn Board>, GpioError> {
        Ok(Box::new(FolderBoard::open(&board_path, &layout())?))
    };
    let clock = MonoClock::start();
    let thread = spawn(open, layout(), receiver, sender, clock).unwrap();
    commands
        .send(Command::Release(FLAP, Direction::Entry))
        .unwrap();
    let mut wait = |wanted: GpioEvent| {
        while let Some(event) = events.blocking_recv() {
            if event == wanted
                || matches!(
                    (event, wanted),
                    (GpioEvent::Performed { .. }, GpioEvent::Performed { .. })
                )
            {
                return;
            }
            assert!(
                clock.now() < Mono::default() + PATIENCE,
                "never came: {wanted:?}"
            );
        }
    };
    wait(GpioEvent::Performed {
        lane: FLAP,
        at: clock.now(),
    });
    assert_eq!(level(&path, 17), "1\n");
    let driven = std::fs::File::open(path.join(crate::drivers::gpio::folder::DRIVEN)).unwrap();
    assert!(driven.try_lock().is_err(), "somebody drives the lines");
    std::fs::write(path.join("gpio5"), "0").unwrap();
    wait(GpioEvent::Sensed(
        FLAP,
        clear().with(Sensor::EntryBeam, true),
    ));
    std::fs::write(path.join("gpio4"), "0").unwrap();
    wait(GpioEvent::Fire(true));
    // A world that writes nonsense is a fault, and its repair is seen.
    std::fs::write(path.join("gpio6"), "maybe").unwrap();
    wait(GpioEvent::Up(false));
    std::fs::write(path.join("gpio6"), "0").unwrap();
    wait(GpioEvent::Up(true));
    assert_eq!(level(&path, 17), "1\n", "the wanted level is there again");
    drop(commands);
    thread.join().unwrap();
    // The leaf was not locked by anybody; nobody drives it any more.
    assert_eq!([level(&path, 17), level(&path, 20)], ["1\n", "1\n"]);
    let driven = std::fs::File::open(path.join(crate::drivers::gpio::folder::DRIVEN)).unwrap();
    driven.try_lock().unwrap();
}

fn level(folder: &Path, pin: u8) -> String {
    std::fs::read_to_string(folder.join(format!("gpio{pin}"))).unwrap()
}
