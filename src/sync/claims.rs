//! Claims uses at the backend while somebody waits, and tells it later of those that were decided without an answer.
//!
//! One task owns it all. A claim that nobody answered stays here until the backend knows of it or its time is over, so that
//! other gates refuse a copy as soon as the backend is back. While nobody answers, those who come are not made to wait for
//! the same silence again and again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time;

use super::backoff::Backoff;
use super::claim_wire::{ClaimAsked, ClaimTaken, ClaimWon, Conflict, PersonAsked};
use super::client::{ClaimReply, LinkError, Transport};
use super::{Report, Stop, hex, stopped};
use crate::domain::{Claim, ClaimId, Claimed, GateId, Mono, PassbackKey};

/// Claims that are asked at once: one a lane, and one more for a lane whose person has changed.
const ASKING_MAX: usize = 8;
/// Claims to be told later, and claims to be taken back, each. Past it the oldest is not told.
const LATER_MAX: usize = 1_024;
/// After so many claims without an answer nobody waits for one, for a while.
const SILENT_MAX: u32 = 2;
/// How long nobody waits then.
const QUIET: Duration = Duration::from_secs(2);
/// How long a call may take for which nobody waits.
const LATER: Duration = Duration::from_secs(5);
/// How often one claim is asked anew because of what this gate held itself: once for the code, once for the person.
const ROUNDS_MAX: usize = 3;

/// What the gate wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A use is claimed, and an answer is wanted within so long.
    Claim(Claim, Duration),
    /// The use did not come about.
    TakeBack(ClaimId),
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Which.
    pub claim: ClaimId,
    /// What.
    pub claimed: Claimed,
    /// True if the gate has decided long ago.
    pub late: bool,
}

/// What every call needs.
pub struct Claimant<T> {
    /// Who we are.
    pub gate: GateId,
    /// The gates that passback holds for: `station:NAME` or `zone:NAME`.
    pub area: Option<String>,
    /// Makes the claims of this process unlike those of any other.
    pub process: u64,
    /// The way to the backend.
    pub transport: Arc<T>,
    /// Where it is told that the backend answers, or not.
    pub report: Arc<Report>,
    /// Reads the monotonic clock.
    pub now: Arc<dyn Fn() -> Mono + Send + Sync>,
}

/// A claim that the backend may not know of.
struct Open {
    claim: Claim,
    at: Mono,
    until: Mono,
    under_way: bool,
    taken_back: bool,
}

/// A call that has ended.
enum Ended {
    First(ClaimId, Result<Claimed, LinkError>),
    Later(ClaimId, Result<Claimed, LinkError>),
    TakenBack(ClaimId, Result<(), LinkError>),
}

/// What the task owns.
struct Desk<T> {
    claimant: Arc<Claimant<T>>,
    news: mpsc::Sender<News>,
    calls: JoinSet<Ended>,
    open: BTreeMap<ClaimId, Open>,
    take_back: VecDeque<ClaimId>,
    /// Answers that did not come, in a row.
    silent: u32,
    quiet_until: Option<Mono>,
    backoff: Backoff,
    /// When the next call may be made for which nobody waits; `None`: one is under way.
    later_at: Option<Mono>,
}

/// Carries orders out until `orders` closes or `stop` says so.
pub async fn run<T: Transport>(
    claimant: Arc<Claimant<T>>,
    mut orders: mpsc::Receiver<Order>,
    news: mpsc::Sender<News>,
    mut stop: Stop,
) {
    let start = (claimant.now)();
    let mut desk = Desk {
        backoff: Backoff::of_link(claimant.process),
        claimant,
        news,
        calls: JoinSet::new(),
        open: BTreeMap::new(),
        take_back: VecDeque::new(),
        silent: 0,
        quiet_until: None,
        later_at: Some(start),
    };
    loop {
        let wait = desk.wait();
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            order = orders.recv() => match order {
                Some(Order::Claim(claim, within)) => desk.claim(claim, within).await,
                Some(Order::TakeBack(claim)) => desk.take_back(claim),
                None => return,
            },
            Some(ended) = desk.calls.join_next() => match ended {
                Ok(ended) => desk.ended(ended).await,
                // Only a panic of a call comes here, and it is printed by then.
                Err(error) => tracing::error!(%error, "a claim broke"),
            },
            () = async { match wait {
                Some(wait) => time::sleep(wait).await,
                None => std::future::pending().await,
            } } => desk.later(),
        }
    }
}

impl<T: Transport> Desk<T> {
    fn now(&self) -> Mono {
        (self.claimant.now)()
    }

    async fn claim(&mut self, claim: Claim, within: Duration) {
        let now = self.now();
        let asks = self.open.values().filter(|open| open.under_way).count();
        let quiet = self.quiet_until.is_some_and(|until| now < until);
        let asked = !quiet && asks < ASKING_MAX && within > Duration::ZERO;
        self.make_room();
        let open = Open {
            claim,
            at: now,
            until: now + lasts(&claim),
            under_way: asked,
            taken_back: false,
        };
        self.open.insert(claim.id, open);
        if asked {
            let claimant = Arc::clone(&self.claimant);
            self.calls.spawn(async move {
                let said = time::timeout(within, claimant.ask(claim, Duration::ZERO, within));
                Ended::First(claim.id, said.await.unwrap_or(Err(LinkError::Late)))
            });
        } else {
            self.tell(claim.id, Claimed::Unanswered, false).await;
        }
    }

    /// The oldest claim that could be told later is not told.
    fn make_room(&mut self) {
        if self.open.len() >= LATER_MAX {
            let waiting = self.open.iter().find(|(_, open)| !open.under_way);
            if let Some(id) = waiting.map(|(id, _)| *id) {
                self.open.remove(&id);
                tracing::warn!("too many uses wait for the backend; the oldest is not told");
            }
        }
    }

    fn take_back(&mut self, id: ClaimId) {
        match self.open.get_mut(&id) {
            // Not before the call that is under way has ended.
            Some(open) if open.under_way => {
                open.taken_back = true;
                return;
            }
            Some(_) => {
                self.open.remove(&id);
            }
            None => {}
        }
        self.will_take_back(id);
    }

    fn will_take_back(&mut self, id: ClaimId) {
        if self.take_back.len() >= LATER_MAX {
            self.take_back.pop_front();
            tracing::warn!("too many claims wait to be taken back; the oldest ends by itself");
        }
        self.take_back.push_back(id);
    }

    async fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::First(id, said) => {
                let known = said.is_ok();
                self.heard(known);
                let claimed = said.unwrap_or_else(|error| {
                    tracing::debug!(%error, "a claim has no answer in time");
                    Claimed::Unanswered
                });
                self.settle(id, known);
                self.tell(id, claimed, false).await;
            }
            Ended::Later(id, said) => {
                self.later_ended(said.is_ok());
                self.settle(id, said.is_ok());
                if let Ok(claimed) = said {
                    self.tell(id, claimed, true).await;
                }
            }
            Ended::TakenBack(id, said) => {
                self.later_ended(said.is_ok());
                match said {
                    Ok(()) => self.take_back.retain(|waiting| *waiting != id),
                    Err(error) => tracing::debug!(%error, "a claim cannot be taken back yet"),
                }
            }
        }
    }

    /// The call about a claim has ended; `known`: the backend has answered it.
    fn settle(&mut self, id: ClaimId, known: bool) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        open.under_way = false;
        if open.taken_back {
            self.open.remove(&id);
            self.will_take_back(id);
        } else if known {
            self.open.remove(&id);
        }
    }

    fn heard(&mut self, answered: bool) {
        if answered {
            (self.silent, self.quiet_until) = (0, None);
            return;
        }
        self.silent = self.silent.saturating_add(1);
        if self.silent >= SILENT_MAX {
            self.quiet_until = Some(self.now() + QUIET);
        }
    }

    fn later_ended(&mut self, answered: bool) {
        if answered {
            self.backoff.reset();
            self.heard(true);
            self.later_at = Some(self.now());
        } else {
            self.later_at = Some(self.now() + self.backoff.wait());
        }
    }

    async fn tell(&self, claim: ClaimId, claimed: Claimed, late: bool) {
        let news = News {
            claim,
            claimed,
            late,
        };
        // A closed channel means that the gate is going down.
        let _ = self.news.send(news).await;
    }

    /// How long until something is to be told for which nobody waits.
    fn wait(&self) -> Option<Duration> {
        let at = self.later_at?;
        let waits = self.open.values().any(|open| !open.under_way);
        (waits || !self.take_back.is_empty()).then(|| at.since(self.now()))
    }

    /// Tells the backend one thing for which nobody waits: what is taken back first.
    fn later(&mut self) {
        let now = self.now();
        self.open
            .retain(|_, open| open.under_way || now < open.until);
        if let Some(id) = self.take_back.front().copied() {
            let claimant = Arc::clone(&self.claimant);
            self.calls
                .spawn(async move { Ended::TakenBack(id, claimant.take_back(id).await) });
        } else if let Some(open) = self.open.values_mut().find(|open| !open.under_way) {
            open.under_way = true;
            let (claimant, claim) = (Arc::clone(&self.claimant), open.claim);
            let age = now.since(open.at);
            self.calls.spawn(async move {
                Ended::Later(claim.id, claimant.ask(claim, age, LATER).await)
            });
        } else {
            return;
        }
        self.later_at = None;
    }
}

impl<T: Transport> Claimant<T> {
    /// Claims; `age`: how long ago the gate has decided, zero if it waits.
    async fn ask(
        &self,
        claim: Claim,
        age: Duration,
        within: Duration,
    ) -> Result<Claimed, LinkError> {
        let mut asked = self.asked(claim, age);
        for _ in 0..ROUNDS_MAX {
            let body = serde_json::to_vec(&asked).map_err(|e| LinkError::Away(e.to_string()))?;
            let reply = self.transport.claim(body, within).await;
            match &reply {
                Ok(_) => self.report.backend_answered().await,
                Err(error @ (LinkError::Away(_) | LinkError::Untrusted(_))) => {
                    self.report.backend_away(error).await;
                }
                Err(_) => {}
            }
            let taken = match reply? {
                ClaimReply::Won(body) => return won(&body, &asked.claim_id),
                // It was taken back: whoever it was for has gone.
                ClaimReply::Gone => return Ok(Claimed::Unanswered),
                ClaimReply::Taken(body) => {
                    serde_json::from_slice::<ClaimTaken>(&body).map_err(|_| LinkError::Conflict)?
                }
            };
            let known_here = claim.person.is_some_and(|person| person.known_here);
            let gives_way = match taken.conflict {
                Conflict::Replay => true,
                Conflict::Passback => !known_here,
            };
            match taken.claim_id {
                // Ours, and this gate knows nothing of it: that use never came about.
                Some(ours) if taken.by.gate == self.gate && gives_way => {
                    asked.takes_over.push(ours);
                }
                Some(_) | None => {
                    tracing::info!(gate = %taken.by.gate, conflict = ?taken.conflict, "used there before");
                    return Ok(match taken.conflict {
                        Conflict::Replay => Claimed::Replayed(taken.by),
                        Conflict::Passback => Claimed::PassedBack(taken.by),
                    });
                }
            }
        }
        Err(LinkError::Conflict)
    }

    async fn take_back(&self, claim: ClaimId) -> Result<(), LinkError> {
        let id = self.wire_id(claim);
        self.transport.take_back(&self.gate, &id, LATER).await
    }

    fn asked(&self, claim: Claim, age: Duration) -> ClaimAsked {
        let person = claim.person.zip(self.area.clone());
        ClaimAsked {
            gate: self.gate.clone(),
            claim_id: self.wire_id(claim.id),
            replay_key: claim.replay.map(|replay| hex::encode(&replay.key.0)),
            window: claim.replay.map_or(0, |replay| replay.window_s),
            person: person.map(|(person, area)| PersonAsked {
                area,
                key: match person.key {
                    PassbackKey::Subject(subject) => hex::encode(&subject.0),
                    PassbackKey::Row(key) => hex::encode(&key.0),
                },
                direction: person.direction,
                remember_s: person.remember_s,
                // Whoever has gone through is not refused any more.
                enforced: person.enforced && age.is_zero(),
            }),
            takes_over: Vec::new(),
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn wire_id(&self, claim: ClaimId) -> String {
        format!("{:016x}{:016x}", self.process, claim.0)
    }
}

fn won(body: &[u8], claim_id: &str) -> Result<Claimed, LinkError> {
    let won: ClaimWon = serde_json::from_slice(body).map_err(|_| LinkError::Conflict)?;
    if won.claim_id != claim_id {
        tracing::warn!("the backend answers another claim; it counts as no answer");
        return Err(LinkError::Conflict);
    }
    let before = won.before.map(|before| (before.direction, before.by));
    Ok(Claimed::Won { before })
}

/// How long a claim is worth telling.
fn lasts(claim: &Claim) -> Duration {
    let code = claim.replay.map_or(0, |replay| replay.window_s);
    let person = claim.person.map_or(0, |person| person.remember_s);
    Duration::from_secs(code.max(person).into())
}
