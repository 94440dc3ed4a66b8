use std::sync::Arc;

use tokio::sync::mpsc;

use super::*;
use crate::domain::{Direction, IdCardKind, LaneId, Personal, Presentation, Prompt, Shown};
use crate::drivers::serial::{self, Kind, Setup};
use crate::drivers::{Port, ReaderEvent, ReaderReport};

fn card(number: &str) -> IdCard {
    IdCard {
        number: Personal::new(number.into()),
        kind: IdCardKind::Resident,
        valid_from: "20200101".into(),
        valid_until: None,
    }
}

struct Scene {
    module: SamModule,
    events: mpsc::Receiver<ReaderEvent>,
    clock: MonoClock,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// The real driver, on a module behind a real terminal.
    fn new(after_read: AfterRead) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module = SamModule::start(folder.path().join("id-card"), after_read).unwrap();
        let setup = Setup {
            port: module.path().into(),
            baud: None,
            kind: Kind::IdCard,
            types: false,
        };
        let port = Arc::new(Port {
            lane: LaneId(0),
            direction: Direction::Entry,
            name: "id-card".into(),
        });
        let clock = MonoClock::start();
        let (sender, events) = mpsc::channel(16);
        tokio::spawn(async move { serial::run(&setup, port, clock, sender).await });
        Self {
            module,
            events,
            clock,
            _folder: folder,
        }
    }

    async fn next(&mut self) -> ReaderReport {
        loop {
            let next = time::timeout(Duration::from_secs(5), self.events.recv());
            let report = next.await.unwrap().unwrap().report;
            if !matches!(report, ReaderReport::Port(_) | ReaderReport::Identified(_)) {
                return report;
            }
        }
    }

    async fn next_number(&mut self) -> String {
        let report = self.next().await;
        match report {
            ReaderReport::Presented(Presentation {
                shown: Shown::Card(card),
                ..
            }) => card.number.expose().clone(),
            ReaderReport::Presented(_)
            | ReaderReport::Prompt(_)
            | ReaderReport::Up(_)
            | ReaderReport::Blind(_)
            | ReaderReport::Frame { .. }
            | ReaderReport::Faults(_)
            | ReaderReport::TooFast(_)
            | ReaderReport::Port(_)
            | ReaderReport::Identified(_)
            | ReaderReport::Provisioned(_)
            | ReaderReport::Tamper(_)
            | ReaderReport::PowerFailure(_)
            | ReaderReport::NotAuthentic => panic!("{report:?}"),
        }
    }

    async fn quiet_for(&mut self, ms: u64) {
        let next = time::timeout(Duration::from_millis(ms), self.events.recv());
        assert!(next.await.is_err(), "something came");
    }

    async fn up(&mut self, up: bool) {
        let report = self.next().await;
        assert!(
            matches!(report, ReaderReport::Up(is) if is == up),
            "{report:?}"
        );
    }
}

const A: &str = "11010519491231002X";
const B: &str = "440524188001010014";

async fn reads_two_cards_once_each(after_read: AfterRead) {
    let mut scene = Scene::new(after_read);
    scene.up(true).await;
    let laid = scene.clock.now();
    scene.module.present(card(A));
    assert_eq!(scene.next_number().await, A);
    let took = scene.clock.now().since(laid);
    println!("{after_read:?}: presented after {took:?}");
    // The line alone takes 112 ms for the read.
    assert!(took > Duration::from_millis(112), "{took:?}");
    scene.quiet_for(400).await;
    scene.module.lift();
    scene.quiet_for(100).await;
    scene.module.present(card(B));
    assert_eq!(scene.next_number().await, B);
}

#[tokio::test]
async fn a_module_that_is_quiet_after_a_read_gives_each_card_once() {
    reads_two_cards_once_each(AfterRead::Quiet).await;
}

#[tokio::test]
async fn a_module_that_goes_on_finding_the_card_gives_each_card_once() {
    reads_two_cards_once_each(AfterRead::Found).await;
}

#[tokio::test]
async fn a_pulled_plug_heals() {
    let mut scene = Scene::new(AfterRead::Quiet);
    scene.up(true).await;
    scene.module.unplug();
    scene.up(false).await;
    scene.module.plug();
    scene.up(true).await;
    scene.module.present(card(A));
    assert_eq!(scene.next_number().await, A);
}

#[tokio::test]
async fn cards_that_fail_are_told_apart() {
    let mut scene = Scene::new(AfterRead::Found);
    scene.up(true).await;
    scene.module.present_failing(0x31);
    let report = scene.next().await;
    assert!(matches!(report, ReaderReport::NotAuthentic), "{report:?}");
    scene.module.present_failing(0x40);
    let report = scene.next().await;
    let not_supported = matches!(report, ReaderReport::Prompt(Prompt::CardNotSupported));
    assert!(not_supported, "{report:?}");
}

#[tokio::test]
async fn nothing_stays_behind_and_nothing_foreign_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id-card");
    std::fs::write(&path, "mine").unwrap();
    assert!(SamModule::start(&path, AfterRead::Quiet).is_err());
    std::fs::remove_file(&path).unwrap();
    let module = SamModule::start(&path, AfterRead::Quiet).unwrap();
    drop(module);
    for _ in 0..100 {
        if !path.is_symlink() {
            return;
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the link is still there");
}
