//! No identifier that was shown is found in any file, page or metric afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use turnstiled::lab::demo::cast::Carries;

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_is_kept_nowhere() {
    let mut scene = Scene::new(71).await;
    let stories = [
        "green code",
        "ID card, red",
        "code nobody knows",
        "ID card, green, leaving",
    ];
    for story in stories {
        assert!(scene.comes(story).await.is_expected(), "{story}");
    }
    scene.stage.delivered().await.unwrap();
    let mut places = files(scene.stage.folder());
    let pages = scene.stage.gate.pages.to_string();
    for path in ["/", "/metrics", "/status.json", "/readyz", "/healthz"] {
        let text = get(&pages, path).await;
        assert!(text.starts_with("HTTP/1.1 200"), "{path}: {text}");
        places.push((path.into(), text.into_bytes()));
    }
    let metrics = String::from_utf8_lossy(&places[places.len() - 4].1).into_owned();
    assert!(metrics.contains(
        "turnstile_presentations_total{lane=\"entry\",medium=\"id_card\",result=\"red_code\"} 1"
    ));
    let shown: Vec<_> = scene
        .people
        .iter()
        .filter(|person| stories.contains(&person.story))
        .collect();
    assert_eq!(shown.len(), stories.len());
    for person in shown {
        let identifier = match &person.carries {
            Carries::Phone(text) => text,
            Carries::Card { number, .. } => number,
        };
        for (place, bytes) in &places {
            let found = bytes
                .windows(identifier.len())
                .any(|window| window == identifier.as_bytes());
            assert!(
                !found,
                "{}: what the {} showed stands in {}",
                person.story,
                person.story,
                place.display()
            );
        }
    }
    scene.stage.strike().await.unwrap();
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
