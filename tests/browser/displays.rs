//! The passenger display, sign by sign.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use turnstiled::backend::system_clock;
use turnstiled::domain::{Direction, Prompt, Reason};
use turnstiled::telemetry::display::{Displays, Signs, why, words};
use turnstiled::telemetry::http::{self, Pages};
use turnstiled::telemetry::{Metrics, Status};

use crate::browser::Browser;

/// From the small screen of a kiosk to a large one, lying and standing.
const SCREENS: [(u32, u32); 4] = [(800, 480), (480, 800), (1920, 1080), (1080, 1920)];
const LANE: &str = "north";

/// The pages of a gate whose lane shows what the test says.
struct Shown {
    signs: watch::Sender<Arc<Signs>>,
    address: String,
    _windows: (watch::Sender<Arc<Status>>, watch::Sender<Instant>),
    _stop: watch::Sender<bool>,
}

impl Shown {
    async fn open(discreet: bool) -> Self {
        let sides = [(LANE.to_owned(), Direction::Entry)].into_iter();
        let (signs, shown) = watch::channel(Arc::new(Signs::new(discreet, sides)));
        let (status_in, status) = watch::channel(Arc::default());
        let (beat, heartbeat) = watch::channel(Instant::now());
        let (stop, stopping) = watch::channel(false);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let pages = Pages {
            metrics: Metrics::new(&Registry::new()).unwrap(),
            status,
            heartbeat,
            displays: Displays::new(shown),
        };
        tokio::spawn(http::serve(listener, pages, stopping));
        Self {
            signs,
            address,
            _windows: (status_in, beat),
            _stop: stop,
        }
    }

    /// Shows a sign, and waits until the browser does.
    async fn show(&self, browser: &Browser, prompt: Prompt, reason: Option<Reason>) {
        self.signs.send_modify(|signs| {
            Arc::make_mut(signs).show(LANE, Direction::Entry, prompt, reason);
        });
        let number = self.signs.borrow().of(LANE, "entry").number;
        let script = format!("return shown !== null && shown.number === {number}");
        browser
            .waits_for(&format!("{prompt:?} {reason:?}"), &script)
            .await;
    }

    async fn opened(&self, browser: &Browser, language: &str) {
        let url = format!("{}/display/{LANE}?lang={language}", self.address);
        browser.driver.goto(url.as_str()).await.unwrap();
        browser
            .waits_for("the first sign", "return shown !== null")
            .await;
    }
}

/// Every sign that there can be: each prompt by itself, and the refusals with each reason that is told.
fn signs(discreet: bool) -> Vec<(Prompt, Option<Reason>)> {
    let plain = Prompt::ALL.iter().map(|prompt| (*prompt, None));
    let told = Reason::ALL
        .iter()
        .filter(|reason| why(**reason, discreet).is_some());
    let told = told.flat_map(|reason| {
        [reason.prompt(), Prompt::SeeStaff].map(|prompt| (prompt, Some(*reason)))
    });
    plain.chain(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sign_fits_in_both_languages_on_every_screen() {
    let browser = Browser::start().await;
    let shown = Shown::open(false).await;
    let mut wrong = Vec::new();
    for language in ["zh", "en"] {
        shown.opened(&browser, language).await;
        for (prompt, reason) in signs(false) {
            shown.show(&browser, prompt, reason).await;
            for screen in SCREENS {
                browser.screen(screen).await;
                let found = browser.layout().await;
                let place = format!("{} {reason:?} {language} {screen:?}", prompt.id());
                wrong.extend(found.into_iter().map(|one| format!("{place}: {one}")));
            }
        }
    }
    browser.end().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_core_has_nothing_against_any_sign() {
    let browser = Browser::start().await;
    let shown = Shown::open(true).await;
    let mut wrong = Vec::new();
    for (language, screen) in [("zh", SCREENS[0]), ("en", SCREENS[1])] {
        shown.opened(&browser, language).await;
        browser.screen(screen).await;
        for (prompt, reason) in Prompt::ALL
            .iter()
            .map(|prompt| (*prompt, None))
            .chain([(Prompt::Hold, Some(Reason::RedCode))])
        {
            shown.show(&browser, prompt, reason).await;
            let found = browser.axe().await;
            wrong.extend(
                found
                    .into_iter()
                    .map(|one| format!("{} {language}: {one}", prompt.id())),
            );
            let name = format!("display-{}.png", prompt.id().replace('_', "-"));
            // The README shows one sign in each orientation.
            let is_shown = matches!((prompt, language), (Prompt::Go, "zh"))
                || matches!((reason, language), (Some(_), "en"));
            if is_shown {
                browser.photograph(&name).await;
            }
        }
    }
    browser.end().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_says_which_of_health_and_ride_failed_and_a_discreet_site_no_colour() {
    let browser = Browser::start().await;
    for discreet in [false, true] {
        let shown = Shown::open(discreet).await;
        shown.opened(&browser, "en").await;
        let text = "return document.querySelector('main').textContent";
        for (reason, wanted) in [
            (
                Reason::RedCode,
                ["Health check not passed", "健康查验未通过"],
            ),
            (Reason::NoAccessRights, ["No valid ride", "乘车码无效"]),
        ] {
            let prompt = reason.prompt();
            shown.show(&browser, prompt, Some(reason)).await;
            let text = browser.ask(text, Vec::new()).await.to_string();
            let told = wanted.iter().all(|wanted| text.contains(wanted));
            assert_eq!(told, discreet || reason == Reason::NoAccessRights, "{text}");
            let colour = text.contains("red") || text.contains('红');
            assert_eq!(colour, !discreet && reason == Reason::RedCode, "{text}");
            // A look at the page's source, or a colour-blind bystander, learns no more than its words say.
            let source = browser.driver.source().await.unwrap();
            assert!(!source.contains("red_code"), "no reason is in the page");
        }
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_is_on_the_screen_within_100_ms() {
    let browser = Browser::start().await;
    let shown = Shown::open(false).await;
    shown.opened(&browser, "zh").await;
    // Dates of the same machine: when the page had painted each change.
    let watch = "window.painted = [];
        new MutationObserver(() => requestAnimationFrame(() => window.painted.push(Date.now())))
            .observe(document.querySelector('main'), { attributes: true, attributeFilter: ['data-prompt'] });";
    browser.ask(watch, Vec::new()).await;
    let now = || system_clock()().as_millis();
    let mut sent = Vec::new();
    for prompt in [Prompt::Go, Prompt::Hold].into_iter().cycle().take(20) {
        sent.push(now());
        shown.show(&browser, prompt, None).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let painted = browser.ask("return window.painted", Vec::new()).await;
    browser.end().await;
    let painted: Vec<u64> = serde_json::from_value(painted).unwrap();
    assert_eq!(painted.len(), sent.len());
    let mut took: Vec<_> = painted
        .iter()
        .zip(&sent)
        .map(|(painted, sent)| painted.saturating_sub(*sent))
        .collect();
    took.sort_unstable();
    eprintln!("from the decision to the painted sign, ms: {took:?}");
    // Of a machine that runs other tests too, the middle counts.
    assert!(took[took.len() / 2] <= 100, "{took:?}");
}

#[test]
fn the_words_of_the_page_are_those_of_the_table() {
    // What is looked at above is every prompt that a record can name.
    for prompt in Prompt::ALL {
        let words = serde_json::to_value(words(*prompt)).unwrap();
        assert_ne!(words["says"]["zh"], json!(""));
        assert_ne!(words["says"]["en"], json!(""));
    }
}
