//! Follows one list: asks for its manifest, judges it, and brings the cache to what it says.

use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use super::backoff::{Backoff, seed};
use super::begun::Begun;
use super::chunk::unpack;
use super::client::{Ask, Fetched, LinkError, Transport};
use super::judge::{Refused, Step, judge};
use super::manifest::{ChunkId, Manifest};
use super::report::{SyncEvent, chain};
use super::trouble::Trouble;
use super::{Followed, Parts, Stop, blocking, stopped};
use crate::domain::ListId;
use crate::store::codes::{CHANGES_MAX, Change, ListState};
use crate::store::journal::JournalError;

/// How long the backend may hold an answer.
pub(super) const WAIT: Duration = Duration::from_secs(20);
/// Before the next question, where the backend holds its answers or has just had something new.
pub(super) const SOON: Duration = Duration::from_millis(100);
/// An answer that took this long was held.
pub(super) const HELD: Duration = Duration::from_secs(1);
/// How often one chunk is asked for before the whole load is given up.
const CHUNK_TRIES: u32 = 6;

/// The name of a list's floor in the journal.
#[must_use]
pub fn floor_name(list: &ListId) -> String {
    format!("list:{list}")
}

/// The longest wait while there is no list in force.
const NOBODY_KNOWN: Duration = Duration::from_secs(5);

/// Follows one list until told to stop.
pub async fn follow<T: Transport>(parts: Arc<Parts<T>>, list: Followed, mut stop: Stop) {
    let mut follower = Follower::new(parts, list);
    loop {
        let pause = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            pause = Box::pin(follower.turn()) => pause,
        };
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = time::sleep(pause) => {}
        }
    }
}

/// The following as steps: whoever drives them keeps the time.
pub struct Follower<T> {
    parts: Arc<Parts<T>>,
    list: Followed,
    /// Mark of the manifest that is in force.
    etag: Option<String>,
    /// The last delta did not lead where it should: no more of them until a snapshot has come through.
    delta_failed: bool,
    /// A snapshot that the link broke off.
    begun: Option<Begun>,
    /// A snapshot that came whole and was wrong.
    wrong: Option<Manifest>,
    /// The copy should have been rebuilt, and that was told.
    worn: bool,
    /// What was told last.
    trouble: Option<String>,
    link: Backoff,
    content: Backoff,
}

impl<T: Transport> Follower<T> {
    /// A follower that has not asked yet.
    #[must_use]
    pub fn new(parts: Arc<Parts<T>>, list: Followed) -> Self {
        let seed = seed(parts.gate.as_str()) ^ seed(list.list.as_str());
        Self {
            parts,
            list,
            etag: None,
            delta_failed: false,
            begun: None,
            wrong: None,
            worn: false,
            trouble: None,
            link: Backoff::of_link(seed),
            content: Backoff::of_content(seed),
        }
    }

    /// One round, what is told of it, and how long to wait for the next.
    pub async fn turn(&mut self) -> Duration {
        match self.round().await {
            Ok(soon) => {
                self.link.reset();
                self.content.reset();
                if soon {
                    self.parts.poll.min(SOON)
                } else {
                    self.parts.poll
                }
            }
            Err(trouble) => {
                self.etag = None;
                if !trouble.is_content() {
                    self.parts.report.backend_away(&trouble).await;
                    return self.link.wait();
                }
                if !matches!(trouble, Trouble::StillWrong) {
                    self.failed(&trouble).await;
                }
                if matches!(trouble, Trouble::Link(LinkError::NotFound)) {
                    // Not there yet, or a chunk that has just been replaced: no person is needed.
                    return self.link.wait();
                }
                let pause = self.content.wait();
                // Without a list nobody is known: then it is asked for as often as while the backend is away.
                if self.parts.codes.state(&self.list.list).is_none() {
                    pause.min(NOBODY_KNOWN)
                } else {
                    pause
                }
            }
        }
    }

    async fn failed(&mut self, trouble: &Trouble) {
        let why = chain(trouble);
        if self.trouble.as_ref() == Some(&why) {
            return;
        }
        let list = self.list.list.clone();
        tracing::warn!(%list, error = %why, "a list is refused; the last good one stays in force");
        self.trouble = Some(why.clone());
        self.parts
            .report
            .send(SyncEvent::ListFailed { list, why })
            .await;
    }

    /// True if it is worth asking again at once: so a change at the backend decides here within a second.
    async fn round(&mut self) -> Result<bool, Trouble> {
        let at_hand = self.at_hand().await?;
        let ask = match &at_hand.live {
            Some(live) if !at_hand.needs_load => Ask {
                have: Some(live.version),
                wait: WAIT,
                etag: self.etag.clone(),
            },
            // There is nothing to hold the answer for, unless the backend does not have the list yet.
            Some(_) | None => Ask {
                wait: WAIT,
                ..Ask::default()
            },
        };
        let asked = (self.parts.now)();
        let fetched = self.parts.transport.manifest(&self.list.list, &ask).await?;
        // Files answer at once, and are asked at the pace of the config.
        let held = (self.parts.now)().since(asked) >= HELD;
        self.parts.report.backend_answered().await;
        let Fetched::New { etag, envelope } = fetched else {
            return Ok(held);
        };
        let manifest = Manifest::open(&envelope, &self.list.list, &self.parts.keys)?;
        let applied = self.accept(&manifest, &at_hand).await?;
        self.etag = etag;
        Ok(held || applied)
    }

    async fn at_hand(&self) -> Result<AtHand, Trouble> {
        let (codes, journal) = (Arc::clone(&self.parts.codes), self.parts.journal.clone());
        let list = self.list.list.clone();
        let look = move || {
            Ok(AtHand {
                live: codes.state(&list),
                needs_load: codes.needs_load(&list),
                floor: journal.floor(&floor_name(&list))?,
            })
        };
        blocking(look).await.ok_or(Trouble::CutShort)?
    }

    /// Brings the cache to what `manifest` says. True if that was another version.
    async fn accept(&mut self, manifest: &Manifest, at_hand: &AtHand) -> Result<bool, Trouble> {
        let next = manifest.state();
        let known = self.list.pepper_ids.contains(&next.pepper_id);
        if let Some(ours) = self.list.pepper_ids.first().filter(|_| !known) {
            let (theirs, ours) = (next.pepper_id, *ours);
            return Err(Refused::OtherPepper { theirs, ours }.into());
        }
        let step = judge(&next, at_hand.live.as_ref(), at_hand.floor)?;
        let began = (self.parts.now)();
        let applied = match step {
            Step::Load => true,
            Step::Nothing | Step::Resigned => at_hand.needs_load,
        };
        if applied {
            self.load(manifest, at_hand).await?;
        } else if step == Step::Resigned {
            self.apply(Vec::new(), next).await?;
        }
        let list = self.list.list.clone();
        if applied {
            let took = (self.parts.now)().since(began);
            tracing::info!(
                %list, era = next.era, version = next.version, rows = next.rows,
                took_ms = took.as_millis(), "a newer list is in force"
            );
            let state = next;
            self.parts
                .report
                .send(SyncEvent::ListApplied { list, state, took })
                .await;
        } else if step == Step::Resigned || self.trouble.is_some() {
            let state = next;
            self.parts
                .report
                .send(SyncEvent::ListCurrent { list, state })
                .await;
        }
        self.trouble = None;
        self.remember(next, at_hand.floor, applied || step == Step::Resigned)
            .await?;
        if applied {
            self.tidy().await?;
        }
        Ok(applied)
    }

    /// What outlives the cache: the version below which nothing is accepted, and, if it is `signed` anew, the date below
    /// which no clock is believed.
    async fn remember(
        &self,
        next: ListState,
        floor: Option<(u32, u64)>,
        signed: bool,
    ) -> Result<(), Trouble> {
        let (journal, name) = (self.parts.journal.clone(), floor_name(&self.list.list));
        let higher = floor < Some((next.era, next.version));
        let keep = move || {
            if higher {
                journal.raise_floor(&name, next.era, next.version)?;
            }
            if signed {
                journal.raise_clock_floor(next.created)?;
            }
            Ok::<_, JournalError>(())
        };
        Ok(blocking(keep).await.ok_or(Trouble::CutShort)??)
    }

    /// The list is in force, whatever comes of this.
    async fn tidy(&mut self) -> Result<(), Trouble> {
        let (codes, list) = (Arc::clone(&self.parts.codes), self.list.list.clone());
        let tidied = blocking(move || codes.tidy(&list)).await;
        let list = &self.list.list;
        match tidied.ok_or(Trouble::CutShort)? {
            Ok(false) => {}
            Ok(true) => {
                self.worn = false;
                tracing::info!(%list, "the copy of the list was rebuilt after many changes");
            }
            Err(error) => {
                if !std::mem::replace(&mut self.worn, true) {
                    let error = chain(&error);
                    tracing::warn!(%list, %error, "the copy of the list has grown slow and cannot be rebuilt");
                }
            }
        }
        Ok(())
    }

    /// By delta if there is one from what is in force, else, or if it does not lead where it should, by snapshot.
    async fn load(&mut self, manifest: &Manifest, at_hand: &AtHand) -> Result<(), Trouble> {
        // A list made with another pepper has other keys throughout.
        let leads_on = |live: &ListState| {
            (live.era, live.pepper_id) == (manifest.era, manifest.pepper_id)
                && !at_hand.needs_load
                && !self.delta_failed
        };
        let live = at_hand.live.filter(leads_on);
        if let Some(delta) = live.and_then(|live| manifest.delta_from(live.version)) {
            match self.load_delta(&delta.chunks, manifest.state()).await {
                Err(trouble) if trouble.wants_snapshot() => {
                    tracing::warn!(
                        list = %self.list.list, error = %chain(&trouble),
                        "the change to a newer version did not take; a full copy is fetched"
                    );
                    self.delta_failed = true;
                }
                done => return done,
            }
        }
        if self
            .wrong
            .as_ref()
            .is_some_and(|wrong| wrong.has_rows_of(manifest))
        {
            return Err(Trouble::StillWrong);
        }
        let loaded = self.load_snapshot(manifest).await;
        self.delta_failed &= loaded.is_err();
        let for_good = loaded.as_ref().is_err_and(Trouble::is_for_good);
        self.wrong = for_good.then(|| manifest.clone());
        loaded
    }

    async fn load_delta(&self, chunks: &[ChunkId], next: ListState) -> Result<(), Trouble> {
        let mut changes: Vec<Change> = Vec::new();
        for id in chunks {
            let more = self.fetch_changes(id).await?;
            if changes.len().saturating_add(more.len()) > CHANGES_MAX {
                return Err(Trouble::TooManyRows);
            }
            changes.extend(more);
        }
        self.apply(changes, next).await
    }

    async fn apply(&self, changes: Vec<Change>, next: ListState) -> Result<(), Trouble> {
        let (codes, list) = (Arc::clone(&self.parts.codes), self.list.list.clone());
        blocking(move || codes.apply(&list, &changes, &next))
            .await
            .ok_or(Trouble::CutShort)??;
        Ok(())
    }

    /// A chunk at a time, so that memory does not grow with the list. Where the link goes away for longer, what has
    /// been loaded is kept and gone on from, as long as the newest manifest begins with the same chunks.
    async fn load_snapshot(&mut self, manifest: &Manifest) -> Result<(), Trouble> {
        let state = manifest.state();
        let kept = self.begun.take();
        let mut begun = match kept.filter(|begun| begun.is_part_of(manifest)) {
            Some(begun) => begun,
            None => {
                let (codes, list) = (Arc::clone(&self.parts.codes), self.list.list.clone());
                let load = blocking(move || codes.begin(&list, state.rows))
                    .await
                    .ok_or(Trouble::CutShort)??;
                Begun::new(load, state.pepper_id)
            }
        };
        for id in manifest.snapshot.iter().skip(begun.chunks()) {
            let changes = match self.fetch_changes(id).await {
                Ok(changes) => changes,
                Err(trouble) => {
                    self.begun = Some(begun).filter(|_| trouble.is_passing());
                    return Err(trouble);
                }
            };
            let id = *id;
            begun = blocking(move || begun.push(id, &changes, state.rows))
                .await
                .ok_or(Trouble::CutShort)??;
        }
        blocking(move || begun.commit(&state))
            .await
            .ok_or(Trouble::CutShort)??;
        Ok(())
    }

    async fn fetch_changes(&self, id: &ChunkId) -> Result<Vec<Change>, Trouble> {
        let packed = self.fetch(id).await?;
        let id = *id;
        let changes = blocking(move || unpack(&id, &packed)).await;
        Ok(changes.ok_or(Trouble::CutShort)??)
    }

    /// One chunk; a broken link is waited for, so that a long load does not start over.
    async fn fetch(&self, id: &ChunkId) -> Result<Vec<u8>, Trouble> {
        let mut link = self.link;
        for _ in 1..CHUNK_TRIES {
            match self.parts.transport.chunk(id).await {
                Err(error) if error.is_away() => time::sleep(link.wait()).await,
                answer => return Ok(answer?),
            }
        }
        Ok(self.parts.transport.chunk(id).await?)
    }
}

/// What the gate has when a round begins.
struct AtHand {
    live: Option<ListState>,
    needs_load: bool,
    floor: Option<(u32, u64)>,
}
