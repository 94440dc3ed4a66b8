//! Presentation in, finding out: the codes module reads it, the lists are asked. One thread a lane, so that a slow
//! disk under one lane's look-up does not hold up another lane or the loop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::codes;
use crate::domain::{
    Assessed, Credential, Finding, HealthOutcome, ListId, ListVersion, Now, Presentation, Shown,
    Standing,
};
use crate::store::codes::Codes;
use crate::sync::online::Question;

/// How many presentations one lane may have waiting. More than one means that somebody floods a reader.
const QUEUE_MAX: usize = 4;

/// What an assessment needs; shared by the lanes.
pub struct Assessor {
    /// Trust list and peppers.
    pub reader: codes::Reader,
    /// The lists.
    pub cache: Arc<dyn Codes>,
    /// The lists to ask, and from which age each counts as stale.
    pub lists: Vec<(ListId, Duration)>,
}

/// One presentation to assess.
pub struct Job {
    /// Its number in this process.
    pub number: u64,
    /// When it was handed over.
    pub now: Now,
    /// What was shown.
    pub presentation: Presentation,
}

/// What came out.
pub struct Assessment {
    /// For the gate.
    pub assessed: Assessed,
    /// For the backend, should the gate want to ask.
    pub question: Option<Question>,
}

impl Assessor {
    /// Reads and looks up one presentation.
    #[must_use]
    pub fn assess(&self, job: &Job) -> Assessment {
        let shown = &job.presentation.shown;
        let (finding, question) = match self.reader.read(shown) {
            Err(refusal) => (
                Finding::Refused {
                    reason: refusal.reason,
                    issuer: refusal.issuer,
                },
                None,
            ),
            Ok(credential) => {
                let standing = self.look_up(&credential, job.now);
                let unknown = standing.health == HealthOutcome::Unknown;
                let question = if unknown { self.question(shown) } else { None };
                (
                    Finding::Read {
                        credential,
                        standing,
                    },
                    question,
                )
            }
        };
        let Presentation {
            lane,
            direction,
            medium,
            seen,
            read,
            ..
        } = job.presentation;
        Assessment {
            assessed: Assessed {
                number: job.number,
                lane,
                direction,
                medium,
                seen,
                read,
                finding,
            },
            question,
        }
    }

    /// What to ask the backend, in the words of its contract; nothing where the issuer does not allow it.
    fn question(&self, shown: &Shown) -> Option<Question> {
        let asked = self.reader.question(shown).ok().flatten()?;
        let profile = asked.profile.row_kind().to_owned();
        Some(Question {
            profile,
            issuer: asked.issuer,
            identifier: asked.identifier,
        })
    }

    /// Asks every list; the worst colour wins. A list that has not arrived, or cannot be read, is stale.
    fn look_up(&self, credential: &Credential, now: Now) -> Standing {
        let mut standing = Standing::unknown();
        for (list, stale_after) in &self.lists {
            let Some(state) = self.cache.state(list) else {
                standing.stale = true;
                continue;
            };
            // By the site's rule, or because the backend itself calls it fresh no longer.
            standing.stale |= now.utc.is_some_and(|utc| {
                utc.since(state.created) > *stale_after || utc > state.fresh_until
            });
            standing.lists.push(ListVersion {
                list: list.clone(),
                era: state.era,
                version: state.version,
            });
            // While a list changes its pepper there are two keys. The current one is asked first: if the list changes in
            // between, the next one finds the row.
            for (_, key) in credential.keys.iter().filter(|(of, _)| of == list) {
                match self.cache.look_up(list, key) {
                    Ok(Some(row)) => standing.join(&row),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%list, %error, "the codes cache cannot be read; the list counts as stale");
                        standing.stale = true;
                    }
                }
            }
        }
        standing
    }
}

/// Starts the thread of one lane. It ends when the sender is dropped.
///
/// # Errors
/// What the system says if it has no thread left.
pub fn spawn(
    assessor: Arc<Assessor>,
    lane: &str,
    out: mpsc::Sender<Assessment>,
) -> std::io::Result<SyncSender<Job>> {
    let (jobs, inbox) = sync_channel(QUEUE_MAX);
    std::thread::Builder::new()
        .name(format!("assess-{lane}"))
        .spawn(move || work(&assessor, &inbox, &out))?;
    Ok(jobs)
}

fn work(assessor: &Assessor, inbox: &Receiver<Job>, out: &mpsc::Sender<Assessment>) {
    while let Ok(job) = inbox.recv() {
        if out.blocking_send(assessor.assess(&job)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::{Pepper, Reader, TrustList, row_key};
    use crate::domain::{
        Colour, Digest, Direction, IssuerId, LaneId, Medium, Mono, Personal, Row, Subject, Utc,
    };
    use crate::store::codes::{ListState, MemoryCodes};

    const TRUST: &str = "version = 1\n[[issuer]]\nid = \"demo\"\nprofile = \"opaque\"\ndetect = [{ prefix = \"CODE\" }]\n";
    const CREATED_S: u64 = 1_770_000_000;

    fn list(name: &str) -> ListId {
        ListId::new(name).unwrap()
    }

    fn pepper(n: u8) -> Pepper {
        Pepper::from_bytes([n; 32])
    }

    /// Puts one person into a list, under the key of `pepper_of`.
    fn load(codes: &MemoryCodes, name: &str, pepper_of: u8, colour: Colour) {
        let row = Row {
            subject: Subject([7; 8]),
            valid_from_s: 0,
            valid_until_s: 0,
            colour: Some(colour),
            entitlements: 1,
            region: 0,
        };
        let issuer = IssuerId::new("demo").unwrap();
        let key = row_key::row_key(&pepper(pepper_of), row_key::OPAQUE, &issuer, "CODE").unwrap();
        let mut digest = Digest::default();
        digest.add(&key, &row.encode());
        let mut load = codes.begin(&list(name), 1).unwrap();
        load.push(key, &row.encode()).unwrap();
        load.commit(&ListState {
            era: 1,
            version: u64::from(pepper_of),
            created: Utc::from_secs(CREATED_S),
            fresh_until: Utc::from_secs(CREATED_S + 7_200),
            pepper_id: pepper(pepper_of).id(),
            rows: 1,
            digest,
        })
        .unwrap();
    }

    fn standing(codes: &MemoryCodes, peppers: &[(&str, u8)], age_s: u64) -> Standing {
        let of = |(name, n): &(&str, u8)| (list(name), pepper(*n));
        let peppers: Vec<_> = peppers.iter().map(of).collect();
        let mut lists: Vec<(ListId, Duration)> = Vec::new();
        for (name, _) in &peppers {
            if lists.iter().all(|(known, _)| known != name) {
                lists.push((name.clone(), Duration::from_secs(86_400)));
            }
        }
        let assessor = Assessor {
            reader: Reader::new(TrustList::parse(TRUST).unwrap(), peppers).unwrap(),
            cache: Arc::new(codes.clone()),
            lists,
        };
        let now = Now {
            utc: Some(Utc::from_secs(CREATED_S + age_s)),
            ..Now::default()
        };
        let presentation = Presentation {
            lane: LaneId(0),
            direction: Direction::Entry,
            medium: Medium::QrCode,
            shown: Shown::Code(Personal::new("CODE".into())),
            seen: Mono::default(),
            read: Mono::default(),
        };
        let number = 1;
        match assessor
            .assess(&Job {
                number,
                now,
                presentation,
            })
            .assessed
            .finding
        {
            Finding::Read { standing, .. } => standing,
            Finding::Refused { reason, .. } => panic!("{reason:?}"),
        }
    }

    #[test]
    fn while_a_list_changes_its_pepper_the_same_person_is_known_by_either() {
        let codes = MemoryCodes::default();
        let peppers = [("health", 1), ("health", 2)];
        load(&codes, "health", 1, Colour::Green);
        let before = standing(&codes, &peppers, 60);
        load(&codes, "health", 2, Colour::Green);
        let after = standing(&codes, &peppers, 60);
        assert_eq!(before.health, HealthOutcome::Green);
        assert_eq!(
            (after.health, after.subject),
            (before.health, before.subject)
        );
        // A gate that was not told the next pepper would know nobody: it refuses such a list instead.
        assert_eq!(
            standing(&codes, &peppers[..1], 60).health,
            HealthOutcome::Unknown
        );
    }

    #[test]
    fn every_list_is_asked_and_the_worst_colour_wins() {
        let codes = MemoryCodes::default();
        load(&codes, "health", 1, Colour::Green);
        load(&codes, "ride", 2, Colour::Yellow);
        let both = standing(&codes, &[("health", 1), ("ride", 2)], 60);
        assert_eq!((both.health, both.lists.len()), (HealthOutcome::Yellow, 2));
        let missing = standing(&codes, &[("health", 1), ("other", 3)], 60);
        assert_eq!(
            (missing.health, missing.stale),
            (HealthOutcome::Green, true)
        );
    }

    /// Somebody keeps newer manifests from the gate.
    #[test]
    fn a_frozen_list_becomes_stale_by_its_own_date() {
        let codes = MemoryCodes::default();
        load(&codes, "health", 1, Colour::Green);
        let stale = |age_s| standing(&codes, &[("health", 1)], age_s).stale;
        assert_eq!(
            (stale(60), stale(7_200), stale(7_201)),
            (false, false, true)
        );
    }
}
