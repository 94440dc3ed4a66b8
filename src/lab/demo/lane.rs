//! One lane of the demo and the people who come to it, one after the other.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, timeout_at};

use super::cast::{Carries, Person, Walk};
use super::film::Scene;
use crate::config::types::Line;
use crate::domain::{Decided, IdCard, IdCardKind, Outcome, Personal, Reason, Verdict};
use crate::drivers::gpio::memory::Wires;
use crate::lab::camera::CameraFaults;
use crate::lab::sam_module::SamModule;
use crate::runtime::observe::Observation;
use crate::runtime::staff::wire::{Reply, Request, Result as Answer};

/// How long somebody waits for a decision, and for what comes of it, before they give up. A machine may be busy.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often somebody shows it at most, who is told to show it again.
const SHOWINGS_MAX: usize = 4;
/// The same code must have been out of sight for this long to count as shown again.
const OUT_OF_SIGHT: Duration = Duration::from_millis(1_700);
/// One step of a walk.
const STEP: Duration = Duration::from_millis(110);

/// The sensors of a lane, from the outside in.
#[derive(Clone, Copy, Debug)]
pub enum Aisle {
    /// Two beams.
    Beams(Line, Line),
    /// A rotor.
    Rotor(Line),
}

/// What came of one person.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Who.
    pub person: Person,
    /// What was decided; none if nothing was.
    pub decided: Option<Decided>,
    /// Own share and end to end of a grant.
    pub released: Option<(Duration, Duration)>,
    /// What the sensors made of it.
    pub outcomes: Vec<Outcome>,
}

impl Witness {
    /// True if all of it is what had to come.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        let decided = self
            .decided
            .map(|decided| (decided.verdict, decided.reason));
        decided == Some(self.person.expected) && self.outcomes == self.person.expected_outcomes()
    }
}

/// A lane as its people meet it.
pub struct DemoLane {
    /// Its name.
    pub name: &'static str,
    /// The socket of the gate's staff.
    pub staff: PathBuf,
    /// What is before its camera.
    pub scene: Scene,
    /// What is wrong with its camera.
    pub camera: CameraFaults,
    /// Its card reader.
    pub module: SamModule,
    /// Its sensors and relays.
    pub wires: Wires,
    /// Which of them.
    pub aisle: Aisle,
    /// What can be seen at it.
    pub seen: Receiver<Observation>,
    /// What the last person carried.
    pub last: Option<Carries>,
}

impl DemoLane {
    /// One person comes, is served or not, and goes.
    pub async fn serve(&mut self, person: Person) -> Witness {
        if self.last.as_ref() == Some(&person.carries) {
            sleep(OUT_OF_SIGHT).await;
        }
        self.last = Some(person.carries.clone());
        while self.seen.try_recv().is_ok() {}
        if person.walk == Walk::Forgiven
            && let Err(error) = self.forgive().await
        {
            // Whoever is not forgiven is refused, and that is told as what had not to come.
            tracing::warn!(%error, "staff cannot forgive anybody");
        }
        let mut decided = None;
        for _ in 0..SHOWINGS_MAX {
            self.present(&person.carries);
            decided = self.decision().await;
            if !decided.is_some_and(is_to_be_shown_again) {
                break;
            }
            // It came too late, on a machine that stood still for a second, or while somebody was in the aisle.
            self.put_away();
            sleep(OUT_OF_SIGHT).await;
        }
        let mut witness = Witness {
            person,
            decided,
            released: None,
            outcomes: Vec::new(),
        };
        if decided.is_some_and(|decided| decided.verdict == Verdict::Grant) {
            self.pass(&mut witness).await;
        } else {
            // Time to read the prompt and step aside.
            sleep(Duration::from_millis(300)).await;
        }
        self.put_away();
        sleep(Duration::from_millis(150)).await;
        witness
    }

    fn present(&self, carries: &Carries) {
        match carries {
            Carries::Phone(text) => self.scene.show(text),
            Carries::Card { number, kind } => self.module.present(IdCard {
                number: Personal::new(number.clone()),
                kind: *kind,
                valid_from: "20200101".into(),
                // Only resident cards are for life.
                valid_until: (*kind != IdCardKind::Resident).then(|| "20991231".into()),
            }),
        }
    }

    /// Staff forgive whoever was refused here last.
    async fn forgive(&self) -> std::io::Result<()> {
        let ask = Request::Forgive {
            lane: self.name.into(),
            direction: None,
        };
        let mut line = serde_json::to_vec(&ask)?;
        line.push(b'\n');
        let mut socket = UnixStream::connect(&self.staff).await?;
        socket.write_all(&line).await?;
        let mut reply = String::new();
        BufReader::new(socket).read_line(&mut reply).await?;
        let reply: Reply = serde_json::from_str(&reply)?;
        match reply.result {
            Answer::Done => Ok(()),
            Answer::Refused | Answer::Forbidden | Answer::Malformed | Answer::Unavailable => {
                Err(std::io::Error::other(reply.said.join("; ")))
            }
        }
    }

    fn put_away(&self) {
        self.scene.clear();
        self.module.lift();
    }

    /// The next decision.
    async fn decision(&mut self) -> Option<Decided> {
        let until = Instant::now() + PATIENCE;
        while let Ok(Some(observation)) = timeout_at(until, self.seen.recv()).await {
            match observation {
                Observation::Decided(decided) => return Some(decided),
                Observation::Released { .. } | Observation::Ended(..) | Observation::Shown(..) => {}
            }
        }
        None
    }

    async fn pass(&mut self, witness: &mut Witness) {
        let until = Instant::now() + PATIENCE;
        while let Ok(Some(observation)) = timeout_at(until, self.seen.recv()).await {
            match observation {
                Observation::Released {
                    own_share,
                    end_to_end,
                    ..
                } => {
                    witness.released = Some((own_share, end_to_end));
                    self.put_away();
                    self.walk(witness.person.walk).await;
                }
                Observation::Ended(_, _, outcome, _) => witness.outcomes.push(outcome),
                Observation::Decided(_) | Observation::Shown(..) => {}
            }
            let done = witness
                .outcomes
                .iter()
                .any(|outcome| matches!(outcome, Outcome::Passed | Outcome::NoEntryAfterGrant));
            if done && witness.released.is_some() {
                witness.outcomes.sort();
                return;
            }
        }
    }

    async fn walk(&self, walk: Walk) {
        match (walk, self.aisle) {
            (Walk::Stays, _) => {}
            (Walk::Through | Walk::Forgiven | Walk::WithFollower, Aisle::Rotor(line)) => {
                self.wires.set_active(line, true);
                sleep(STEP * 3).await;
                self.wires.set_active(line, false);
            }
            (Walk::Through | Walk::Forgiven, Aisle::Beams(outer, inner)) => {
                self.steps(
                    outer,
                    inner,
                    &[(true, false), (true, true), (false, true), (false, false)],
                )
                .await;
            }
            (Walk::WithFollower, Aisle::Beams(outer, inner)) => {
                let close_behind = [
                    (true, false),
                    (true, true),
                    (false, true),
                    (true, true),
                    (true, false),
                    (true, true),
                    (false, true),
                    (false, false),
                ];
                self.steps(outer, inner, &close_behind).await;
            }
        }
    }

    async fn steps(&self, outer: Line, inner: Line, levels: &[(bool, bool)]) {
        for (at_outer, at_inner) in levels {
            self.wires.set_active(outer, *at_outer);
            self.wires.set_active(inner, *at_inner);
            sleep(STEP).await;
        }
    }
}

/// "One at a time" and "show it again" are no decisions on a person.
const fn is_to_be_shown_again(decided: Decided) -> bool {
    matches!(decided.reason, Reason::LaneBusy | Reason::TooLate)
}
