//! A card that lies on the reader, a phone that is held to it: one showing, one decision (READERS R5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{self, sleep};
use turnstiled::domain::{
    Colour, Direction, IdCard, IdCardKind, LaneId, Outcome, Personal, Prompt, Reason, Shown,
    Verdict,
};
use turnstiled::drivers::serial::{Kind, run_over};
use turnstiled::drivers::{MonoClock, Port, ReaderEvent, ReaderReport};
use turnstiled::lab::sam_module::{AfterRead, SamModule};
use turnstiled::proto::sam::{Command, decode_command, encode_read, encode_reply};

use crate::site::Site;
use crate::terminal::Scanner;

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "in"
barrier = "flap"
fail = "secure"
directions = ["entry"]
release_ms = 2000
outputs = { release_entry = 17 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [
    { name = "scanner", direction = "entry", line = { port = "scanner" } },
    { name = "card", direction = "entry", id_card = { port = "card" } },
]
"#;

/// Region code 10 is given to nobody.
fn number(body: &str) -> String {
    let check = turnstiled::codes::id_card::check_digit(body.as_bytes()).unwrap();
    format!("{body}{}", char::from(check))
}

fn card(number: &str) -> IdCard {
    IdCard {
        number: Personal::new(number.into()),
        kind: IdCardKind::Resident,
        valid_from: "20200101".into(),
        valid_until: None,
    }
}

/// Answers the driver's commands as a module on which `card` lies; `None`: nothing lies there.
fn module(mut line: DuplexStream, laid: mpsc::Receiver<Option<IdCard>>) {
    let mut laid = laid;
    tokio::spawn(async move {
        let (mut frame, mut lies) = ([0; 10], None);
        while line.read_exact(&mut frame).await.is_ok() {
            while let Ok(now) = laid.try_recv() {
                lies = now;
            }
            let (code, _) = decode_command(&frame).unwrap().unwrap();
            let reply = match (Command::from_code(code).unwrap(), &lies) {
                (Command::ModuleId, _) => encode_reply([0, 0, 0x90], &[7; 16]),
                (Command::Reset | Command::Status, _) => encode_reply([0, 0, 0x90], &[]),
                (Command::Find, Some(_)) => encode_reply([0, 0, 0x9F], &[0; 4]),
                (Command::Find, None) => encode_reply([0, 0, 0x80], &[]),
                (Command::Select, Some(_)) => encode_reply([0, 0, 0x90], &[0; 8]),
                (Command::Select, None) => encode_reply([0, 0, 0x81], &[]),
                (Command::Read, Some(card)) => encode_read(card).to_vec(),
                (Command::Read, None) => encode_reply([0, 0, 0x41], &[]),
            };
            if line.write_all(&reply).await.is_err() {
                return;
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_card_that_lies_on_the_reader_for_a_minute_is_one_card() {
    let (port, line) = duplex(4096);
    let (lay, laid) = mpsc::channel(4);
    module(line, laid);
    let (sender, mut events) = mpsc::channel::<ReaderEvent>(64);
    let reader = Arc::new(Port {
        lane: LaneId(0),
        direction: Direction::Entry,
        name: "card".into(),
    });
    let port = std::sync::Mutex::new(Some(port));
    let open = move |_| {
        let port = port.lock().unwrap().take();
        async move { Ok(port.expect("the port stays open")) }
    };
    tokio::spawn(async move {
        run_over(
            Kind::IdCard,
            &[115_200],
            open,
            reader,
            MonoClock::start(),
            sender,
        )
        .await;
    });
    let (a, b) = (number("10000019500101001"), number("10000019600101002"));
    let shown = |events: &mut mpsc::Receiver<ReaderEvent>| {
        let mut numbers = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let ReaderReport::Presented(presentation) = event.report {
                match presentation.shown {
                    Shown::Card(card) => numbers.push(card.number.expose().clone()),
                    other @ (Shown::Code(_) | Shown::Tag(_) | Shown::TooLong) => {
                        panic!("{other:?}")
                    }
                }
            }
        }
        numbers
    };

    lay.send(Some(card(&a))).await.unwrap();
    time::sleep(Duration::from_secs(60)).await;
    assert_eq!(
        shown(&mut events),
        std::slice::from_ref(&a),
        "once in a minute"
    );
    // Another card is another person, at once.
    lay.send(Some(card(&b))).await.unwrap();
    time::sleep(Duration::from_secs(60)).await;
    assert!(shown(&mut events).len() <= 1, "and not a minute of them");
    // Lifted and laid on again is a new showing.
    lay.send(None).await.unwrap();
    time::sleep(Duration::from_secs(5)).await;
    let _ = shown(&mut events);
    lay.send(Some(card(&a))).await.unwrap();
    time::sleep(Duration::from_secs(5)).await;
    assert_eq!(shown(&mut events), [a], "lifted and laid on again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_stays_on_the_reader_opens_the_gate_once() {
    let number = number("10000019500101001");
    let people = [(number.as_str(), Colour::Green)];
    let (mut site, (_scanner, module)) = Site::open(LANES, &people, |folder, _| {
        let module = SamModule::start(folder.join("card"), AfterRead::Found).unwrap();
        (Scanner::plug_in(&folder.join("scanner")), module)
    })
    .await;
    module.present(card(&number));
    site.sees_release().await;
    site.walks(5, 6, &["#.", "##", ".#", ".."]).await;
    site.sees_outcome(Outcome::Passed).await;
    // It lies there for twelve seconds more, as one does who looks for the other glove.
    sleep(Duration::from_secs(12)).await;
    let grant = (Direction::Entry, Verdict::Grant, Reason::InOrder);
    assert_eq!(site.decisions(), [grant], "one showing, one decision");
    let prompts = site.prompts(LaneId(0), Direction::Entry);
    assert_eq!(prompts.last(), Some(&Prompt::Idle), "{prompts:?}");

    // Lifted and laid on again it is a second showing, and somebody has gone in with it already.
    module.lift();
    sleep(Duration::from_secs(2)).await;
    module.present(card(&number));
    let again = site.sees_decision().await;
    assert_eq!(
        (again.verdict, again.reason),
        (Verdict::Deny, Reason::Passback)
    );
    site.sees_prompt(Direction::Entry, Prompt::CodeUsed).await;
    let series = "turnstile_presentations_total{lane=\"in\",medium=\"id_card\",result=\"granted\"}";
    assert_eq!(site.metric(series), 1);
    let kept = site.closes().await;
    assert_eq!(kept.of_kind("decision").count(), 2);
    assert_eq!(kept.outcomes(), ["passed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_held_to_the_reader_does_not_keep_a_card_from_being_served() {
    let number = number("10000019500101001");
    let people = [(number.as_str(), Colour::Green), ("HC:RED", Colour::Red)];
    let (mut site, (scanner, module)) = Site::open(LANES, &people, |folder, _| {
        let module = SamModule::start(folder.join("card"), AfterRead::Found).unwrap();
        (Scanner::plug_in(&folder.join("scanner")), module)
    })
    .await;
    // A scanner repeats a phone that lingers.
    let (held, holding) = (Arc::new(AtomicBool::new(true)), scanner);
    let still = Arc::clone(&held);
    let phone = std::thread::spawn(move || {
        while still.load(Ordering::Relaxed) {
            holding.shows("HC:RED");
            std::thread::sleep(Duration::from_millis(250));
        }
    });
    let red = site.sees_decision().await;
    assert_eq!((red.verdict, red.reason), (Verdict::Deny, Reason::RedCode));
    site.sees_prompt(Direction::Entry, Prompt::Hold).await;

    module.present(card(&number));
    let green = site.sees_decision().await;
    assert_eq!(
        (green.verdict, green.reason),
        (Verdict::Grant, Reason::InOrder)
    );
    site.sees_prompt(Direction::Entry, Prompt::Go).await;
    site.walks(5, 6, &["#.", "##", ".#", ".."]).await;
    site.sees_outcome(Outcome::Passed).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(site.decisions().len(), 2, "the phone is held all along");
    held.store(false, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || phone.join().unwrap())
        .await
        .unwrap();
    let series = |medium, result| {
        format!(
            "turnstile_presentations_total{{lane=\"in\",medium=\"{medium}\",result=\"{result}\"}}"
        )
    };
    assert_eq!(site.metric(&series("qr_code", "red_code")), 1);
    assert_eq!(site.metric(&series("id_card", "granted")), 1);
    let kept = site.closes().await;
    let reasons: Vec<_> = kept
        .decisions()
        .into_iter()
        .map(|(_, reason)| reason)
        .collect();
    assert_eq!(reasons, ["red_code", "in_order"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_tapped_while_somebody_is_let_through_opens_nothing_later() {
    let number = number("10000019500101001");
    let people = [
        (number.as_str(), Colour::Green),
        ("HC:GREEN", Colour::Green),
    ];
    let (mut site, (scanner, module)) = Site::open(LANES, &people, |folder, _| {
        let module = SamModule::start(folder.join("card"), AfterRead::Found).unwrap();
        (Scanner::plug_in(&folder.join("scanner")), module)
    })
    .await;
    scanner.shows("HC:GREEN");
    site.sees_release().await;
    site.walks(5, 6, &["#."]).await;
    module.present(card(&number));
    let busy = site.sees_decision().await;
    let refused = (busy.verdict, busy.reason);
    assert_eq!(refused, (Verdict::Deny, Reason::LaneBusy));
    site.sees_prompt(Direction::Entry, Prompt::OneAtATime).await;
    site.walks(5, 6, &["##", ".#", ".."]).await;
    site.sees_outcome(Outcome::Passed).await;
    // The card still lies there. It was refused, and does not open the gate by itself.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(site.decisions().len(), 2);
    module.lift();
    sleep(Duration::from_secs(2)).await;
    module.present(card(&number));
    site.sees_release().await;
    site.walks(5, 6, &["#.", "##", ".#", ".."]).await;
    site.sees_outcome(Outcome::Passed).await;
    let series =
        "turnstile_presentations_total{lane=\"in\",medium=\"id_card\",result=\"lane_busy\"}";
    assert_eq!(site.metric(series), 1);
    let kept = site.closes().await;
    assert_eq!(
        kept.of_kind("decision").count(),
        2,
        "the refusal cost nothing"
    );
    assert_eq!(kept.outcomes(), ["passed", "passed"]);
}
