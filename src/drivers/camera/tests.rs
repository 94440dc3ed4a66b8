//! The driver over sources that behave and misbehave.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks what it looks for"
)]

use std::collections::VecDeque;
use std::sync::Mutex;

use image::{GrayImage, ImageFormat};
use tokio::sync::mpsc::{self, Receiver};

use super::*;
use crate::domain::{Direction, LaneId};

enum Does {
    Gives(Luma),
    Rests,
    Fails,
    Hangs,
}

struct Script(Arc<Mutex<VecDeque<Does>>>);

impl FrameSource for Script {
    fn next(&mut self) -> Result<Option<Luma>, CameraError> {
        thread::sleep(Duration::from_millis(5));
        let next = self.0.lock().unwrap().pop_front();
        match next {
            Some(Does::Gives(luma)) => Ok(Some(luma)),
            Some(Does::Rests) | None => Ok(None),
            Some(Does::Fails) => Err(CameraError::Frame("No such device".into())),
            Some(Does::Hangs) => loop {
                thread::sleep(Duration::from_secs(3_600));
            },
        }
    }
}

fn start(script: Vec<Does>) -> Receiver<ReaderEvent> {
    let script = Arc::new(Mutex::new(VecDeque::from(script)));
    let port = Arc::new(Port {
        lane: LaneId(0),
        direction: Direction::Entry,
        name: "test".into(),
    });
    let (events, receiver) = mpsc::channel(64);
    let open: OpenSource = Arc::new(move || Ok(Box::new(Script(Arc::clone(&script)))));
    spawn(open, port, MonoClock::start(), events).unwrap();
    receiver
}

/// A flat picture of a code, eight pixels a module.
fn code(text: &str) -> Luma {
    let code = qrcode::QrCode::new(text).unwrap();
    let (side, colours) = (code.width(), code.to_colors());
    let size = (side + 8) * 8;
    let dark = |x: usize, y: usize| {
        let module = |at: usize| (at / 8).checked_sub(4).filter(|at| *at < side);
        module(x)
            .zip(module(y))
            .is_some_and(|(x, y)| colours[y * side + x] == qrcode::Color::Dark)
    };
    let pixels = (0..size * size)
        .map(|at| if dark(at % size, at / size) { 20 } else { 230 })
        .collect();
    Luma::new(size, size, pixels).unwrap()
}

async fn next(receiver: &mut Receiver<ReaderEvent>) -> ReaderReport {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await;
        match event
            .expect("the driver says something")
            .expect("the driver runs")
            .report
        {
            ReaderReport::Frame { .. } => {}
            report => return report,
        }
    }
}

fn text(report: ReaderReport) -> String {
    match report {
        ReaderReport::Presented(presentation) => match &presentation.shown {
            Shown::Code(text) => text.expose().clone(),
            Shown::Card(_) => panic!("a camera reads no cards"),
        },
        other => panic!("{other:?} instead of a presentation"),
    }
}

#[tokio::test]
async fn a_code_in_view_is_presented_once_and_another_at_once() {
    let shown = |text: &str| Does::Gives(code(text));
    let mut events = start(vec![
        shown("HC:1"),
        shown("HC:1"),
        Does::Rests,
        shown("HC:1"),
        shown("HC:2"),
    ]);
    assert!(matches!(next(&mut events).await, ReaderReport::Up(true)));
    assert_eq!(text(next(&mut events).await), "HC:1");
    assert_eq!(text(next(&mut events).await), "HC:2");
}

#[tokio::test]
async fn an_unplugged_camera_is_reported_once_and_heals() {
    let mut events = start(vec![
        Does::Rests,
        Does::Fails,
        Does::Fails,
        Does::Gives(code("HC:back")),
    ]);
    assert!(matches!(next(&mut events).await, ReaderReport::Up(true)));
    assert!(matches!(next(&mut events).await, ReaderReport::Up(false)));
    assert!(matches!(next(&mut events).await, ReaderReport::Up(true)));
    assert_eq!(text(next(&mut events).await), "HC:back");
}

#[tokio::test]
async fn a_camera_that_blocks_for_ever_is_given_up_and_opened_again() {
    let mut events = start(vec![
        Does::Rests,
        Does::Hangs,
        Does::Gives(code("HC:again")),
    ]);
    assert!(matches!(next(&mut events).await, ReaderReport::Up(true)));
    assert!(
        matches!(next(&mut events).await, ReaderReport::Up(false)),
        "after two seconds of silence"
    );
    assert!(matches!(next(&mut events).await, ReaderReport::Up(true)));
    assert_eq!(text(next(&mut events).await), "HC:again");
}

#[tokio::test]
async fn a_folder_is_played_in_the_order_of_names_as_files_come() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, text: &str| {
        let luma = code(text);
        let side = u32::try_from(luma.width()).unwrap();
        let image = GrayImage::from_raw(side, side, luma.pixels().to_vec()).unwrap();
        image
            .save_with_format(folder.path().join(name), ImageFormat::Png)
            .unwrap();
    };
    std::fs::write(folder.path().join("0-torn.png"), b"not a picture").unwrap();
    std::fs::write(folder.path().join("notes.txt"), b"ignored").unwrap();
    save("2.png", "HC:second");
    save("1.png", "HC:first");
    let settings = tree::Folder {
        path: folder.path().into(),
        fps: 100.try_into().unwrap(),
    };
    let port = Arc::new(Port {
        lane: LaneId(0),
        direction: Direction::Entry,
        name: "folder".into(),
    });
    let (events, mut receiver) = mpsc::channel(64);
    spawn_folder(&settings, port, MonoClock::start(), events).unwrap();
    assert!(matches!(next(&mut receiver).await, ReaderReport::Up(true)));
    assert_eq!(text(next(&mut receiver).await), "HC:first");
    assert_eq!(text(next(&mut receiver).await), "HC:second");
    save("3.png", "HC:third");
    assert_eq!(text(next(&mut receiver).await), "HC:third");
}
