//! Directives: what the centre wants of this gate for a time, signed, and followed as lists are. A bad one is refused
//! whole and the last good one stays in force; a version never goes back, over a restart and the loss of the cache too.
//!
//! The answer of the backend is a JSON array of DSSE envelopes of type [`PAYLOAD_TYPE`], the newest directive for the
//! gate and for each of its groups, each of them the JSON text of a [`Directive`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use super::backoff::{Backoff, seed};
use super::client::{Ask, Fetched, LinkError, Transport};
use super::dsse::{self, DsseError, PinnedKeys};
use super::report::{SyncEvent, chain};
use super::{Parts, Stop, blocking, stopped};
use crate::domain::directive::{DirectiveFault, Target};
use crate::domain::{Directive, GateId};
use crate::store::journal::{Journal, JournalError};

/// Payload type of the envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.turnstiled.directive+json";
/// Most envelopes of one answer: the gate's own and those of its groups.
pub const ENVELOPES_MAX: usize = 16;
/// Largest answer, in bytes.
pub const ANSWER_BYTES_MAX: usize = 512 << 10;
/// How long the backend may hold an answer.
const WAIT: Duration = Duration::from_secs(20);
/// Between two questions to a backend that knows no directives.
const UNKNOWN: Duration = Duration::from_secs(60);

/// Why a directive is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectiveError {
    /// The envelope.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// What is in it is no directive.
    #[error("a directive cannot be read: {0}")]
    Malformed(String),
    /// It says what none may say.
    #[error("directive {version} for {target} is refused: {fault}")]
    Fault {
        /// Whom it is for.
        target: Target,
        /// Its version.
        version: u64,
        /// What is wrong.
        fault: DirectiveFault,
    },
    /// It is for others.
    #[error("directive {version} is for {target}, and not for this gate")]
    NotForUs {
        /// Whom it is for.
        target: Target,
        /// Its version.
        version: u64,
    },
    /// Older than one that was accepted.
    #[error(
        "directive {version} for {target} is older than what was accepted before, version {floor}"
    )]
    Rollback {
        /// Whom it is for.
        target: Target,
        /// Its version.
        version: u64,
        /// Accepted before.
        floor: u64,
    },
    /// The version that was accepted, with another content.
    #[error("directive {version} for {target} was accepted before, with other content")]
    Forked {
        /// Whom it is for.
        target: Target,
        /// Its version.
        version: u64,
    },
    /// It cannot be kept.
    #[error("a directive cannot be kept")]
    Journal(#[from] JournalError),
    /// The way to the backend.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A task ended before its work was done.
    #[error("the work was cut short")]
    CutShort,
}

/// Whose directives a gate follows, and whom it believes.
#[derive(Clone, Debug)]
pub struct Addressee {
    /// The gate itself first, then its groups: the first that wants something of a lane is heard.
    pub targets: Vec<Target>,
    /// Who may sign.
    pub keys: PinnedKeys,
}

impl Addressee {
    /// A gate with its groups.
    #[must_use]
    pub fn new(gate: &GateId, groups: &[GateId], keys: PinnedKeys) -> Self {
        let groups = groups.iter().cloned().map(Target::Group);
        Self {
            targets: std::iter::once(Target::Gate(gate.clone()))
                .chain(groups)
                .collect(),
            keys,
        }
    }

    /// Reads one envelope.
    ///
    /// # Errors
    /// [`DirectiveError`]; nothing of it counts then.
    pub fn open(&self, envelope: &[u8]) -> Result<Directive, DirectiveError> {
        let payload = dsse::verify(envelope, PAYLOAD_TYPE, &self.keys)?;
        let directive: Directive = serde_json::from_slice(&payload)
            .map_err(|error| DirectiveError::Malformed(error.to_string()))?;
        let (target, version) = (directive.target.clone(), directive.version);
        if !self.targets.contains(&target) {
            return Err(DirectiveError::NotForUs { target, version });
        }
        directive.check().map_err(|fault| DirectiveError::Fault {
            target,
            version,
            fault,
        })?;
        Ok(directive)
    }

    /// The directives that were accepted before, the most specific first. One that is not believed any more, because
    /// another key is pinned now, is left out.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn accepted(&self, journal: &Journal) -> Result<Vec<Arc<Directive>>, JournalError> {
        let mut accepted = Vec::new();
        for target in &self.targets {
            let Some(envelope) = journal.document(&floor_name(target))? else {
                continue;
            };
            match self.open(&envelope) {
                Ok(directive) => accepted.push(Arc::new(directive)),
                Err(error) => {
                    tracing::warn!(%target, error = %chain(&error), "a directive that was kept is not followed any more");
                }
            }
        }
        Ok(accepted)
    }
}

/// The name of a target's floor in the journal.
#[must_use]
pub fn floor_name(target: &Target) -> String {
    format!("directive:{target}")
}

/// Signs a directive.
///
/// # Errors
/// What the JSON library says.
pub fn sign(
    directive: &Directive,
    key: &ed25519_dalek::SigningKey,
) -> Result<String, serde_json::Error> {
    let payload = serde_json::to_vec(directive)?;
    Ok(dsse::sign(PAYLOAD_TYPE, &payload, key))
}

/// Follows directives until told to stop. `accepted`: those of before.
pub async fn follow<T: Transport>(
    parts: Arc<Parts<T>>,
    addressee: Addressee,
    accepted: Vec<Arc<Directive>>,
    mut stop: Stop,
) {
    let mut follower = Follower::new(parts, addressee, accepted);
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
    addressee: Addressee,
    accepted: Vec<Arc<Directive>>,
    /// Mark of the answer that was gone through.
    etag: Option<String>,
    /// What was told last.
    trouble: Option<String>,
    link: Backoff,
    content: Backoff,
}

impl<T: Transport> Follower<T> {
    /// A follower that has not asked yet.
    #[must_use]
    pub fn new(parts: Arc<Parts<T>>, addressee: Addressee, accepted: Vec<Arc<Directive>>) -> Self {
        let seed = seed(parts.gate.as_str()) ^ seed("directives");
        Self {
            parts,
            addressee,
            accepted,
            etag: None,
            trouble: None,
            link: Backoff::of_link(seed),
            content: Backoff::of_content(seed),
        }
    }

    /// One round, what is told of it, and how long to wait for the next.
    pub async fn turn(&mut self) -> Duration {
        match self.round().await {
            Ok(()) => {
                self.link.reset();
                self.content.reset();
                self.trouble = None;
                self.parts.poll
            }
            // A backend that knows no directives has none for us.
            Err(DirectiveError::Link(LinkError::NotFound)) => UNKNOWN,
            Err(DirectiveError::Link(error)) if error.is_away() => {
                self.etag = None;
                self.parts.report.backend_away(&error).await;
                self.link.wait()
            }
            Err(error) => {
                self.etag = None;
                self.refused(&error).await;
                self.content.wait()
            }
        }
    }

    async fn refused(&mut self, error: &DirectiveError) {
        let why = chain(error);
        if self.trouble.as_ref() == Some(&why) {
            return;
        }
        tracing::warn!(error = %why, "a directive is refused; what was accepted before stays in force");
        self.trouble = Some(why.clone());
        let failed = SyncEvent::DirectiveFailed { why };
        self.parts.report.send(failed).await;
    }

    async fn round(&mut self) -> Result<(), DirectiveError> {
        let ask = Ask {
            wait: if self.etag.is_some() {
                WAIT
            } else {
                Duration::ZERO
            },
            etag: self.etag.clone(),
            ..Ask::default()
        };
        let groups: Vec<_> = self.addressee.targets.iter().filter_map(group).collect();
        let (gate, transport) = (&self.parts.gate, &self.parts.transport);
        let fetched = transport.directives(gate, &groups, &ask).await?;
        self.parts.report.backend_answered().await;
        if let Fetched::New { etag, envelope } = fetched {
            self.take(&envelope).await?;
            self.etag = etag;
        }
        Ok(())
    }

    /// Goes through an answer. What is good in it counts, whatever else is there; the first fault is told.
    async fn take(&mut self, answer: &[u8]) -> Result<(), DirectiveError> {
        let envelopes: Vec<serde_json::Value> = serde_json::from_slice(answer)
            .map_err(|error| DirectiveError::Malformed(error.to_string()))?;
        if envelopes.len() > ENVELOPES_MAX {
            let many = format!("{} envelopes came at once", envelopes.len());
            return Err(DirectiveError::Malformed(many));
        }
        let (mut changed, mut fault) = (false, None);
        for envelope in envelopes {
            match self.accept(envelope.to_string().into_bytes()).await {
                Ok(accepted) => changed |= accepted,
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        if changed {
            let directives = self.accepted.clone();
            self.parts
                .report
                .send(SyncEvent::Directed { directives })
                .await;
        }
        fault.map_or(Ok(()), Err)
    }

    /// True if it is a newer one.
    async fn accept(&mut self, envelope: Vec<u8>) -> Result<bool, DirectiveError> {
        let directive = Arc::new(self.addressee.open(&envelope)?);
        let (target, version) = (directive.target.clone(), directive.version);
        let name = floor_name(&target);
        let journal = self.parts.journal.clone();
        let keep = move || {
            let floor = journal.floor(&name)?.map_or(0, |(_, floor)| floor);
            let kept = version > floor && journal.keep_document(&name, (0, version), &envelope)?;
            Ok::<_, JournalError>((kept, floor))
        };
        let (kept, floor) = blocking(keep).await.ok_or(DirectiveError::CutShort)??;
        let known = self.accepted.iter().position(|one| one.target == target);
        let before = known.and_then(|at| self.accepted.get_mut(at));
        if !kept {
            return match before {
                Some(before) if *before == directive => Ok(false),
                // It was accepted by a key that is not pinned any more, and is signed by one that is.
                None if version == floor => {
                    self.insert(directive);
                    Ok(true)
                }
                Some(_) if version == floor => Err(DirectiveError::Forked { target, version }),
                Some(_) | None => Err(DirectiveError::Rollback {
                    target,
                    version,
                    floor,
                }),
            };
        }
        tracing::info!(%target, version, "a directive is accepted");
        match before {
            Some(before) => *before = directive,
            None => self.insert(directive),
        }
        Ok(true)
    }

    /// In the order of the targets.
    fn insert(&mut self, directive: Arc<Directive>) {
        self.accepted.push(directive);
        let targets = &self.addressee.targets;
        let rank = |one: &Arc<Directive>| targets.iter().position(|known| *known == one.target);
        self.accepted.sort_by_key(rank);
    }
}

fn group(target: &Target) -> Option<GateId> {
    match target {
        Target::Gate(_) => None,
        Target::Group(name) => Some(name.clone()),
    }
}

#[cfg(test)]
mod tests;
