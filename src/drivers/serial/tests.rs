use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time;

use super::*;
use crate::domain::{
    Direction, IdCard, IdCardKind, LaneId, Medium, Personal, Presentation, Prompt, Shown,
};
use crate::drivers::{PortNews, PortState, ReaderReport};
use crate::proto::sam::{Command, decode_command, encode_read, encode_reply};

const A: &str = "11010519491231002X";
const CODE: &str = "HC1:6BF+70";

/// What `open` gives, in order: a port, or nothing there.
type Ports = Arc<Mutex<Vec<Option<DuplexStream>>>>;

fn line() -> Kind {
    Kind::Line(LineShape::default())
}

struct Scene {
    events: mpsc::Receiver<ReaderEvent>,
    clock: MonoClock,
    task: JoinHandle<()>,
    bauds: Arc<Mutex<Vec<u32>>>,
}

/// The next report that is not about the port itself.
async fn next_of(events: &mut mpsc::Receiver<ReaderEvent>) -> ReaderReport {
    loop {
        let next = time::timeout(Duration::from_secs(60), events.recv());
        let report = next.await.unwrap().unwrap().report;
        if !matches!(report, ReaderReport::Port(_) | ReaderReport::Identified(_)) {
            return report;
        }
    }
}

impl Scene {
    fn line(ports: Vec<Option<DuplexStream>>) -> Self {
        Self::new(ports, 16, |open, port, clock, sender| {
            tokio::spawn(run_over(line(), &[9600], open, port, clock, sender))
        })
    }

    fn line_at(ports: Vec<Option<DuplexStream>>, bauds: &'static [u32]) -> Self {
        Self::new(ports, 16, move |open, port, clock, sender| {
            tokio::spawn(run_over(line(), bauds, open, port, clock, sender))
        })
    }

    fn id_card(ports: Vec<Option<DuplexStream>>, bauds: &'static [u32]) -> Self {
        Self::new(ports, 16, move |open, port, clock, sender| {
            tokio::spawn(run_over(Kind::IdCard, bauds, open, port, clock, sender))
        })
    }

    fn tag(ports: Vec<Option<DuplexStream>>, codec: TagCodec, bauds: &'static [u32]) -> Self {
        Self::new(ports, 16, move |open, port, clock, sender| {
            tokio::spawn(run_over(Kind::Tag(codec), bauds, open, port, clock, sender))
        })
    }

    fn pn532(ports: Vec<Option<DuplexStream>>) -> Self {
        Self::new(ports, 16, move |open, port, clock, sender| {
            tokio::spawn(run_over(Kind::Pn532, &[115_200], open, port, clock, sender))
        })
    }

    fn new(
        mut ports: Vec<Option<DuplexStream>>,
        room: usize,
        spawn: impl FnOnce(Open, Arc<Port>, MonoClock, mpsc::Sender<ReaderEvent>) -> JoinHandle<()>,
    ) -> Self {
        ports.reverse();
        let ports = Arc::new(Mutex::new(ports));
        let bauds = Arc::new(Mutex::new(Vec::new()));
        let (sender, events) = mpsc::channel(room);
        let clock = MonoClock::start();
        let port = Arc::new(Port {
            lane: LaneId(0),
            direction: Direction::Entry,
            name: "reader".into(),
        });
        let open = opener(ports, Arc::clone(&bauds));
        let task = spawn(open, port, clock, sender);
        Self {
            events,
            clock,
            task,
            bauds,
        }
    }

    async fn next(&mut self) -> ReaderReport {
        next_of(&mut self.events).await
    }

    async fn up(&mut self, up: bool) {
        let report = self.next().await;
        assert!(
            matches!(report, ReaderReport::Up(is) if is == up),
            "{report:?}"
        );
    }

    /// The next that is said of the port.
    async fn port_news(&mut self) -> PortNews {
        loop {
            let next = time::timeout(Duration::from_secs(60), self.events.recv());
            if let ReaderReport::Port(news) = next.await.unwrap().unwrap().report {
                return news;
            }
        }
    }

    async fn port_states(&mut self, count: usize) -> Vec<&'static str> {
        let mut states = Vec::new();
        while states.len() < count {
            states.push(self.port_news().await.state.as_str());
        }
        states
    }

    /// The next ups and downs, whatever comes between them.
    async fn next_ups(&mut self, count: usize) -> Vec<bool> {
        let mut ups = Vec::new();
        while ups.len() < count {
            if let ReaderReport::Up(up) = self.next().await {
                ups.push(up);
            }
        }
        ups
    }

    async fn faults(&mut self, count: u32) {
        let report = self.next().await;
        assert!(
            matches!(report, ReaderReport::Faults(is) if is == count),
            "{report:?}"
        );
    }

    async fn presented(&mut self) -> (Presentation, String) {
        let report = self.next().await;
        let ReaderReport::Presented(presentation) = report else {
            panic!("{report:?}");
        };
        let text = match &presentation.shown {
            Shown::Code(text) => text.expose().clone(),
            Shown::Card(card) => card.number.expose().clone(),
            Shown::Tag(tag) => tag.identifier().expose().clone(),
            Shown::TooLong => String::new(),
        };
        (presentation, text)
    }

    async fn ends(self) {
        drop(self.events);
        let ended = time::timeout(Duration::from_secs(60), self.task);
        ended.await.unwrap().unwrap();
    }
}

type Opening = std::pin::Pin<Box<dyn Future<Output = Result<DuplexStream, SerialError>> + Send>>;
type Open = Box<dyn Fn(u32) -> Opening + Send + Sync>;

fn opener(ports: Ports, bauds: Arc<Mutex<Vec<u32>>>) -> Open {
    Box::new(move |baud| {
        bauds.lock().unwrap().push(baud);
        let port = ports.lock().unwrap().pop().flatten();
        Box::pin(async move {
            port.ok_or_else(|| SerialError::Open {
                port: "gone".into(),
                source: io::ErrorKind::NotFound.into(),
            })
        })
    })
}

fn card() -> IdCard {
    IdCard {
        number: Personal::new(A.into()),
        kind: IdCardKind::Resident,
        valid_from: "20200101".into(),
        valid_until: None,
    }
}

/// A well module with one card on it.
fn well(command: Command) -> Vec<u8> {
    match command {
        Command::Reset | Command::Status => encode_reply([0, 0, 0x90], &[]),
        Command::ModuleId => encode_reply([0, 0, 0x90], &[7; 16]),
        Command::Find => encode_reply([0, 0, 0x9F], &[0; 4]),
        Command::Select => encode_reply([0, 0, 0x90], &[0; 8]),
        Command::Read => encode_read(&card()).to_vec(),
    }
}

/// Answers each command by what `answer` says, until the driver hangs up.
fn module(mut line: DuplexStream, mut answer: impl FnMut(Command) -> Vec<u8> + Send + 'static) {
    tokio::spawn(async move {
        let mut frame = [0; 10];
        while line.read_exact(&mut frame).await.is_ok() {
            let (code, _) = decode_command(&frame).unwrap().unwrap();
            let reply = answer(Command::from_code(code).unwrap());
            if line.write_all(&reply).await.is_err() {
                break;
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_line_is_one_code_from_its_first_byte_to_its_last() {
    let (port, mut scanner) = duplex(64);
    let mut scene = Scene::line(vec![Some(port)]);
    scene.up(true).await;
    time::sleep(Duration::from_millis(100)).await;
    let began = scene.clock.now();
    scanner.write_all(b"HC1:6").await.unwrap();
    time::sleep(Duration::from_millis(30)).await;
    scanner.write_all(b"BF+70\r\n").await.unwrap();
    let (presentation, text) = scene.presented().await;
    assert_eq!(text, CODE);
    assert_eq!(presentation.seen.as_millis(), began.as_millis());
    assert_eq!(presentation.read.as_millis(), began.as_millis() + 30);
    assert!(!format!("{presentation:?}").contains(CODE));
    scene.ends().await;
}

#[tokio::test(start_paused = true)]
async fn forty_ms_of_silence_end_a_code_without_a_suffix() {
    let (port, mut scanner) = duplex(64);
    let mut scene = Scene::line(vec![Some(port)]);
    scene.up(true).await;
    let began = scene.clock.now();
    scanner.write_all(CODE.as_bytes()).await.unwrap();
    let (presentation, text) = scene.presented().await;
    assert_eq!(text, CODE);
    let took = presentation.read.since(began).as_millis();
    assert!((40..=42).contains(&took), "{took} ms");
}

#[tokio::test(start_paused = true)]
async fn spoiled_lines_are_counted_together_and_the_next_one_is_read() {
    let (port, mut scanner) = duplex(4096);
    let mut scene = Scene::line(vec![Some(port)]);
    scene.up(true).await;
    scanner.write_all(b"b\xFFad\rb\x01ad\r").await.unwrap();
    scanner.write_all(&[b'a'; 2000]).await.unwrap();
    scanner.write_all(b"\rHC1:6BF+70\r").await.unwrap();
    let told = scene.next().await;
    let again = matches!(told, ReaderReport::Prompt(Prompt::ShowAgain));
    assert!(again, "once for both: {told:?}");
    let (presentation, _) = scene.presented().await;
    assert_eq!(
        presentation.shown,
        Shown::TooLong,
        "who showed it gets an answer"
    );
    assert_eq!(scene.presented().await.1, CODE);
    scene.faults(3).await;
}

/// What a line at another speed makes of a code.
const GARBLED: &[u8] = &[0xE6, 0x1F, 0x80, 0x00, 0xF8, 0x9E];

#[tokio::test(start_paused = true)]
async fn a_scanner_that_sends_only_noise_is_read_at_the_next_speed_and_is_up_once_it_sends_a_code()
{
    let (first, mut garbled) = duplex(4096);
    let (second, mut scanner) = duplex(4096);
    let mut scene = Scene::line_at(vec![Some(first), Some(second)], &UNASKED_BAUDS);
    scene.up(true).await;
    for _ in 0..3 {
        garbled.write_all(GARBLED).await.unwrap();
        time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(scene.next_ups(1).await, [false]);
    time::sleep(Duration::from_secs(5)).await;
    assert_eq!(*scene.bauds.lock().unwrap(), [9_600, 115_200]);
    scanner.write_all(b"HC1:6BF+70\r").await.unwrap();
    assert_eq!(scene.next_ups(1).await, [true]);
}

#[tokio::test(start_paused = true)]
async fn foreign_codes_do_not_drive_a_scanner_from_the_speed_at_which_it_was_understood() {
    let (port, mut scanner) = duplex(4096);
    let mut scene = Scene::line_at(vec![Some(port)], &UNASKED_BAUDS);
    scene.up(true).await;
    scanner.write_all(b"HC1:6BF+70\r").await.unwrap();
    assert_eq!(scene.presented().await.1, CODE);
    for _ in 0..10 {
        scanner.write_all("健康\r".as_bytes()).await.unwrap();
        time::sleep(Duration::from_millis(200)).await;
    }
    scanner.write_all(b"RC:2\r").await.unwrap();
    while !matches!(scene.next().await, ReaderReport::Presented(_)) {}
    assert_eq!(scene.bauds.lock().unwrap().len(), 1, "the port stayed open");
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_is_told_once_and_heals() {
    let (first, scanner) = duplex(64);
    let (second, mut again) = duplex(64);
    let mut scene = Scene::line(vec![Some(first), None, None, Some(second)]);
    scene.up(true).await;
    drop(scanner);
    scene.up(false).await;
    scene.up(true).await;
    again.write_all(b"HC1:6BF+70\n").await.unwrap();
    assert_eq!(scene.presented().await.1, CODE);
}

#[tokio::test(start_paused = true)]
async fn a_presentation_that_finds_no_room_is_dropped_and_counted_never_queued() {
    let (port, mut scanner) = duplex(64);
    let mut scene = Scene::new(vec![Some(port)], 3, |open, port, clock, sender| {
        tokio::spawn(run_over(line(), &[9600], open, port, clock, sender))
    });
    for code in ["one\r", "two\r", "three\r"] {
        time::sleep(Duration::from_millis(100)).await;
        scanner.write_all(code.as_bytes()).await.unwrap();
    }
    time::sleep(Duration::from_millis(100)).await;
    scene.up(true).await;
    assert_eq!(scene.presented().await.1, "one");
    scanner.write_all(b"four\r").await.unwrap();
    assert_eq!(scene.presented().await.1, "four");
    scene.faults(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_not_there_is_told_once_and_ends_when_nobody_listens() {
    let mut scene = Scene::line(vec![]);
    scene.up(false).await;
    let port = scene.port_news().await;
    assert_eq!(port.state, PortState::Absent);
    assert!(port.why.is_some_and(|why| why.starts_with("cannot open")));
    time::sleep(Duration::from_secs(60)).await;
    assert!(scene.events.try_recv().is_err());
    assert!(scene.bauds.lock().unwrap().len() > 10, "it goes on trying");
    scene.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_card_is_seen_when_found_and_read_when_its_last_byte_is_here() {
    let (port, line) = duplex(64);
    let found = Arc::new(Mutex::new(None));
    let (clock, at) = (MonoClock::start(), Arc::clone(&found));
    module(line, move |command| {
        if command == Command::Find {
            at.lock().unwrap().get_or_insert(clock.now());
        }
        well(command)
    });
    let mut scene = Scene::id_card(vec![Some(port)], &[115_200]);
    scene.up(true).await;
    let (presentation, text) = scene.presented().await;
    assert_eq!(text, A);
    let found = found.lock().unwrap().unwrap();
    assert_eq!(presentation.seen.as_millis(), found.as_millis());
    assert!(presentation.read >= presentation.seen);
    // The card lies on: not another word.
    time::sleep(Duration::from_secs(30)).await;
    assert!(scene.events.try_recv().is_err());
    scene.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_takes_four_bytes_at_a_time_works() {
    let (port, line) = duplex(4);
    module(line, well);
    let mut scene = Scene::id_card(vec![Some(port)], &[115_200]);
    scene.up(true).await;
    assert_eq!(scene.presented().await.1, A);
}

#[tokio::test(start_paused = true)]
async fn noise_before_an_answer_and_a_broken_answer_cost_a_fault_not_the_port() {
    let (port, line) = duplex(4096);
    let mut finds = 0;
    module(line, move |command| {
        let mut reply = well(command);
        if command == Command::Find {
            finds += 1;
            match finds {
                1 => reply.truncate(9),
                2 => reply[9] ^= 1,
                _ => {
                    reply.splice(0..0, [0x00, 0xAA]);
                }
            }
        }
        reply
    });
    let mut scene = Scene::id_card(vec![Some(port)], &[115_200]);
    scene.up(true).await;
    assert_eq!(scene.presented().await.1, A);
    scene.faults(5).await; // two broken, and the noise before this FIND and the next ones
    assert_eq!(scene.bauds.lock().unwrap().len(), 1, "the port stayed open");
}

#[tokio::test(start_paused = true)]
async fn a_module_that_is_silent_or_speaks_noise_is_tried_at_every_speed() {
    let (deaf, _line) = duplex(4096);
    let (garbled, line) = duplex(4096);
    module(line, |_| vec![0xF7, 0xAA, 0x33, 0x00]);
    let (port, line) = duplex(4096);
    module(line, well);
    let ports = vec![Some(deaf), Some(garbled), Some(port)];
    let mut scene = Scene::id_card(ports, &POLLED_BAUDS);
    assert_eq!(scene.next_ups(2).await, [false, true]);
    let bauds = scene.bauds.lock().unwrap().clone();
    assert_eq!(bauds, [115_200, 57_600, 38_400]);
    assert!(scene.clock.now().as_millis() < 6_000, "found soon");
}

#[tokio::test(start_paused = true)]
async fn a_module_that_was_heard_keeps_its_speed() {
    let (port, line) = duplex(4096);
    module(line, |command| match command {
        Command::Status => well(command),
        Command::ModuleId | Command::Find | Command::Select | Command::Read | Command::Reset => {
            Vec::new()
        }
    });
    let (again, line) = duplex(4096);
    module(line, well);
    let mut scene = Scene::id_card(vec![Some(port), Some(again)], &POLLED_BAUDS);
    scene.up(true).await;
    assert_eq!(scene.next_ups(2).await, [false, true]);
    assert_eq!(*scene.bauds.lock().unwrap(), [115_200, 115_200]);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_takes_nothing_is_opened_anew() {
    let (stuck, _line) = duplex(4);
    let (port, line) = duplex(64);
    module(line, well);
    let mut scene = Scene::id_card(vec![Some(stuck), Some(port)], &[115_200]);
    scene.up(false).await;
    scene.up(true).await;
    assert_eq!(scene.presented().await.1, A);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_not_asked_for_is_not_taken_for_the_next_one() {
    let (port, line) = duplex(4096);
    let mut is_first = true;
    module(line, move |command| {
        // A "broken" that belongs to an earlier question rides behind the first status.
        let late = encode_reply([0, 0, 0x60], &[]);
        let mut reply = well(command);
        if std::mem::take(&mut is_first) {
            reply.extend(late);
        }
        reply
    });
    let mut scene = Scene::id_card(vec![Some(port)], &[115_200]);
    scene.up(true).await;
    assert_eq!(scene.presented().await.1, A);
}

#[tokio::test(start_paused = true)]
async fn the_old_port_is_closed_before_the_new_one_is_opened() {
    let far_end = Mutex::new(None::<DuplexStream>);
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let open = move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let (near, far) = duplex(64);
        if let Some(mut last) = far_end.lock().unwrap().replace(far) {
            // Its far end can tell: nobody holds the last port any more.
            let (mut byte, mut cx) = ([0], Context::from_waker(Waker::noop()));
            let read = std::pin::pin!(last.read(&mut byte)).poll(&mut cx);
            assert!(matches!(read, Poll::Ready(Ok(0))), "{read:?}");
        }
        // A port that hangs up at once.
        async move { Ok(tokio::io::join(tokio::io::empty(), near)) }
    };
    let (sender, mut events) = mpsc::channel(16);
    let port = Arc::new(Port {
        lane: LaneId(0),
        direction: Direction::Exit,
        name: "reader".into(),
    });
    let clock = MonoClock::start();
    let task = tokio::spawn(run_over(line(), &[9600], open, port, clock, sender));
    while opened.load(Ordering::SeqCst) < 4 {
        events.recv().await.unwrap();
    }
    assert!(clock.now().as_millis() >= 250 + 500 + 1000, "it hammers");
    drop(events);
    task.await.unwrap();
}

/// A scanner behind a real terminal.
#[tokio::test]
async fn a_real_terminal_is_opened_exclusively_at_its_speed_and_read() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let path = PathBuf::from(name.to_str().unwrap());
    let setup = Setup {
        port: path.clone(),
        baud: Some(57_600),
        kind: line(),
        types: false,
    };
    let (sender, mut events) = mpsc::channel(16);
    let port = Arc::new(Port {
        lane: LaneId(0),
        direction: Direction::Entry,
        name: "scanner".into(),
    });
    let clock = MonoClock::start();
    let task = tokio::spawn(async move { run(&setup, port, clock, sender).await });
    let up = next_of(&mut events).await;
    assert!(matches!(up, ReaderReport::Up(true)), "{up:?}");
    let speed = rustix::termios::tcgetattr(&master).unwrap().input_speed();
    assert_eq!(speed, 57_600);
    let second = port::open(path, 9600, false).await;
    assert!(matches!(second, Err(SerialError::Open { .. })));
    rustix::io::write(&master, b"HC1:6BF+70\r\n").unwrap();
    let report = next_of(&mut events).await;
    assert!(matches!(report, ReaderReport::Presented(_)), "{report:?}");
    drop(master);
    let down = next_of(&mut events).await;
    assert!(matches!(down, ReaderReport::Up(false)), "{down:?}");
    drop(events);
    task.await.unwrap();
}

const TAG: [u8; 14] = *b"\x020D00C8D3B1A7\x03";
const TAG_ID: &str = "em4100:0D00C8D3B1";

#[tokio::test(start_paused = true)]
async fn a_tag_that_lies_on_the_reader_is_one_presentation() {
    let (port, mut module) = duplex(64);
    let mut scene = Scene::tag(vec![Some(port)], TagCodec::Rdm6300, &[9600]);
    scene.up(true).await;
    // The module repeats while the tag is near.
    for _ in 0..60 {
        module.write_all(&TAG).await.unwrap();
        time::sleep(Duration::from_millis(65)).await;
    }
    let (presentation, id) = scene.presented().await;
    assert_eq!((id.as_str(), presentation.medium), (TAG_ID, Medium::Tag));
    assert!(scene.events.try_recv().is_err());
    time::sleep(Duration::from_secs(2)).await;
    module.write_all(&TAG).await.unwrap();
    assert_eq!(scene.presented().await.1, TAG_ID);
    scene.ends().await;
}

#[tokio::test(start_paused = true)]
async fn half_a_tag_asks_for_it_again_and_a_spoiled_repetition_does_not() {
    let (port, mut module) = duplex(64);
    let mut scene = Scene::tag(vec![Some(port)], TagCodec::Rdm6300, &[9600]);
    scene.up(true).await;
    module.write_all(&TAG[..7]).await.unwrap();
    let prompt = scene.next().await;
    assert!(
        matches!(prompt, ReaderReport::Prompt(Prompt::ShowAgain)),
        "{prompt:?}"
    );
    scene.faults(1).await;
    module.write_all(&TAG).await.unwrap();
    assert_eq!(scene.presented().await.1, TAG_ID);
    module.write_all(&TAG[..7]).await.unwrap();
    scene.faults(1).await;
}

#[tokio::test(start_paused = true)]
async fn noise_steps_the_speed_until_a_tag_comes() {
    let (first, mut wrong) = duplex(64);
    let (second, mut right) = duplex(64);
    let mut scene = Scene::tag(
        vec![Some(first), Some(second)],
        TagCodec::Rdm6300,
        &[9600, 19_200],
    );
    scene.up(true).await;
    for _ in 0..4 {
        if wrong.write_all(&[0xF8, 0x80, 0x55]).await.is_err() {
            break;
        }
        time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(scene.next_ups(1).await, [false]);
    right.write_all(&TAG).await.unwrap();
    // A presentation does not wait for room in the channel; the news that the reader is up does.
    let (presentation, id) = scene.presented().await;
    assert_eq!((id.as_str(), presentation.medium), (TAG_ID, Medium::Tag));
    scene.up(true).await;
    scene.faults(3).await;
    assert_eq!(*scene.bauds.lock().unwrap(), [9600, 19_200]);
}

#[tokio::test(start_paused = true)]
async fn wiegand_bytes_end_with_silence() {
    let (port, mut converter) = duplex(64);
    let codec = TagCodec::WiegandBytes(vec![WiegandFormat::W26]);
    let mut scene = Scene::tag(vec![Some(port)], codec, &[9600]);
    scene.up(true).await;
    for byte in [0x00, 0x97, 0x95, 0xC3] {
        converter.write_all(&[byte]).await.unwrap();
        time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(scene.presented().await.1, "bits26:25E570C0");
}

/// A PN532 that answers each command, with the card that `card` says is on it.
async fn pn532_module(mut line: DuplexStream, card: Arc<Mutex<Vec<u8>>>) {
    use crate::proto::pn532::{ACK, encode};
    let mut received = Vec::new();
    let mut chunk = [0; 64];
    while let Ok(length @ 1..) = line.read(&mut chunk).await {
        received.extend(&chunk[..length]);
        // A command of the host: 00 00 FF len lcs D4 code ...
        while let Some(at) = received.windows(3).position(|w| w == [0, 0, 0xFF]) {
            let Some([len, _lcs, rest @ ..]) = received.get(at + 3..) else {
                break;
            };
            if *len == 0 {
                received.drain(..at + 6);
                continue;
            }
            let Some([0xD4, code, ..]) = rest.get(..usize::from(*len)) else {
                break;
            };
            let mut answer = vec![0xD5, code + 1];
            if *code == 0x4A {
                answer.extend(card.lock().unwrap().iter());
            }
            let used = at + 5 + usize::from(*len) + 2;
            received.drain(..used.min(received.len()));
            for frame in [ACK.to_vec(), encode(&answer)] {
                for bytes in frame.chunks(3) {
                    line.write_all(bytes).await.unwrap();
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pn532_is_configured_and_hands_on_each_card_once() {
    let (port, line) = duplex(512);
    let card = Arc::new(Mutex::new(vec![0]));
    tokio::spawn(pn532_module(line, Arc::clone(&card)));
    let mut scene = Scene::pn532(vec![Some(port)]);
    scene.up(true).await;
    *card.lock().unwrap() = vec![1, 1, 0, 4, 8, 4, 0xFB, 0x0E, 0xE2, 0x0B];
    assert_eq!(scene.presented().await.1, "iso14443a:FB0EE20B");
    time::sleep(Duration::from_secs(10)).await;
    *card.lock().unwrap() = vec![0];
    time::sleep(Duration::from_secs(3)).await;
    *card.lock().unwrap() = vec![1, 1, 0, 4, 8, 4, 0x08, 1, 2, 3];
    let (presentation, id) = scene.presented().await;
    assert_eq!(id, "iso14443a:08010203");
    assert!(matches!(&presentation.shown, Shown::Tag(tag) if tag.is_random()));
    scene.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_pn532_that_does_not_answer_is_opened_again_and_again() {
    let (first, _mute) = duplex(512);
    let (second, line) = duplex(512);
    tokio::spawn(pn532_module(line, Arc::new(Mutex::new(vec![0]))));
    let mut scene = Scene::pn532(vec![Some(first), Some(second)]);
    assert_eq!(scene.next_ups(2).await, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_port_has_one_state_at_a_time_from_opening_to_lost_and_back() {
    let (port, line) = duplex(4096);
    let (again, other) = duplex(4096);
    module(other, well);
    let mut scene = Scene::id_card(vec![Some(port), Some(again)], &[115_200]);
    time::sleep(Duration::from_millis(100)).await;
    drop(line);
    let states = scene.port_states(4).await;
    assert_eq!(states, ["probing", "lost", "probing", "ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_noisy_line_is_degraded_until_it_was_good_for_a_while() {
    let (port, mut scanner) = duplex(64);
    let mut scene = Scene::line(vec![Some(port)]);
    scanner.write_all(b"HC1:6BF+70\r").await.unwrap();
    assert_eq!(scene.port_states(1).await, ["ready"]);
    let noisy = time::Instant::now();
    for _ in 0..5 {
        scanner.write_all(b"\x01\x02\x03\r").await.unwrap();
    }
    assert_eq!(scene.port_states(2).await, ["degraded", "ready"]);
    assert!(noisy.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_terminal_whose_driver_turns_no_line_around_is_refused_in_a_sentence() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let path = PathBuf::from(name.to_str().unwrap());
    let refused = port::open(path.clone(), 115_200, true).await.unwrap_err();
    assert!(matches!(refused, SerialError::Direction(_)), "{refused:?}");
    assert!(port::open(path, 115_200, false).await.is_ok());
    let gone = port::open("/dev/no-such-port".into(), 115_200, true).await;
    assert!(matches!(gone, Err(SerialError::Open { .. })));
}

/// The layer above the device node: what a scanner types goes through the same driver as what one sends.
#[tokio::test(start_paused = true)]
async fn what_a_scanner_types_is_a_code_like_any_other() {
    use crate::proto::keyboard::{Keyboard, typed};

    let (port, mut scanner) = duplex(64);
    let mut scene = Scene::line(vec![Some(port)]);
    scene.up(true).await;
    let mut keyboard = Keyboard::default();
    for (code, value) in typed("HC1:6BF+70\r").unwrap() {
        if let Some(byte) = keyboard.key(code, value) {
            scanner.write_all(&[byte]).await.unwrap();
        }
        time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(scene.presented().await.1, "HC1:6BF+70");
}
