//! The two shipped adapters against services of their shape, good and bad.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;

use super::*;

const DIGITS: &str = include_str!("../../../hardware/adapters/status-in-two-digits.toml");
const NUMBERED: &str = include_str!("../../../hardware/adapters/form-with-numbered-status.toml");
const NOW_S: u64 = 1_795_000_000;
const CARD: &str = "11010119000101001X";

/// A service that answers by the code that it is asked about; what it got comes back in `echo`.
#[expect(clippy::too_many_lines, reason = "the list of answers, no logic")]
async fn service(path: &'static str) -> SocketAddr {
    let answer = async |body: Bytes| {
        let text = String::from_utf8(body.to_vec()).unwrap();
        let fresh = format!("\"timestamp\": {}", NOW_S * 1_000);
        let ok = |fields: &str| {
            (
                StatusCode::OK,
                format!("{{\"RetCode\": 0, {fresh}, {fields}}}"),
            )
        };
        let mut said = ok(r#""status": "00", "hours": 10, "type": 1"#);
        for (asked, answer) in [
            ("yellow", ok(r#""status": "01", "hours": 10, "type": 2"#)),
            ("red", ok(r#""status": "10", "hours": null, "type": 0"#)),
            (
                "old-test",
                ok(r#""status": "00", "hours": "73", "type": 1"#),
            ),
            ("no-test", ok(r#""status": "00", "type": 1"#)),
            ("grey", ok(r#""status": "11", "hours": 1, "type": 1"#)),
            ("nowhere", ok(r#""status": "00", "hours": 1, "type": 9"#)),
            ("nobody", (StatusCode::OK, r#"{"RetCode": "404"}"#.into())),
            (
                "late-behind",
                (StatusCode::OK, r#"{"RetCode": "408"}"#.into()),
            ),
            (
                "strange-code",
                (StatusCode::OK, r#"{"RetCode": "7", "status": "00"}"#.into()),
            ),
            (
                "stale",
                (
                    StatusCode::OK,
                    r#"{"RetCode": 0, "timestamp": 1000, "status": "00", "hours": 1, "type": 1}"#
                        .into(),
                ),
            ),
            ("nonsense", (StatusCode::OK, "<html>green</html>".into())),
            ("deep", (StatusCode::OK, "[".repeat(60_000))),
            ("long", (StatusCode::OK, " ".repeat(ANSWER_BYTES_MAX + 1))),
            (
                "broken",
                (
                    StatusCode::BAD_GATEWAY,
                    "{\"RetCode\": 0, \"status\": \"00\"}".into(),
                ),
            ),
            ("elsewhere", (StatusCode::FOUND, String::new())),
            (
                "n-green",
                (
                    StatusCode::OK,
                    format!(r#"{{"data": {{"healthStatus": 3, "idNumber": "{CARD}"}}}}"#),
                ),
            ),
            (
                "n-none",
                (StatusCode::OK, r#"{"data": {"healthStatus": 1}}"#.into()),
            ),
            ("n-404", (StatusCode::NOT_FOUND, String::new())),
            ("n-504", (StatusCode::GATEWAY_TIMEOUT, String::new())),
            (
                "n-8",
                (StatusCode::OK, r#"{"data": {"healthStatus": 8}}"#.into()),
            ),
        ] {
            if text.contains(&format!("#{asked}#")) || text.contains(&format!("%23{asked}%23")) {
                said = answer;
            }
        }
        if text.contains("#slow#") || text.contains("%23slow%23") {
            time::sleep(Duration::from_secs(5)).await;
        }
        if text.contains("idCard") {
            // The number arrives whole, and in its own field.
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["idCard"], CARD);
            assert_eq!(json["timestamp"], NOW_S.to_string());
        }
        said
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route(path, post(answer))).await },
    );
    addr
}

/// A shipped adapter, with the address of a service on this machine.
fn here(text: &str, url: &str, addr: SocketAddr) -> String {
    let line = text
        .lines()
        .find(|line| line.starts_with("url = "))
        .unwrap();
    assert!(line.contains(url), "{line}");
    text.replace(line, &format!("url = \"http://{addr}{url}\""))
        .replace("ca = \"/etc/ssl/certs/ca-certificates.crt\"\n", "")
        .replace("deadline_ms = 600", "deadline_ms = 400")
}

fn adapters(files: &[(&str, String)]) -> Result<Adapters, BackendError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("status-in-two-digits.key"), "secret\n").unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Adapters::read(folder.path())
}

fn issuer(name: &str) -> IssuerId {
    IssuerId::new(name).unwrap()
}

async fn ask(all: &Adapters, kind: &str, of: &str, text: &str) -> Result<Found, HealthOutcome> {
    let adapter = all.of(kind, &issuer(of)).unwrap();
    adapter.ask(kind, &Personal::new(text.into()), NOW_S).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_takes_a_code_or_a_card_and_every_answer_is_what_its_tables_say_or_no_colour() {
    use HealthOutcome as H;
    let addr = service("/terminal/query").await;
    let all = adapters(&[("digits.toml", here(DIGITS, "/terminal/query", addr))]).unwrap();
    for (asked, outcome, region) in [
        ("green", Ok(H::Green), 44),
        ("yellow", Ok(H::Yellow), 44),
        ("red", Ok(H::Red), 0),
        ("old-test", Ok(H::Yellow), 44),
        ("no-test", Ok(H::Yellow), 44),
        ("nobody", Err(H::Unknown), 0),
        ("late-behind", Err(H::TimedOut), 0),
        ("grey", Err(H::QueryFailed), 0),
        ("nowhere", Err(H::QueryFailed), 0),
        ("strange-code", Err(H::QueryFailed), 0),
        ("stale", Err(H::QueryFailed), 0),
        ("nonsense", Err(H::QueryFailed), 0),
        ("deep", Err(H::QueryFailed), 0),
        ("long", Err(H::QueryFailed), 0),
        ("broken", Err(H::QueryFailed), 0),
        ("elsewhere", Err(H::QueryFailed), 0),
        ("slow", Err(H::TimedOut), 0),
    ] {
        // A code that tries to be more than a value, and does not become it.
        let code = format!("{{\"#{asked}#\", \"status\": \"00\"}}&a=b{{unix_s}}");
        let started = time::Instant::now();
        let found = ask(&all, "opaque", "province", &code).await;
        assert!(started.elapsed() < Duration::from_secs(3), "{asked}");
        let health = found
            .as_ref()
            .map(|found| found.health.unwrap())
            .map_err(|no| *no);
        assert_eq!(health, outcome, "{asked}");
        assert_eq!(found.map_or(0, |found| found.region), region, "{asked}");
    }
    let card = ask(&all, ID_CARD, "id-card", CARD).await.unwrap();
    assert_eq!(card.health, Some(H::Green));
    assert!(all.of("opaque", &issuer("id-card")).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_translated_into_whom_the_lists_know() {
    use HealthOutcome as H;
    let addr = service("/getTokenSNOByQrCode").await;
    let all = adapters(&[("form.toml", here(NUMBERED, "/getTokenSNOByQrCode", addr))]).unwrap();
    let code = |what: &str| format!("https://codes.example/?a=1&b=#{what}#");
    let found = ask(&all, "opaque", "neighbour", &code("n-green"))
        .await
        .unwrap();
    let person = found.person.unwrap();
    assert_eq!(
        (found.health, person.kind.as_str()),
        (Some(H::Green), ID_CARD)
    );
    assert_eq!(person.identifier.expose(), CARD);
    for (what, outcome) in [
        ("n-404", H::Unknown),
        ("n-504", H::TimedOut),
        ("n-8", H::TimedOut),
        ("nonsense", H::QueryFailed),
    ] {
        let found = ask(&all, "opaque", "neighbour", &code(what)).await;
        assert_eq!(found.unwrap_err(), outcome, "{what}");
    }
    let none = ask(&all, "opaque", "neighbour", &code("n-none"))
        .await
        .unwrap();
    assert_eq!(none.health, Some(H::NotApplied));
}

#[tokio::test]
async fn a_service_that_is_not_there_or_asked_too_much_is_no_colour() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let text = here(NUMBERED, "/getTokenSNOByQrCode", gone);
    let all = adapters(&[("form.toml", text)]).unwrap();
    let gone = ask(&all, "opaque", "neighbour", "x").await;
    assert_eq!(gone.unwrap_err(), HealthOutcome::QueryFailed);
    let adapter = all.of("opaque", &issuer("neighbour")).unwrap();
    let _all = adapter.at_once.try_acquire_many(32).unwrap();
    let busy = ask(&all, "opaque", "neighbour", "x").await;
    assert_eq!(busy.unwrap_err(), HealthOutcome::QueryFailed);
}

#[test]
fn a_bad_adapter_is_refused_with_its_file_and_key() {
    let says = |from: &str, to: &str| {
        assert!(NUMBERED.contains(from), "{from}");
        let refused = adapters(&[("form.toml", NUMBERED.replacen(from, to, 1))]);
        refused.err().unwrap().to_string()
    };
    for (from, to, sentence) in [
        (
            "method = \"POST\"",
            "methd = \"POST\"",
            "is `method` meant?",
        ),
        (
            "https://",
            "http://",
            "key `url`: codes name people: only https://",
        ),
        (
            "deadline_ms = 600",
            "deadline_ms = 5",
            "5 ms is outside 50 to 1400 ms",
        ),
        ("{identifier}", "nobody", "nobody would be asked about"),
        ("\"green\"", "\"blue\"", "blue"),
        (
            "/data/healthStatus",
            "healthStatus",
            "a place is a JSON pointer",
        ),
        ("[\"neighbour\"]", "[]", "an adapter is for 1 to 64 issuers"),
        (
            "kind = \"id_card\"",
            "kind = \"dog\"",
            "is none of \"opaque\", \"id_card\"",
        ),
    ] {
        let said = says(from, to);
        assert!(
            said.contains("form.toml: ") && said.contains(sentence),
            "{said}"
        );
    }
    let gone = "127.0.0.1:1".parse().unwrap();
    let text = here(NUMBERED, "/getTokenSNOByQrCode", gone);
    let twice = adapters(&[("a.toml", text.clone()), ("b.toml", text)]);
    let said = twice.err().unwrap().to_string();
    assert!(
        said.contains("\"neighbour\" has the adapter \"a\" already"),
        "{said}"
    );
}

/// A gate that asks a backend with both adapters.
async fn asks(
    dir: &Path,
) -> (
    super::super::Backend,
    crate::sync::Online<crate::sync::Client>,
) {
    let clock: super::super::Clock = std::sync::Arc::new(|| crate::domain::Utc::from_secs(NOW_S));
    let any_port = ([127, 0, 0, 1], 0).into();
    let backend = super::super::Backend::start_with(any_port, dir, clock)
        .await
        .unwrap();
    let (events, _) = tokio::sync::mpsc::channel(16);
    let online = crate::sync::Online::new(
        crate::domain::GateId::new("g").unwrap(),
        &[],
        std::sync::Arc::new(crate::sync::Client::new(&backend.url()).unwrap()),
        std::sync::Arc::new(crate::sync::Report::new(events)),
    );
    (backend, online)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_code_is_translated_for_a_gate_into_the_person_whom_the_lists_know() {
    use crate::codes::row_key::row_key;
    use crate::domain::{Colour, ListId, Row, Subject};
    let addr = service("/getTokenSNOByQrCode").await;
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("adapters")).unwrap();
    let text = here(NUMBERED, "/getTokenSNOByQrCode", addr);
    fs::write(dir.path().join("adapters/form.toml"), text).unwrap();
    let (backend, online) = asks(dir.path()).await;
    let list = ListId::new("health").unwrap();
    let pepper = backend.pepper(&list).unwrap();
    let row = Row {
        subject: Subject([7; 8]),
        valid_from_s: 0,
        valid_until_s: 0,
        colour: Some(Colour::Yellow),
        entitlements: 1,
        region: 31,
    };
    let key = row_key(&pepper, ID_CARD, &issuer("id-card"), CARD).unwrap();
    let change = crate::store::codes::Change::Put(key, row.encode());
    backend
        .import(&list, super::super::Mode::Replace, vec![change])
        .await
        .unwrap();
    let ask = async |what: &str| {
        let question = crate::sync::online::Question {
            profile: "opaque".into(),
            issuer: issuer("neighbour"),
            identifier: Personal::new(format!("https://codes.example/#{what}#")),
            held_by: None,
        };
        online.resolve(&question, Duration::from_secs(2)).await
    };
    // Green over there, yellow here: the local list adds to it, and it is the same person as by card.
    let known = ask("n-green").await.unwrap();
    assert_eq!(known.health, HealthOutcome::Yellow);
    assert_eq!((known.subject, known.region), (Some(Subject([7; 8])), 31));
    assert_eq!((known.entitlements, known.lists.len()), (1, 1));
    assert_eq!(ask("n-404").await, Err(HealthOutcome::Unknown));
    assert_eq!(ask("slow").await, Err(HealthOutcome::TimedOut));
    assert_eq!(ask("nonsense").await, Err(HealthOutcome::QueryFailed));
    backend.shutdown().await;
}

#[test]
fn what_a_service_finds_is_joined_with_what_lists_say_of_the_person_and_makes_nothing_better() {
    use crate::backend::inner::{no_standing, with_found};
    use crate::domain::{ListId, ListVersion};
    use HealthOutcome as H;
    let list = ListVersion {
        list: ListId::new("health").unwrap(),
        era: 1,
        version: 1,
    };
    let listed = |health| crate::sync::wire::Answer {
        subject: Some("0707070707070707".into()),
        entitlements: 1,
        region: 31,
        lists: vec![list.clone()],
        ..no_standing(health)
    };
    let found = |health| Found {
        health,
        region: 44,
        person: None,
    };
    for (lists_say, service_says, health, region) in [
        // No list speaks: the service does, and somebody who has not applied has not.
        (None, Some(H::Green), H::Green, 44),
        (None, Some(H::NotApplied), H::NotApplied, 44),
        // The worse of the two, with where that comes from.
        (Some(H::Yellow), Some(H::Green), H::Yellow, 31),
        (Some(H::Green), Some(H::Red), H::Red, 44),
        (Some(H::NotApplied), Some(H::Green), H::Green, 44),
        (Some(H::Green), Some(H::NotApplied), H::Green, 31),
        (Some(H::Red), None, H::Red, 31),
    ] {
        let answer = with_found(lists_say.map(listed), &found(service_says)).unwrap();
        assert_eq!(
            (answer.health, answer.region),
            (health, region),
            "{lists_say:?} {service_says:?}"
        );
        let known = lists_say.is_some();
        assert_eq!(
            (answer.subject.is_some(), answer.entitlements == 1),
            (known, known)
        );
    }
    assert!(with_found(None, &found(None)).is_none());
}
