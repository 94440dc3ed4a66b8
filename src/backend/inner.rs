//! What the calls share: the stores, the peppers, and the manifests as they are sent.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};

use super::adapter::{Adapters, Found};
use super::claims::ClaimsDesk;
use super::http::held::Sent;
use super::seen::Seen;
use super::store::intake::Intake;
use super::store::lists::{Import, Lists, Meta};
use super::store::passages::Passages;
use super::trust::Trust;
use super::{BackendError, Clock, Counts, Imported, Mode, fragment, public_key_text, secrets};
use crate::codes::row_key::{Pepper, row_key, subject_key};
use crate::domain::{
    Colour, GateId, HealthOutcome, IssuerId, ListId, ListVersion, Row, Subject, Utc,
};
use crate::store::codes::Change;
use crate::sync::hex;
use crate::sync::spool::Spool;
use crate::sync::wire::Answer;

/// A manifest as it is sent.
pub(super) struct Published {
    pub(super) era: u32,
    pub(super) version: u64,
    pub(super) rows: u64,
    pub(super) pepper_id: u32,
    pub(super) etag: String,
    pub(super) envelope: String,
}

impl Published {
    fn new(meta: Meta) -> Self {
        Self {
            era: meta.era,
            version: meta.version,
            rows: meta.rows,
            pepper_id: meta.pepper_id,
            etag: etag(meta.envelope.as_bytes()),
            envelope: meta.envelope,
        }
    }
}

/// The mark of what is sent.
pub(super) fn etag(envelope: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(envelope).into();
    format!("\"{}\"", hex::encode(hash.get(..16).unwrap_or(&hash)))
}

impl Sent for Published {
    fn version(&self) -> u64 {
        self.version
    }

    fn etag(&self) -> &str {
        &self.etag
    }

    fn envelope(&self) -> &str {
        &self.envelope
    }
}

pub(super) struct Inner {
    pub(super) dir: PathBuf,
    /// Where it listens; `None`: nobody does, and the fragment is left as it is.
    addr: Option<SocketAddr>,
    pub(super) clock: Clock,
    /// Who was turned away.
    pub(super) seen: Seen,
    pub(super) public_key: String,
    pub(super) lists: Lists,
    pub(super) passages: Passages,
    /// Which codes were used where.
    pub(super) claims: ClaimsDesk,
    /// Issuers' own services.
    pub(super) adapters: Adapters,
    /// The trust list that gates are given.
    pub(super) trust: Trust,
    published: RwLock<BTreeMap<ListId, Arc<Published>>>,
    peppers: RwLock<BTreeMap<ListId, Pepper>>,
    /// Changes whenever a manifest does.
    pub(super) news: watch::Sender<u64>,
    pub(super) stop: watch::Receiver<bool>,
    /// An import takes the disk for a while: one at a time.
    pub(super) importing: Semaphore,
}

impl Inner {
    /// Opens what lies in `dir`, signs again what has become old, and writes the fragment.
    pub(super) fn open(
        dir: &Path,
        addr: Option<SocketAddr>,
        clock: Clock,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, BackendError> {
        fs::create_dir_all(dir).map_err(|source| secrets::io_error(dir, source))?;
        let dir = fs::canonicalize(dir).map_err(|source| secrets::io_error(dir, source))?;
        let key = secrets::signing_key(&dir)?;
        let public_key = public_key_text(&key);
        let inner = Self {
            lists: Lists::open(&dir, key)?,
            passages: Passages::open(&dir)?,
            claims: ClaimsDesk::open(&dir, Arc::clone(&clock))?,
            adapters: Adapters::read(&dir.join("adapters"))?,
            trust: Trust::new(&dir),
            dir,
            addr,
            clock,
            seen: Seen::new()?,
            public_key,
            published: RwLock::default(),
            peppers: RwLock::default(),
            news: watch::Sender::new(0),
            stop,
            importing: Semaphore::new(1),
        };
        inner.lists.resign((inner.clock)())?;
        for (list, meta) in inner.lists.all()? {
            let next = secrets::next_pepper_at_hand(&inner.dir, &list)?;
            if next.is_some_and(|next| next.id() == meta.pepper_id) {
                // It ended between the import and this.
                inner.promote(&list)?;
            }
            inner.pepper(&list)?;
            inner.publish(list, meta);
        }
        inner.trust.look();
        inner.write_fragment()?;
        Ok(inner)
    }

    /// Serves another trust list, if there is one.
    pub(super) fn look_at_trust(&self) -> Result<(), BackendError> {
        if self.trust.look() {
            self.write_fragment()?;
            self.news.send_modify(|n| *n = n.wrapping_add(1));
        }
        Ok(())
    }

    /// The date here.
    pub(super) fn now(&self) -> Utc {
        (self.clock)()
    }

    pub(super) fn published(&self, list: &ListId) -> Option<Arc<Published>> {
        let published = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        published.get(list).cloned()
    }

    pub(super) fn all_published(&self) -> Vec<(ListId, Arc<Published>)> {
        let published = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        published
            .iter()
            .map(|(list, one)| (list.clone(), Arc::clone(one)))
            .collect()
    }

    fn publish(&self, list: ListId, meta: Meta) {
        self.published
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(list, Arc::new(Published::new(meta)));
        self.news.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// The pepper of a list; the list gets one if it has none.
    pub(super) fn pepper(&self, list: &ListId) -> Result<Pepper, BackendError> {
        let mut peppers = self.peppers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(pepper) = peppers.get(list) {
            return Ok(pepper.clone());
        }
        let pepper = secrets::pepper(&self.dir, list)?;
        peppers.insert(list.clone(), pepper.clone());
        Ok(pepper)
    }

    pub(super) fn pepper_file(&self, list: &ListId) -> PathBuf {
        secrets::pepper_file(&self.dir, list)
    }

    /// Makes sure that a list has a pepper and that gates are told where it lies.
    pub(super) fn prepare(&self, list: &ListId) -> Result<Pepper, BackendError> {
        let pepper = self.pepper(list)?;
        self.write_fragment()?;
        Ok(pepper)
    }

    fn write_fragment(&self) -> Result<(), BackendError> {
        let Some(addr) = self.addr else {
            return Ok(());
        };
        let peppers = self.peppers.read().unwrap_or_else(PoisonError::into_inner);
        let lists: Vec<ListId> = peppers.keys().cloned().collect();
        drop(peppers);
        let trust_key = super::trust::public_key(&self.dir)?;
        fragment::write(&self.dir, addr, &self.public_key, trust_key, &lists)
    }

    /// The same for changes that are in memory.
    pub(super) fn import_changes(
        &self,
        list: &ListId,
        mode: Mode,
        new_era: bool,
        pepper_id: Option<u32>,
        changes: &[Change],
    ) -> Result<Imported, BackendError> {
        let rows = Intake::of(&self.dir, mode, changes)?;
        self.import(list, mode, new_era, pepper_id, rows)
    }

    /// Takes rows over and tells whoever waits. `pepper_id` names the pepper that the rows are made with: the one of
    /// the list, or for a whole list the next one, which is then the one of the list.
    pub(super) fn import(
        &self,
        list: &ListId,
        mode: Mode,
        new_era: bool,
        pepper_id: Option<u32>,
        rows: Spool,
    ) -> Result<Imported, BackendError> {
        let ours = self.prepare(list)?.id();
        let theirs = pepper_id.unwrap_or(ours);
        let rotates = theirs != ours;
        let next = secrets::next_pepper_at_hand(&self.dir, list)?.map(|next| next.id());
        if rotates && (next != Some(theirs) || mode == Mode::Patch) {
            return Err(super::StoreError::OtherPepper { theirs, ours }.into());
        }
        let import = Import {
            list: list.clone(),
            mode,
            new_era,
            pepper_id: theirs,
            rows,
        };
        let (imported, meta) = self.lists.import(import, (self.clock)())?;
        if rotates {
            self.promote(list)?;
        }
        if let Some(meta) = meta {
            tracing::info!(
                %list, era = imported.era, version = imported.version, rows = imported.rows,
                "a new version is signed"
            );
            self.publish(list.clone(), meta);
        }
        Ok(imported)
    }

    /// The next pepper of a list becomes its pepper.
    fn promote(&self, list: &ListId) -> Result<(), BackendError> {
        secrets::promote(&self.dir, list)?;
        let mut peppers = self.peppers.write().unwrap_or_else(PoisonError::into_inner);
        peppers.remove(list);
        drop(peppers);
        self.pepper(list).map(|_| ())
    }

    /// The pepper that a list will have after a whole import made with it; it is made if need be.
    pub(super) fn prepare_next(&self, list: &ListId) -> Result<(PathBuf, Pepper), BackendError> {
        self.prepare(list)?;
        let pepper = secrets::next_pepper(&self.dir, list)?;
        Ok((secrets::next_pepper_file(&self.dir, list), pepper))
    }

    /// Signs again what has become old.
    pub(super) fn resign(&self) -> Result<(), BackendError> {
        for (list, meta) in self.lists.resign((self.clock)())? {
            self.publish(list, meta);
        }
        Ok(())
    }

    pub(super) fn counts(&self, gate: &GateId) -> Result<Vec<(String, Counts)>, BackendError> {
        let counts = self.passages.counts(gate)?;
        Ok(counts
            .into_iter()
            .map(|(epoch, counts)| (hex::encode(&epoch), counts))
            .collect())
    }

    /// What these lists say of a credential, all lists if none is named; `None` if none knows it.
    pub(super) fn resolve(&self, asked: &Asked<'_>) -> Result<Option<Answer>, BackendError> {
        let mut answer: Option<Answer> = None;
        let lists = self.all_published().into_iter();
        let lists: Vec<_> = lists.filter(|(list, _)| asked.follows(list)).collect();
        for (list, published) in lists.iter().filter(|(list, _)| asked.is_held_by(list)) {
            let pepper = self.pepper(list)?;
            let Ok(key) = row_key(&pepper, asked.kind, asked.issuer, asked.identifier) else {
                return Ok(None);
            };
            if let Some(row) = self.lists.row(list, &key)? {
                let answer = answer.get_or_insert_with(nothing_known);
                join(answer, &row, spoke(list, published));
            }
        }
        // The same person by another credential, as a gate joins them.
        let subject = answer.as_ref().and_then(|answer| answer.subject.as_deref());
        if let (Some(subject), Some(answer)) = (subject.and_then(hex::decode), answer.as_mut()) {
            for (list, published) in &lists {
                let Ok(key) = subject_key(&self.pepper(list)?, Subject(subject)) else {
                    continue;
                };
                if let Some(row) = self.lists.row(list, &key)? {
                    join(answer, &row, spoke(list, published));
                }
            }
        }
        Ok(answer)
    }
}

/// What a service found, as an answer, beside what lists say of the person whom it names.
pub(super) fn with_found(listed: Option<Answer>, found: &Found) -> Option<Answer> {
    let mut answer = listed;
    if let Some(health) = found.health {
        let answer = answer.get_or_insert_with(nothing_known);
        let unheard = answer.lists.is_empty();
        if unheard || severity(health) > severity(answer.health) {
            answer.health = health;
            answer.region = found.region;
        }
    }
    answer
}

/// No standing, for a reason of its own.
pub(super) fn no_standing(health: HealthOutcome) -> Answer {
    Answer {
        health,
        ..nothing_known()
    }
}

/// Who is asked about.
pub(super) struct Asked<'a> {
    /// The lists to answer from; empty: all.
    pub(super) lists: &'a [ListId],
    /// Those that hold what the issuer made; `None`: all of them.
    pub(super) held_by: Option<&'a [ListId]>,
    pub(super) kind: &'a str,
    pub(super) issuer: &'a IssuerId,
    pub(super) identifier: &'a str,
}

impl Asked<'_> {
    fn follows(&self, list: &ListId) -> bool {
        self.lists.is_empty() || self.lists.contains(list)
    }

    fn is_held_by(&self, list: &ListId) -> bool {
        self.held_by.is_none_or(|held_by| held_by.contains(list))
    }
}

fn spoke(list: &ListId, published: &Published) -> ListVersion {
    ListVersion {
        list: list.clone(),
        era: published.era,
        version: published.version,
    }
}

const fn nothing_known() -> Answer {
    Answer {
        id: String::new(),
        health: HealthOutcome::NotApplied,
        subject: None,
        valid_from: None,
        valid_until: None,
        entitlements: 0,
        lists: Vec::new(),
        region: 0,
    }
}

const fn severity(health: HealthOutcome) -> u8 {
    match health {
        HealthOutcome::Green => 1,
        HealthOutcome::Yellow => 2,
        HealthOutcome::Red => 3,
        HealthOutcome::Unknown
        | HealthOutcome::NotApplied
        | HealthOutcome::QueryFailed
        | HealthOutcome::TimedOut => 0,
    }
}

/// The worst colour wins, validity is what all agree on, entitlements are joined.
fn join(answer: &mut Answer, row: &Row, spoke: ListVersion) {
    let health = row.colour.map_or(HealthOutcome::NotApplied, Colour::into);
    if answer.lists.is_empty() || severity(health) > severity(answer.health) {
        answer.health = health;
        answer.region = row.region;
    }
    let bound = |seconds: u32| Some(u64::from(seconds)).filter(|seconds| *seconds != 0);
    answer.valid_from = answer.valid_from.max(bound(row.valid_from_s));
    answer.valid_until = match (answer.valid_until, bound(row.valid_until_s)) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    answer.entitlements |= row.entitlements;
    if answer.subject.is_none() && row.subject != Subject::NONE {
        answer.subject = Some(hex::encode(&row.subject.0));
    }
    if !answer.lists.contains(&spoke) {
        answer.lists.push(spoke);
    }
}
