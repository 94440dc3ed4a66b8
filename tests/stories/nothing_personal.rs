//! No identifier that was shown is found in any file, page, metric or log line afterwards, though everything is logged that
//! can be.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use turnstiled::lab::demo::cast::Carries;

use crate::scene::Scene;

/// The log of a process can be taken once, so the day is lived in a process of its own.
#[test]
fn what_was_shown_is_kept_nowhere() {
    let day = Command::new(std::env::current_exe().unwrap())
        .args(["nothing_personal::a_day_at_trace", "--exact", "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&day.stdout);
    assert!(
        day.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&day.stderr)
    );
}

/// Takes everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whatever can say who somebody is: what they showed, whole and in parts that nobody else shows.
fn identifiers(carries: &Carries) -> Vec<String> {
    let (Carries::Phone(text) | Carries::Card { number: text, .. }) = carries;
    let letters: Vec<char> = text.chars().collect();
    let mut out = vec![text.clone()];
    // The head of a code names its kind. A part of what follows would give it away as well.
    if letters.len() > 48 {
        let middle = letters.len() / 2;
        out.push(letters[middle - 12..middle + 12].iter().collect());
        out.push(letters[letters.len() - 24..].iter().collect());
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "what_was_shown_is_kept_nowhere runs it in a process of its own"]
async fn a_day_at_trace() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    tracing_subscriber::registry()
        .with(tracing_subscriber::filter::LevelFilter::TRACE)
        .with(lines)
        .init();
    let mut scene = Scene::new(71).await;
    let people = scene.people.clone();
    let stories: BTreeSet<_> = people.iter().map(|person| person.story).collect();
    for story in &stories {
        scene.comes(story).await;
    }
    scene.stage.delivered().await.unwrap();
    let mut places = files(scene.stage.folder());
    let pages = scene.stage.gate.pages.to_string();
    for path in [
        "/",
        "/metrics",
        "/status.json",
        "/history.json",
        "/readyz",
        "/healthz",
        "/display/entry",
    ] {
        let text = get(&pages, path).await;
        // At the end of such a day a camera may see nothing but darkness: not ready, and that page counts as well.
        let answered = text.starts_with("HTTP/1.1 200") || path == "/readyz";
        assert!(answered, "{path}: {text}");
        places.push((path.into(), text.into_bytes()));
    }
    let metrics = places.iter().find(|(path, _)| path.ends_with("metrics"));
    let metrics = String::from_utf8_lossy(&metrics.unwrap().1).into_owned();
    assert!(metrics.contains(
        "turnstile_presentations_total{lane=\"entry\",medium=\"id_card\",result=\"red_code\"} 1"
    ));
    scene.stage.strike().await.unwrap();
    let logged = log.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&logged);
    for wanted in [
        " TRACE ",
        "refused lane=\"entry\" direction=\"entry\" medium=\"id_card\" verdict=\"deny\" reason=\"red_code\"",
        "passage lane=\"entry\" direction=\"entry\" medium=\"qr_code\" reason=\"in_order\" outcome=\"passed\"",
    ] {
        assert!(text.contains(wanted), "the log is about this day: {wanted}");
    }
    places.push(("the log".into(), logged));
    let places: Vec<_> = places
        .iter()
        .map(|(place, bytes)| (place, String::from_utf8_lossy(bytes)))
        .collect();
    let mut searched = 0;
    for person in &people {
        for identifier in identifiers(&person.carries) {
            searched += 1;
            for (place, text) in &places {
                assert!(
                    !text.contains(&identifier),
                    "what \"{}\" showed stands in {}",
                    person.story,
                    place.display()
                );
            }
        }
    }
    assert!(searched >= people.len(), "everybody was searched for");
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            out.extend(files(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            out.push((path, bytes));
        }
    }
    out
}

async fn get(host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
