//! The three routes by which one region recognises what another one made: a local row that knows more, a foreign code that
//! the backend has translated, and the national code itself with rules of the site laid over it. And health and ride in one
//! scan, from two rows of one person.

use std::fs;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::time::sleep;
use turnstiled::domain::{Colour, Outcome, Reason, Row, Subject, Verdict};

use crate::daemon::disk::Disk;
use crate::daemon::{Gate, Home, code, eventually};
use crate::scene::{Scene, expect};

const TRUST: &str = r#"
version = 1
issuer = [
    { id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] },
    { id = "national", profile = "opaque", region = "CN", detect = [{ prefix = "GB:" }] },
    { id = "neighbour", profile = "opaque", detect = [{ prefix = "XN:" }], translated = true },
    { id = "rides", profile = "opaque", class = "ride", detect = [{ prefix = "RC:" }] },
]
"#;

fn row(person: u8, colour: Option<Colour>, region: u8, entitlements: u16) -> Row {
    Row {
        subject: Subject([person; 8]),
        valid_from_s: 0,
        valid_until_s: 0,
        colour,
        entitlements,
        region,
    }
}

async fn home(more: &str) -> Home {
    let home = Home::new(1, &format!("passback = {{ mode = \"off\" }}\n{more}")).await;
    fs::write(home.path("trust.toml"), TRUST).unwrap();
    home
}

async fn passes(home: &Home, text: &str) {
    home.shows_text(text);
    eventually("the flap opens", async || home.is_released()).await;
    home.walks().await;
    eventually("the flap closes", async || !home.is_released()).await;
}

async fn is_refused(home: &Home, gate: &Gate, text: &str, reason: &str) {
    let before = gate.results(reason).await;
    home.shows_text(text);
    eventually(reason, async || gate.results(reason).await > before).await;
    assert!(!home.is_released());
    // Somebody else may come.
    sleep(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_row_that_another_region_filled_follows_the_rules_for_that_region() {
    let home = home("[[policy.overlay]]\nregion = [44]\nentry = { yellow = \"open\" }\n").await;
    let yellow = |region| row(1, Some(Colour::Yellow), region, 1);
    home.puts(&[
        ("opaque", "health", &code(7), yellow(44)),
        ("opaque", "health", &code(8), yellow(31)),
    ])
    .await;
    let gate = home.gate(&Disk::Good).await;
    eventually("the rows are there", async || {
        gate.metric("turnstile_list_rows{list=\"health\"}").await > 2.0
    })
    .await;
    passes(&home, &code(7)).await;
    is_refused(&home, &gate, &code(8), "yellow_code").await;
    // What the region says of them changes: its rule is for yellow alone.
    home.puts(&[(
        "opaque",
        "health",
        &code(7),
        row(1, Some(Colour::Red), 44, 1),
    )])
    .await;
    sleep(Duration::from_secs(1)).await;
    is_refused(&home, &gate, &code(7), "red_code").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_code_is_translated_by_the_backend_in_time_and_known_when_it_is_gone() {
    let answer = async |text: String| {
        let found = |status: u8, person: &str| {
            let body =
                format!("{{\"data\": {{\"healthStatus\": {status}, \"idNumber\": \"{person}\"}}}}");
            (StatusCode::OK, body)
        };
        if text.contains("slow") {
            sleep(Duration::from_secs(5)).await;
        }
        if text.contains("nobody") {
            return (StatusCode::NOT_FOUND, String::new());
        }
        if text.contains("nonsense") {
            return (StatusCode::OK, "green".to_owned());
        }
        // Who is somebody whom the list knows as yellow, and somebody whom it does not know.
        if text.contains("listed") {
            found(3, &code(5))
        } else {
            found(3, "HC:elsewhere")
        }
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let service = listener.local_addr().unwrap();
    let router = Router::new().route("/getTokenSNOByQrCode", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut home = home("").await;
    let shipped = include_str!("../../hardware/adapters/form-with-numbered-status.toml");
    let adapter = shipped
        .replace("https://translate.example", &format!("http://{service}"))
        .replace("ca = \"/etc/ssl/certs/ca-certificates.crt\"\n", "")
        .replace("kind = \"id_card\"", "kind = \"opaque\"")
        .replace("issuer = \"id-card\"", "issuer = \"health\"");
    fs::create_dir(home.path("backend/adapters")).unwrap();
    fs::write(home.path("backend/adapters/neighbour.toml"), adapter).unwrap();
    home.puts(&[(
        "opaque",
        "health",
        &code(5),
        row(5, Some(Colour::Yellow), 0, 1),
    )])
    .await;
    home.lose_backend().await;
    home.bring_back_backend().await;
    let gate = home.gate(&Disk::Good).await;
    passes(&home, "XN:green").await;
    is_refused(&home, &gate, "XN:listed", "yellow_code").await;
    is_refused(&home, &gate, "XN:nobody", "unknown_credential").await;
    is_refused(&home, &gate, "XN:slow", "verification_timeout").await;
    is_refused(&home, &gate, "XN:nonsense", "query_failed").await;
    home.lose_backend().await;
    passes(&home, "XN:green").await;
    is_refused(&home, &gate, "XN:nobody", "unknown_credential").await;
    is_refused(&home, &gate, "XN:never-seen", "verification_timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_national_code_is_an_issuer_of_its_own_with_rules_of_the_site_over_it() {
    let home = home("[[policy.overlay]]\nissuer = [\"national\"]\nentry = { green = \"assist\", yellow = \"hold\" }\n").await;
    home.puts(&[
        (
            "opaque",
            "national",
            "GB:1",
            row(1, Some(Colour::Green), 0, 1),
        ),
        (
            "opaque",
            "health",
            &code(7),
            row(1, Some(Colour::Green), 0, 1),
        ),
    ])
    .await;
    let gate = home.gate(&Disk::Good).await;
    eventually("the rows are there", async || {
        gate.metric("turnstile_list_rows{list=\"health\"}").await > 2.0
    })
    .await;
    // The same person: by the local code as everybody, by the national one as the site has it.
    passes(&home, &code(7)).await;
    is_refused(&home, &gate, "GB:1", "site_rule").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_ride_are_joined_on_the_person_and_the_reason_names_which_failed() {
    let home = home("policy = { required = [\"health\", \"ride\"] }\n").await;
    let person = |n: u8| format!("{n:02x}").repeat(8);
    let (first, second) = (person(1), person(2));
    home.puts(&[
        // Ride codes say nothing of health; rows of the person do, whatever they show.
        ("opaque", "rides", "RC:1", row(1, None, 0, 1)),
        ("subject", "any", &first, row(1, Some(Colour::Green), 0, 0)),
        ("opaque", "rides", "RC:2", row(2, None, 0, 1)),
        ("subject", "any", &second, row(2, Some(Colour::Red), 0, 0)),
        ("opaque", "rides", "RC:3", row(3, None, 0, 1)),
        (
            "opaque",
            "health",
            &code(4),
            row(4, Some(Colour::Green), 0, 0),
        ),
    ])
    .await;
    let gate = home.gate(&Disk::Good).await;
    eventually("the rows are there", async || {
        gate.metric("turnstile_list_rows{list=\"health\"}").await > 6.0
    })
    .await;
    passes(&home, "RC:1").await;
    is_refused(&home, &gate, "RC:2", "red_code").await;
    is_refused(&home, &gate, "RC:3", "not_applied").await;
    is_refused(&home, &gate, &code(4), "no_access_rights").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_from_elsewhere_come_to_the_demo() {
    use {Reason as R, Verdict as V};
    let mut scene = Scene::new(91).await;
    let passed: &[Outcome] = &[Outcome::Passed];
    for (story, verdict, reason, outcomes) in [
        (
            "local code, yellow by a region whose yellow counts here",
            V::Grant,
            R::SiteRule,
            passed,
        ),
        ("national code, green", V::Grant, R::InOrder, passed),
        (
            "national code, yellow, which is held here",
            V::Deny,
            R::YellowCode,
            &[],
        ),
        (
            "ride code of somebody without a health code",
            V::Deny,
            R::NotApplied,
            &[],
        ),
        (
            "foreign code, translated: green",
            V::Grant,
            R::InOrder,
            passed,
        ),
        (
            "foreign code that its issuer does not know",
            V::Deny,
            R::UnknownCredential,
            &[],
        ),
        (
            "foreign code whose issuer is slow",
            V::Assist,
            R::VerificationTimeout,
            &[],
        ),
        (
            "foreign code whose issuer answers nonsense",
            V::Assist,
            R::QueryFailed,
            &[],
        ),
        (
            "code of somebody who has a card as well",
            V::Grant,
            R::InOrder,
            passed,
        ),
        ("the card of the same person", V::Deny, R::Passback, &[]),
        (
            "the same card, forgiven by staff",
            V::Grant,
            R::InOrder,
            passed,
        ),
        ("electronic health card", V::Grant, R::InOrder, passed),
        (
            "social security code of the same person",
            V::Deny,
            R::Passback,
            &[],
        ),
        (
            "ride code, health of the person: green",
            V::Grant,
            R::InOrder,
            passed,
        ),
        (
            "ride code, health of the person: red",
            V::Deny,
            R::RedCode,
            &[],
        ),
    ] {
        let witness = scene.comes(story).await;
        expect(&witness, verdict, reason, outcomes);
    }
    scene.stage.strike().await.unwrap();
}
