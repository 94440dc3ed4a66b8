//! A gate, and people of the demo's cast picked by their stories.

use std::net::SocketAddr;

use turnstiled::backend::system_clock;
use turnstiled::domain::{Direction, Outcome, Reason, Verdict};
use turnstiled::lab::demo::cast::{self, PASSENGERS_MIN, Person};
use turnstiled::lab::demo::lane::{DemoLane, Witness};
use turnstiled::lab::demo::stage::Stage;

pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) people: Vec<Person>,
    lanes: [DemoLane; 2],
}

impl Scene {
    /// A gate whose backend knows the whole cast.
    pub(crate) async fn new(seed: u64) -> Self {
        let people = cast::draw(PASSENGERS_MIN, seed, system_clock()());
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let (stage, lanes) = Stage::set(&people, seed, any_port, system_clock())
            .await
            .unwrap();
        Self {
            stage,
            people,
            lanes,
        }
    }

    /// The person of this story comes, and goes again.
    pub(crate) async fn comes(&mut self, story: &str) -> Witness {
        let person = self
            .people
            .iter()
            .find(|person| person.story == story)
            .expect("the cast has this story")
            .clone();
        let [entry, exit] = &mut self.lanes;
        let lane = if person.direction == Direction::Entry {
            entry
        } else {
            exit
        };
        lane.serve(person).await
    }
}

/// One person comes to a gate of their own; what must come of it is said here once more, and not taken from the cast.
pub(crate) async fn alone(
    seed: u64,
    story: &str,
    verdict: Verdict,
    reason: Reason,
    outcomes: &[Outcome],
) {
    let mut scene = Scene::new(seed).await;
    let witness = scene.comes(story).await;
    expect(&witness, verdict, reason, outcomes);
    scene.stage.strike().await.unwrap();
}

pub(crate) fn expect(witness: &Witness, verdict: Verdict, reason: Reason, outcomes: &[Outcome]) {
    let story = witness.person.story;
    let decided = witness
        .decided
        .unwrap_or_else(|| panic!("{story}: nothing was decided"));
    assert_eq!(
        (decided.verdict, decided.reason),
        (verdict, reason),
        "{story}"
    );
    assert_eq!(witness.outcomes, outcomes, "{story}");
    assert_eq!(
        witness.released.is_some(),
        verdict == Verdict::Grant,
        "{story}: the relay"
    );
}
