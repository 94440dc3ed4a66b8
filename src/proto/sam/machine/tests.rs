use super::super::card::encode_read;
use super::super::frame::{decode, encode_reply};
use super::*;
use crate::domain::{IdCardKind, Personal};

const A: &str = "11010519491231002X";
const B: &str = "440524188001010014";

fn card(number: &str) -> IdCard {
    IdCard {
        number: Personal::new(number.into()),
        kind: IdCardKind::Resident,
        valid_from: "20200101".into(),
        valid_until: None,
    }
}

fn status(sw3: u8) -> Vec<u8> {
    encode_reply([0, 0, sw3], &[])
}

/// A module on a desk: each command is answered at once by what `pad` says, one answer a FIND, SELECT or READ.
struct Scene {
    machine: SamMachine,
    now: Mono,
    out: Vec<Output>,
    sent: Vec<Command>,
    news: Vec<Output>,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Self {
            machine: SamMachine::default(),
            now: Mono::from_millis(10_000),
            out: Vec::new(),
            sent: Vec::new(),
            news: Vec::new(),
        };
        scene.machine.start(scene.now, &mut scene.out);
        scene.sort();
        scene
    }

    fn ready() -> Self {
        let mut scene = Self::new();
        assert_eq!(scene.sent.pop(), Some(Command::Status));
        scene.reply(&status(0x90));
        assert_eq!(scene.take_news(), [Output::Ready]);
        scene.is_asked_who_it_is();
        scene
    }

    /// A well module is asked which one it is; this one does not say.
    fn is_asked_who_it_is(&mut self) {
        assert_eq!(self.sent.pop(), Some(Command::ModuleId));
        self.reply(&status(0x21));
        assert_eq!(self.take_news(), []);
    }

    fn sort(&mut self) {
        for output in self.out.drain(..) {
            if let Output::Send(command) = output {
                self.sent.push(command);
            } else {
                self.news.push(output);
            }
        }
    }

    fn reply(&mut self, bytes: &[u8]) {
        let reply = decode(bytes).unwrap().unwrap().0;
        self.machine
            .step(self.now, Input::Reply(reply), &mut self.out);
        self.sort();
    }

    fn corrupt(&mut self) {
        self.machine.step(self.now, Input::Corrupt, &mut self.out);
        self.sort();
    }

    /// Lets time pass to the next deadline.
    fn time_out(&mut self) {
        self.now = self.machine.deadline().unwrap();
        self.machine.step(self.now, Input::TimedOut, &mut self.out);
        self.sort();
    }

    /// One round of FIND and what follows from it. Returns false if no FIND was sent.
    fn round(&mut self, pad: &Pad) {
        self.time_out();
        assert_eq!(self.sent.pop(), Some(Command::Find));
        match pad {
            Pad::Empty => self.reply(&status(0x80)),
            Pad::Corrupt => self.corrupt(),
            Pad::Holds(number) => {
                self.find_and_select();
                self.reply(&encode_read(&card(number)));
            }
            Pad::FailsToRead(sw3) => {
                self.find_and_select();
                self.reply(&status(*sw3));
            }
        }
    }

    fn find_and_select(&mut self) {
        self.reply(&encode_reply([0, 0, 0x9F], &[0; 4]));
        assert_eq!(self.sent.pop(), Some(Command::Select));
        self.reply(&encode_reply([0, 0, 0x90], &[0; 8]));
        assert_eq!(self.sent.pop(), Some(Command::Read));
    }

    fn rounds(&mut self, pad: &Pad, count: usize) {
        for _ in 0..count {
            self.round(pad);
        }
    }

    fn take_news(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.news)
    }

    fn take_numbers(&mut self) -> Vec<String> {
        let numbers = self.take_news().into_iter().filter_map(|news| {
            let Output::Presented { card, .. } = news else {
                return None;
            };
            Some(card.number.expose().clone())
        });
        numbers.collect()
    }
}

enum Pad {
    Empty,
    Holds(&'static str),
    FailsToRead(u8),
    Corrupt,
}

#[test]
fn a_card_is_found_selected_read_and_handed_on_once() {
    let mut scene = Scene::ready();
    scene.round(&Pad::Empty);
    scene.time_out();
    scene.find_and_select();
    let found = scene.now;
    scene.now = scene.now + Duration::from_millis(900);
    scene.reply(&encode_read(&card(A)));
    let seen = found;
    let presented = Output::Presented {
        card: card(A),
        seen,
    };
    assert_eq!(scene.take_news(), [presented]);
}

#[test]
fn find_is_sent_every_200_ms() {
    let mut scene = Scene::ready();
    scene.round(&Pad::Empty);
    let first = scene.now;
    scene.rounds(&Pad::Empty, 10);
    assert_eq!(scene.now.since(first), Duration::from_secs(2));
}

#[test]
fn a_module_that_goes_on_finding_the_card_hands_it_on_once() {
    let mut scene = Scene::ready();
    scene.rounds(&Pad::Holds(A), 50);
    assert_eq!(scene.take_numbers(), [A]);
}

#[test]
fn a_module_that_is_quiet_until_the_lift_hands_each_showing_on() {
    let mut scene = Scene::ready();
    scene.round(&Pad::Holds(A));
    scene.rounds(&Pad::Empty, 12);
    scene.round(&Pad::Holds(A));
    assert_eq!(scene.take_numbers(), [A, A]);
}

#[test]
fn a_card_that_comes_back_within_the_hold_off_waits_for_its_end() {
    let mut scene = Scene::ready();
    scene.round(&Pad::Holds(A));
    scene.rounds(&Pad::Empty, 4);
    scene.rounds(&Pad::Holds(A), 5); // to 1.8 s
    assert_eq!(scene.take_numbers(), [A]);
    scene.rounds(&Pad::Holds(A), 20);
    assert_eq!(scene.take_numbers(), [A], "the second showing, once");
}

#[test]
fn a_short_or_unclear_gap_is_not_a_lift() {
    let mut scene = Scene::ready();
    scene.round(&Pad::Holds(A));
    for _ in 0..10 {
        scene.rounds(&Pad::Empty, 2);
        scene.round(&Pad::Corrupt);
        scene.rounds(&Pad::Empty, 2);
        scene.round(&Pad::Holds(A));
    }
    assert_eq!(scene.take_numbers(), [A]);
}

#[test]
fn another_card_is_taken_at_once_and_two_cards_do_not_take_turns() {
    let mut scene = Scene::ready();
    for _ in 0..10 {
        scene.round(&Pad::Holds(A));
        scene.round(&Pad::Holds(B));
    }
    assert_eq!(scene.take_numbers(), [A, B]);
}

#[test]
fn three_failed_reads_ask_for_a_new_showing_once() {
    let mut scene = Scene::ready();
    scene.rounds(&Pad::FailsToRead(0x41), 2);
    assert_eq!(scene.take_news(), []);
    scene.rounds(&Pad::FailsToRead(0x81), 5);
    assert_eq!(scene.take_news(), [Output::Prompt(Prompt::LiftAndRetap)]);
    scene.round(&Pad::Holds(A));
    assert_eq!(scene.take_numbers(), [A]);
}

#[test]
fn a_card_that_is_lifted_too_early_is_asked_for_again() {
    let mut scene = Scene::ready();
    scene.round(&Pad::FailsToRead(0x41));
    scene.rounds(&Pad::Empty, 10);
    assert_eq!(scene.take_news(), [Output::Prompt(Prompt::LiftAndRetap)]);
}

#[test]
fn the_last_failed_read_of_a_card_that_was_taken_is_not_mentioned() {
    let mut scene = Scene::ready();
    scene.rounds(&Pad::Holds(A), 2);
    scene.rounds(&Pad::FailsToRead(0x41), 3);
    scene.rounds(&Pad::Empty, 10);
    assert_eq!(scene.take_numbers(), [A]);
    scene.rounds(&Pad::FailsToRead(0x41), 3);
    assert_eq!(scene.take_news(), [Output::Prompt(Prompt::LiftAndRetap)]);
}

#[test]
fn a_good_read_starts_the_count_of_failures_over() {
    let mut scene = Scene::ready();
    for _ in 0..5 {
        scene.rounds(&Pad::FailsToRead(0x41), 2);
        scene.round(&Pad::Holds(A));
    }
    scene.news.retain(|news| matches!(news, Output::Prompt(_)));
    assert_eq!(scene.take_news(), []);
}

#[test]
fn a_card_that_does_not_authenticate_is_reported_once_a_showing_and_nothing_of_it_is_taken() {
    for sw3 in [0x31, 0x32, 0x33] {
        let mut scene = Scene::ready();
        scene.rounds(&Pad::FailsToRead(sw3), 5);
        assert_eq!(scene.take_news(), [Output::NotAuthentic]);
        scene.rounds(&Pad::Empty, 3);
        scene.round(&Pad::FailsToRead(sw3));
        assert_eq!(scene.take_news(), [Output::NotAuthentic]);
    }
}

#[test]
fn a_card_of_another_kind_is_named_so() {
    let mut scene = Scene::ready();
    scene.rounds(&Pad::FailsToRead(0x40), 5);
    let not_supported = Output::Prompt(Prompt::CardNotSupported);
    assert_eq!(scene.take_news(), [not_supported]);
}

#[test]
fn a_module_without_random_numbers_is_reset_and_asked_again() {
    let mut scene = Scene::ready();
    scene.round(&Pad::FailsToRead(0x47));
    assert_eq!(scene.sent.pop(), Some(Command::Reset));
    scene.reply(&status(0x90));
    assert_eq!(scene.sent.pop(), Some(Command::Status));
    scene.reply(&status(0x90));
    scene.round(&Pad::Holds(A));
    assert_eq!(scene.take_numbers(), [A]);
}

#[test]
fn a_broken_module_is_out_of_service_until_it_says_otherwise() {
    for sw3 in [0x60, 0x66] {
        let mut scene = Scene::new();
        for _ in 0..3 {
            scene.reply(&status(sw3));
            scene.time_out();
            assert_eq!(scene.sent.pop(), Some(Command::Status));
        }
        assert_eq!(scene.take_news(), [Output::OutOfService]);
        scene.reply(&status(0x90));
        assert_eq!(scene.take_news(), [Output::Ready]);
        scene.is_asked_who_it_is();
        scene.time_out();
        scene.reply(&status(sw3));
        assert_eq!(scene.take_news(), [Output::OutOfService]);
    }
}

#[test]
fn a_line_fault_is_answered_by_one_repetition() {
    let mut scene = Scene::ready();
    scene.time_out();
    assert_eq!(scene.sent.pop(), Some(Command::Find));
    scene.reply(&status(0x10));
    assert_eq!(scene.sent.pop(), Some(Command::Find));
    scene.reply(&status(0x10));
    assert_eq!(scene.sent.pop(), None);
    assert_eq!(scene.take_news(), [Output::Fault, Output::Fault]);
    scene.round(&Pad::Holds(A));
    assert_eq!(scene.take_numbers(), [A]);
}

#[test]
fn a_card_whose_text_was_broken_on_the_line_is_asked_for_it_once_more() {
    let mut scene = Scene::ready();
    scene.time_out();
    assert_eq!(scene.sent.pop(), Some(Command::Find));
    scene.find_and_select();
    scene.corrupt();
    assert_eq!(scene.sent.pop(), Some(Command::Read), "and not for a card");
    scene.reply(&encode_read(&card(A)));
    assert_eq!(scene.take_numbers(), [A]);

    // Broken twice: from the start, and whoever takes the card away hears that it was not read.
    let mut scene = Scene::ready();
    scene.time_out();
    assert_eq!(scene.sent.pop(), Some(Command::Find));
    scene.find_and_select();
    scene.corrupt();
    assert_eq!(scene.sent.pop(), Some(Command::Read));
    scene.corrupt();
    assert_eq!(scene.sent.pop(), None);
    scene.rounds(&Pad::Empty, 4);
    assert_eq!(scene.take_news(), [Output::Prompt(Prompt::LiftAndRetap)]);
}

/// One bit of the number turned and one of the photo: the checksum of the frame holds.
#[test]
fn a_number_that_does_not_add_up_is_read_once_more_and_handed_on_only_if_the_card_says_it_twice() {
    const SPOILED: &str = "10010519491231002X";
    let mut scene = Scene::ready();
    scene.time_out();
    assert_eq!(scene.sent.pop(), Some(Command::Find));
    scene.find_and_select();
    scene.reply(&encode_read(&card(SPOILED)));
    assert_eq!(scene.sent.pop(), Some(Command::Read));
    scene.reply(&encode_read(&card(A)));
    assert_eq!(scene.take_numbers(), [A]);

    // A card with such a number is for others to refuse.
    let mut scene = Scene::ready();
    scene.time_out();
    assert_eq!(scene.sent.pop(), Some(Command::Find));
    scene.find_and_select();
    scene.reply(&encode_read(&card(SPOILED)));
    assert_eq!(scene.sent.pop(), Some(Command::Read));
    scene.reply(&encode_read(&card(SPOILED)));
    assert_eq!(scene.take_numbers(), [SPOILED]);
}

#[test]
fn three_missing_answers_in_a_row_end_the_connection() {
    let mut scene = Scene::ready();
    for _ in 0..2 {
        scene.time_out(); // FIND goes out
        scene.time_out(); // and is not answered
    }
    scene.round(&Pad::Empty);
    scene.take_news();
    for _ in 0..3 {
        scene.time_out();
        scene.time_out();
    }
    let fault = Output::Fault;
    assert_eq!(
        scene.take_news(),
        [fault.clone(), fault.clone(), fault, Output::GaveUp]
    );
    assert!(scene.machine.has_heard());
    assert_eq!(scene.machine.deadline(), None);
}

#[test]
fn a_module_that_never_answers_is_given_up_unheard() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        scene.time_out();
    }
    assert_eq!(scene.take_news().last(), Some(&Output::GaveUp));
    assert!(!scene.machine.has_heard());
}

#[test]
fn a_module_that_does_not_understand_the_probe_is_given_up() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        scene.reply(&status(0x21));
        scene.time_out();
    }
    assert_eq!(scene.take_news().last(), Some(&Output::GaveUp));
}

#[test]
fn a_new_connection_does_not_hand_the_same_showing_on_again() {
    let mut scene = Scene::ready();
    scene.round(&Pad::Holds(A));
    scene.machine.start(scene.now, &mut scene.out);
    scene.sort();
    scene.reply(&status(0x90));
    assert_eq!(scene.sent.pop(), Some(Command::ModuleId));
    scene.reply(&status(0x21));
    scene.rounds(&Pad::Holds(A), 20);
    assert_eq!(scene.take_numbers(), [A]);
}

#[test]
fn answers_nobody_waits_for_change_nothing() {
    let mut scene = Scene::ready();
    for sw3 in [0x9F, 0x90, 0x80, 0x31, 0x40] {
        scene.reply(&status(sw3));
    }
    scene.corrupt();
    assert_eq!(scene.take_news(), []);
    scene.round(&Pad::Holds(A));
    assert_eq!(scene.take_numbers(), [A]);
}

#[test]
fn no_order_of_answers_stops_the_polling() {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..200 {
        let mut scene = Scene::ready();
        for _ in 0..100 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            match seed % 5 {
                0 => scene.corrupt(),
                1 => scene.reply(&encode_read(&card(A))),
                2 => scene.time_out(),
                _ => {
                    let all = [
                        0x90, 0x9F, 0x80, 0x81, 0x41, 0x31, 0x40, 0x47, 0x10, 0x60, 0x23, 0x91,
                        0x99,
                    ];
                    scene.reply(&status(
                        all[usize::try_from(seed >> 32).unwrap() % all.len()],
                    ));
                }
            }
            if scene.machine.deadline().is_none() {
                scene.machine.start(scene.now, &mut scene.out);
                scene.sort();
            }
        }
    }
}

#[test]
fn a_module_says_which_one_it_is_and_one_that_does_not_is_served_all_the_same() {
    let mut scene = Scene::new();
    assert_eq!(scene.sent.pop(), Some(Command::Status));
    scene.reply(&status(0x90));
    assert_eq!(scene.sent.pop(), Some(Command::ModuleId));
    scene.take_news();
    scene.reply(&encode_reply([0, 0, 0x90], &[0x5A; 16]));
    assert_eq!(scene.take_news(), [Output::Identified("5A".repeat(16))]);
    scene.round(&Pad::Empty);

    let mut scene = Scene::new();
    scene.sent.clear();
    scene.reply(&status(0x90));
    scene.sent.clear();
    scene.take_news();
    scene.time_out();
    assert_eq!(scene.take_news(), [], "no fault, and no try lost");
    scene.round(&Pad::Empty);
}
