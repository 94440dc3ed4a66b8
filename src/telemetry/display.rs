//! The passenger display: `/display/{lane}`, a page for a kiosk browser that shows what the lane says, pushed as it changes.
//!
//! | Path | Answer |
//! |---|---|
//! | `/display/{lane}?side=entry&lang=zh` | the page; `side` as the lane has it, `lang` is the language on top: `zh` or `en` |
//! | `/display/{lane}/signs?side=entry` | server-sent events: one `sign` at once, one a change, and one a second as a sign of life |
//! | `/display.css`, `/display.js` | what the page needs; it takes nothing from anywhere else |
//!
//! The page says "out of service" by itself once no sign has come for [`SILENCE_MS`], so a daemon that is gone is never
//! taken for a lane that works.

mod sign;
mod words;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::status::escape;

pub use sign::{Sign, Signs};
pub use words::{Shape, Tone, Words, why, words};

/// How long the page waits for a sign before it says "out of service".
pub const SILENCE_MS: u64 = 2_500;
/// A sign is sent this often though nothing changes.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Displays at one gate: four lanes with two sides each, and as many for whoever looks.
const DISPLAYS_MAX: usize = 16;

/// What the displays read.
#[derive(Clone, Debug)]
pub struct Displays {
    signs: watch::Receiver<Arc<Signs>>,
    places: Arc<Semaphore>,
}

/// Which side of a lane, and which language on top.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    side: Option<String>,
    lang: Option<String>,
}

impl Displays {
    /// Displays that show `signs`.
    #[must_use]
    pub fn new(signs: watch::Receiver<Arc<Signs>>) -> Self {
        Self {
            signs,
            places: Arc::new(Semaphore::new(DISPLAYS_MAX)),
        }
    }

    /// The side that is meant: the one asked for, or the first that the lane has.
    fn side(&self, lane: &str, wanted: Option<&str>) -> Result<&'static str, NoDisplay> {
        let signs = self.signs.borrow();
        let sides: Vec<_> = signs.sides(lane).collect();
        let found = match wanted {
            None => sides.first(),
            Some(side) => sides.iter().find(|one| **one == side),
        };
        found.copied().ok_or_else(|| NoDisplay {
            lane: lane.into(),
            sides,
            lanes: signs.lanes(),
        })
    }
}

/// There is no such display; says which there are.
#[derive(Debug)]
pub(super) struct NoDisplay {
    lane: String,
    sides: Vec<&'static str>,
    lanes: Vec<String>,
}

impl IntoResponse for NoDisplay {
    fn into_response(self) -> Response {
        let sentence = if self.sides.is_empty() {
            let lanes = self.lanes.join(", ");
            format!("no lane is called \"{}\"; there are: {lanes}\n", self.lane)
        } else {
            let sides = self.sides.join(", ");
            format!("lane \"{}\" has these sides: {sides}\n", self.lane)
        };
        (StatusCode::NOT_FOUND, sentence).into_response()
    }
}

/// `/display/{lane}`
pub(super) async fn page(
    State(displays): State<Displays>,
    Path(lane): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, NoDisplay> {
    let side = displays.side(&lane, wanted.side.as_deref())?;
    let first = match wanted.lang.as_deref() {
        Some("en") => "en",
        Some(_) | None => "zh",
    };
    let second = if first == "zh" { "en" } else { "zh" };
    let html = include_str!("pages/display.html")
        .replace("{lane}", &escape(&lane))
        .replace("{signs}", &signs_path(&lane, side))
        .replace("{silence}", &SILENCE_MS.to_string())
        .replace("{first}", first)
        .replace("{second}", second)
        .replace("{words}", &table());
    Ok(Html(html))
}

/// `/display/{lane}/signs`
pub(super) async fn signs(
    State(displays): State<Displays>,
    Path(lane): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let side = match displays.side(&lane, wanted.side.as_deref()) {
        Ok(side) => side,
        Err(no) => return no.into_response(),
    };
    let Ok(place) = Arc::clone(&displays.places).try_acquire_owned() else {
        let sentence =
            format!("{DISPLAYS_MAX} displays are connected, which is all there may be\n");
        return (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response();
    };
    let mut signs = displays.signs;
    // What is there now is the first sign.
    signs.mark_changed();
    let watching = Watching {
        signs,
        lane,
        side,
        _place: place,
    };
    Sse::new(stream::unfold(watching, Watching::next)).into_response()
}

/// One connected display.
struct Watching {
    signs: watch::Receiver<Arc<Signs>>,
    lane: String,
    side: &'static str,
    _place: OwnedSemaphorePermit,
}

impl Watching {
    /// The next sign, at the latest after a heartbeat. `None` once the daemon ends.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if let Ok(gone @ Err(_)) = timeout(HEARTBEAT, self.signs.changed()).await {
            gone.ok()?;
        }
        let sign = self.signs.borrow_and_update().of(&self.lane, self.side);
        // Words and numbers only, so it can always be written.
        let event = Event::default().event("sign").json_data(sign).ok()?;
        Some((Ok(event), self))
    }
}

pub(super) async fn style() -> impl IntoResponse {
    const STYLE: &str = include_str!("pages/display.css");
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

pub(super) async fn script() -> impl IntoResponse {
    const SCRIPT: &str = include_str!("pages/display.js");
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        SCRIPT,
    )
}

/// Where the signs of a lane come from, as it stands in an attribute.
fn signs_path(lane: &str, side: &str) -> String {
    // Names of lanes are letters, digits, ".", "_" and "-", as the config wants them: nothing in them needs to be escaped.
    escape(&format!("/display/{lane}/signs?side={side}"))
}

/// Every prompt with its words, as JSON inside the page.
fn table() -> String {
    let mut table = serde_json::Map::new();
    for prompt in crate::domain::Prompt::ALL {
        let value = serde_json::to_value(words(*prompt)).unwrap_or_default();
        table.insert(prompt.id().into(), value);
    }
    let mut text = String::new();
    // "</script>" must not end the element; no word of ours has a "<", and it stays so.
    let _ = write!(text, "{}", serde_json::Value::Object(table));
    text.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Direction, Prompt};

    fn displays() -> (watch::Sender<Arc<Signs>>, Displays) {
        let mut signs = Signs::default();
        signs.show("north", Direction::Entry, Prompt::Idle, None);
        signs.show("north", Direction::Exit, Prompt::Hold, None);
        let (sender, receiver) = watch::channel(Arc::new(signs));
        (sender, Displays::new(receiver))
    }

    #[test]
    fn a_display_is_of_a_side_that_the_lane_has() {
        let (_sender, displays) = displays();
        assert_eq!(displays.side("north", None).unwrap(), "entry");
        assert_eq!(displays.side("north", Some("exit")).unwrap(), "exit");
        let no = displays.side("north", Some("top")).unwrap_err();
        assert_eq!(no.sides, ["entry", "exit"]);
        let no = displays.side("south", None).unwrap_err();
        assert_eq!((no.sides.len(), no.lanes), (0, vec!["north".to_owned()]));
    }

    #[test]
    fn the_page_has_every_prompt_and_no_address_of_anybody_else() {
        let table = table();
        for prompt in Prompt::ALL {
            assert!(
                table.contains(&format!("\"{}\":", prompt.id())),
                "{prompt:?}"
            );
        }
        let all = [
            include_str!("pages/display.html"),
            include_str!("pages/display.css"),
            include_str!("pages/display.js"),
        ];
        for text in all {
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("://") && !foreign.contains("@import"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_display_gets_the_sign_at_once_then_each_change_and_a_sign_of_life() {
        let (sender, displays) = displays();
        let mut signs = displays.signs.clone();
        signs.mark_changed();
        let place = Arc::clone(&displays.places).try_acquire_owned().unwrap();
        let watching = Watching {
            signs,
            lane: "north".into(),
            side: "entry",
            _place: place,
        };
        let begun = tokio::time::Instant::now();
        let (_, watching) = watching.next().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let (_, watching) = watching.next().await.unwrap();
        assert_eq!(begun.elapsed(), HEARTBEAT);
        let next = tokio::spawn(watching.next());
        tokio::time::sleep(Duration::from_millis(10)).await;
        sender.send_modify(|signs| {
            Arc::make_mut(signs).show("north", Direction::Entry, Prompt::Go, None);
        });
        let (_, watching) = next.await.unwrap().unwrap();
        assert_eq!(begun.elapsed(), HEARTBEAT + Duration::from_millis(10));
        drop(sender);
        assert!(
            watching.next().await.is_none(),
            "the daemon ends, and so does the stream"
        );
    }
}
