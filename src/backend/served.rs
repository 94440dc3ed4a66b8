//! A gate that follows a packed list from a plain file server, and connections that break.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::pack::Packer;
use super::store::intake::Intake;
use super::tests::{ANY_PORT, Gate, backend, import, list, manifest, put};
use super::*;
use crate::codes::row_key::{ID_CARD, OPAQUE, row_key};
use crate::domain::{Colour, IssuerId};
use crate::store::codes::Codes as _;
use crate::sync::client::{self, Client};

/// Serves a folder as any web server does, and breaks off answers if told to.
#[derive(Default)]
struct Habits {
    /// So many chunks break off in the middle.
    breaks: Mutex<usize>,
    /// It knows nothing of `Range`.
    whole_only: bool,
    /// Head of every request for a chunk, and how many bytes of body went out for it.
    served: Mutex<Vec<(String, usize)>>,
}

struct Files {
    url: String,
    habits: Arc<Habits>,
    _tasks: JoinSet<()>,
}

impl Files {
    async fn serve(root: PathBuf, habits: Habits) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let habits = Arc::new(habits);
        let mut tasks = JoinSet::new();
        let of_task = Arc::clone(&habits);
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Ends with its connection.
                tokio::spawn(answer(stream, root.clone(), Arc::clone(&of_task)));
            }
        });
        Self {
            url,
            habits,
            _tasks: tasks,
        }
    }

    fn ranges(&self) -> usize {
        let served = self.habits.served.lock().unwrap();
        served
            .iter()
            .filter(|(head, _)| head.to_ascii_lowercase().contains("range: bytes="))
            .count()
    }

    fn bytes(&self) -> usize {
        let served = self.habits.served.lock().unwrap();
        served.iter().map(|(_, bytes)| bytes).sum()
    }
}

async fn answer(mut stream: TcpStream, root: PathBuf, habits: Arc<Habits>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    let path = path.split('?').next().unwrap().trim_start_matches('/');
    let (status, body) = match std::fs::read(root.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let from = head
        .to_ascii_lowercase()
        .split("range: bytes=")
        .nth(1)
        .and_then(|rest| rest.split('-').next()?.parse::<usize>().ok())
        .filter(|_| !habits.whole_only);
    let (status, range, part) = match from {
        Some(from) => {
            let last = body.len() - 1;
            let range = format!("Content-Range: bytes {from}-{last}/{}\r\n", body.len());
            ("206 Partial Content", range, &body[from..])
        }
        None => (status, String::new(), &body[..]),
    };
    let length = part.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\n{range}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let mut sent = part;
    if path.starts_with("v1/chunks/") {
        let mut breaks = habits.breaks.lock().unwrap();
        if *breaks > 0 && length > 10 {
            *breaks -= 1;
            sent = &part[..length / 2];
        }
        habits
            .served
            .lock()
            .unwrap()
            .push((head.clone(), sent.len()));
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.write_all(sent).await;
    let _ = stream.shutdown().await;
}

struct Packing {
    dir: tempfile::TempDir,
    packer: Packer,
}

impl Packing {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let packer = Packer::new(&dir.path().join("out"), &dir.path().join("data")).unwrap();
        Self { dir, packer }
    }

    fn pack(&self, changes: &[Change]) -> usize {
        let rows = Intake::of(self.dir.path(), Mode::Replace, changes).unwrap();
        let pepper_id = self.packer.pepper(&list()).unwrap().id();
        let now = system_clock()();
        let packed = self.packer.pack(&list(), pepper_id, rows, None, now, 3_600);
        packed.unwrap().chunks
    }

    fn gate(&self, files: &Files) -> Gate {
        let dir = tempfile::tempdir().unwrap();
        let pepper_id = self.packer.pepper(&list()).unwrap().id();
        let key = self.packer.public_key().unwrap();
        Gate::start_in(dir, &files.url, &key, pepper_id)
    }

    async fn serve(&self, habits: Habits) -> Files {
        Files::serve(self.dir.path().join("out"), habits).await
    }

    fn packed_bytes(&self) -> usize {
        let chunks = std::fs::read_dir(self.dir.path().join("out/v1/chunks")).unwrap();
        let length = |file: std::io::Result<std::fs::DirEntry>| {
            std::fs::read(file.unwrap().path()).unwrap().len()
        };
        chunks.map(length).sum()
    }
}

fn crowd(colour: Colour) -> Vec<Change> {
    (0..60_000).map(|n| put(n, colour)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_follows_a_list_from_plain_files() {
    let packing = Packing::new();
    let mut rows = crowd(Colour::Green);
    packing.pack(&rows);
    let files = packing.serve(Habits::default()).await;
    let mut gate = packing.gate(&files);
    assert_eq!(gate.applied().await, 1);
    assert_eq!(gate.colour(5), Some(Colour::Green));
    let before = files.bytes();
    rows[5] = put(5, Colour::Red);
    packing.pack(&rows);
    assert_eq!(gate.applied().await, 2);
    assert_eq!(gate.colour(5), Some(Colour::Red));
    assert!(files.bytes() - before < 1_000, "a delta was enough");
    gate.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_is_gone_on_from_where_it_broke() {
    let packing = Packing::new();
    packing.pack(&crowd(Colour::Green));
    let habits = Habits {
        breaks: Mutex::new(9),
        ..Habits::default()
    };
    let files = packing.serve(habits).await;
    let mut gate = packing.gate(&files);
    assert_eq!(gate.applied().await, 1);
    assert_eq!(files.ranges(), 9);
    assert_eq!(files.bytes(), packing.packed_bytes(), "no byte came twice");
    gate.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_knows_no_ranges_sends_the_whole_again() {
    let packing = Packing::new();
    packing.pack(&crowd(Colour::Green));
    let habits = Habits {
        breaks: Mutex::new(2),
        whole_only: true,
        ..Habits::default()
    };
    let files = packing.serve(habits).await;
    let mut gate = packing.gate(&files);
    assert_eq!(gate.applied().await, 1);
    assert_eq!(gate.colour(7), Some(Colour::Green));
    gate.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backend_sends_the_rest_of_a_chunk_and_knows_what_one_has() {
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    import(&backend, Mode::Replace, crowd(Colour::Green)).await;
    let id = manifest(&backend).await.snapshot[0];
    let client = Client::new(&backend.url()).unwrap();
    let get = async |headers: &[(&'static str, String)]| {
        let mut request = client.request(reqwest::Method::GET, &format!("/v1/chunks/{id}"), None);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = client::send(request).await.unwrap();
        let range = answer.headers().get("content-range").cloned();
        let range = range.map(|range| range.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        (status, range, client::read(answer, 2 << 20).await.unwrap())
    };
    let (status, range, whole) = get(&[]).await;
    assert_eq!((status, range), (200, None));
    let length = whole.len();
    let rest = get(&[("range", "bytes=100-".into())]).await;
    let said = format!("bytes 100-{}/{length}", length - 1);
    assert_eq!(rest, (206, Some(said), whole[100..].to_vec()));
    let past = get(&[("range", format!("bytes={length}-"))]).await;
    assert_eq!((past.0, past.1), (416, Some(format!("bytes */{length}"))));
    let mark = format!("\"{id}\"");
    assert_eq!(get(&[("if-none-match", mark.clone())]).await.0, 304);
    let range = ("range", "bytes=100-".to_owned());
    assert_eq!(get(&[range.clone(), ("if-range", mark)]).await.0, 206);
    assert_eq!(get(&[range, ("if-range", "\"other\"".into())]).await.0, 200);
    // What it does not know it answers with the whole.
    assert_eq!(get(&[("range", "bytes=0-3,9-11".into())]).await.0, 200);
    backend.shutdown().await;
}

/// A program in another language that knows the format from its description.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_another_language_wrote_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let pepper = Pepper::from_bytes([0x0B; 32]);
    let mut people =
        "kind,issuer,identifier,colour\nid_card,demo,11010119000101001x,red\n".to_owned();
    for n in 0..30_000 {
        people.push_str(&format!("opaque,demo,CODE-{n},green\n"));
    }
    let csv = dir.path().join("people.csv");
    std::fs::write(&csv, people).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/write_list.py");
    let written = std::process::Command::new("python3")
        .arg(script)
        .arg(dir.path().join("out"))
        .args(["health", &"0b".repeat(32), &"5a".repeat(32)])
        .stdin(std::fs::File::open(csv).unwrap())
        .output()
        .expect("python3 is there: .ci/setup installs it");
    assert!(
        written.status.success(),
        "{}",
        String::from_utf8_lossy(&written.stderr)
    );
    let key = String::from_utf8(written.stdout).unwrap();
    let files = Files::serve(dir.path().join("out"), Habits::default()).await;
    let gate_dir = tempfile::tempdir().unwrap();
    let mut gate = Gate::start_in(gate_dir, &files.url, key.trim(), pepper.id());
    assert_eq!(gate.applied().await, 1);
    let colour = |kind, text| {
        let key = row_key(&pepper, kind, &IssuerId::new("demo").unwrap(), text).unwrap();
        let row = gate.codes.look_up(&list(), &key).unwrap();
        row.and_then(|row| row.colour)
    };
    assert_eq!(colour(OPAQUE, "CODE-29999"), Some(Colour::Green));
    assert_eq!(colour(ID_CARD, "11010119000101001X"), Some(Colour::Red));
    assert_eq!(colour(OPAQUE, "CODE-30000"), None);
    gate.end().await;
}
