//! Claims: which codes were used where, and where people went last. Everything in it expires.
//!
//! One table of claims is the owner of the others: a code or a person belongs to the claim that its row names, and goes with
//! it. A claim that was taken back leaves a mark for a while, so that a call which is still on its way does not bring it back.

use std::path::Path;
use std::time::Duration;

use redb::{
    Database, ReadableTable as _, ReadableTableMetadata as _, TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::{StoreError, open};
use crate::domain::{Direction, Elsewhere, GateId, Utc};
use crate::sync::claim_wire::{Before, Conflict};

/// Number of a claim: unlike all others of its gate.
pub(in crate::backend) type Id = [u8; 16];
/// Who holds a code: claim, gate, when, until when.
type CodeRow<'a> = (&'a Id, &'a str, u64, u64);
/// Who saw a person last: claim, gate, way, when, until when.
type PersonRow<'a> = (&'a Id, &'a str, u8, u64, u64);

const CLAIMS: TableDefinition<(&str, &Id), &[u8]> = TableDefinition::new("claims");
const CODES: TableDefinition<&[u8; 32], CodeRow<'_>> = TableDefinition::new("codes");
const PEOPLE: TableDefinition<(&str, &[u8]), PersonRow<'_>> = TableDefinition::new("people");
/// When a claim expires.
const EXPIRES: TableDefinition<(u64, &str, &Id), ()> = TableDefinition::new("expires");

/// Most claims at once: a station of a hundred gates fills a tenth of it in an hour. Past it the first to expire goes.
const CLAIMS_MAX: u64 = 1_000_000;
/// How long a claim that was taken back is known as such: longer than any call is under way.
const TAKEN_BACK: Duration = Duration::from_secs(120);

/// What a gate claims, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Asked {
    pub(in crate::backend) gate: GateId,
    pub(in crate::backend) claim: Id,
    /// Replay key and window in seconds.
    pub(in crate::backend) code: Option<([u8; 32], u32)>,
    pub(in crate::backend) person: Option<Person>,
    pub(in crate::backend) takes_over: Vec<Id>,
    pub(in crate::backend) age: Duration,
}

/// The person of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Person {
    pub(in crate::backend) area: String,
    pub(in crate::backend) key: Vec<u8>,
    pub(in crate::backend) direction: Direction,
    pub(in crate::backend) remember_s: u32,
    pub(in crate::backend) enforced: bool,
}

/// What gates want of the claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Order {
    /// A use is claimed.
    Claim(Asked),
    /// A claim is taken back.
    TakeBack(GateId, Id),
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Said {
    /// It is theirs.
    Won(Option<Before>),
    /// Somebody was first; the claim that holds it.
    Taken(Conflict, Elsewhere, Id),
    /// It was taken back before.
    Gone,
    /// This claim is about something else.
    Other,
    /// It is taken back, if it was there.
    TakenBack,
}

/// A claim as it lies in its table.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    until: u64,
    taken_back: bool,
    code: Option<[u8; 32]>,
    person: Option<(String, Vec<u8>)>,
    /// Where the person went before: it counts again if this claim is taken back.
    before: Option<Last>,
}

/// Where a person went last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    claim: Id,
    gate: GateId,
    direction: Direction,
    at: u64,
    until: u64,
}

impl Last {
    fn shown(&self) -> Before {
        Before {
            direction: self.direction,
            by: elsewhere(&self.gate, self.at),
        }
    }
}

fn elsewhere(gate: &GateId, at_ms: u64) -> Elsewhere {
    let gate = gate.clone();
    Elsewhere { gate, at_ms }
}

/// The claims of all gates.
pub(in crate::backend) struct Claims(Database);

impl Claims {
    pub(in crate::backend) fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::of(open(dir, "claims.redb")?)
    }

    /// The same on a database of the caller's.
    pub(in crate::backend) fn of(db: Database) -> Result<Self, StoreError> {
        let transaction = db.begin_write()?;
        transaction.open_table(CLAIMS)?;
        transaction.open_table(CODES)?;
        transaction.open_table(PEOPLE)?;
        transaction.open_table(EXPIRES)?;
        transaction.commit()?;
        Ok(Self(db))
    }

    /// Carries out orders one after the other, all of them durable when it returns, or none.
    pub(in crate::backend) fn carry_out(
        &self,
        now: Utc,
        orders: &[Order],
    ) -> Result<Vec<Said>, StoreError> {
        let transaction = self.0.begin_write()?;
        let now_ms = now.as_millis();
        let said = orders
            .iter()
            .map(|order| match order {
                Order::Claim(asked) => claim(&transaction, now_ms, asked),
                Order::TakeBack(gate, id) => take_back(&transaction, now_ms, gate, id),
            })
            .collect::<Result<_, _>>()?;
        expire(&transaction, now_ms, CLAIMS_MAX)?;
        transaction.commit()?;
        Ok(said)
    }
}

fn claim(transaction: &WriteTransaction, now: u64, asked: &Asked) -> Result<Said, StoreError> {
    let id = (asked.gate.as_str(), &asked.claim);
    if let Some(kept) = kept(transaction, id)? {
        let about = asked.person.as_ref();
        let same = kept.code == asked.code.map(|(key, _)| key)
            && kept.person.as_ref().map(|(area, key)| (area, key))
                == about.map(|person| (&person.area, &person.key));
        return Ok(match kept {
            Kept {
                taken_back: true, ..
            } => Said::Gone,
            Kept { before, .. } if same => Said::Won(before.as_ref().map(Last::shown)),
            Kept { .. } => Said::Other,
        });
    }
    let gives_way =
        |gate: &str, claim: &Id| gate == asked.gate.as_str() && asked.takes_over.contains(claim);
    if let Some((key, _)) = &asked.code
        && let Some(row) = transaction.open_table(CODES)?.get(key)?
    {
        let (holder, gate, first, until) = row.value();
        if until >= now && !gives_way(gate, holder) {
            return taken(Conflict::Replay, gate, first, holder);
        }
    }
    let mut before = None;
    if let Some(person) = &asked.person {
        let last = last(transaction, person)?.filter(|last| last.until >= now);
        before = match last {
            // What came before a use that never came about counts again.
            Some(last) if gives_way(last.gate.as_str(), &last.claim) => {
                let id = (last.gate.as_str(), &last.claim);
                kept(transaction, id)?.and_then(|kept| kept.before)
            }
            last => last,
        };
        if let Some(last) = &before
            && person.enforced
            && last.direction == person.direction
        {
            return taken(Conflict::Passback, last.gate.as_str(), last.at, &last.claim);
        }
    }
    let shown = before.as_ref().map(Last::shown);
    write(transaction, now, asked, before)?;
    Ok(Said::Won(shown))
}

/// Writes a claim that is won.
fn write(
    transaction: &WriteTransaction,
    now: u64,
    asked: &Asked,
    before: Option<Last>,
) -> Result<(), StoreError> {
    let (gate, claim) = (asked.gate.as_str(), &asked.claim);
    let at = now.saturating_sub(millis(asked.age));
    let mut until = now;
    if let Some((key, window_s)) = &asked.code {
        let end = after(at, *window_s);
        until = until.max(end);
        let mut codes = transaction.open_table(CODES)?;
        codes.insert(key, (claim, gate, at, end))?;
    }
    if let Some(person) = &asked.person {
        let end = after(at, person.remember_s);
        until = until.max(end);
        // Somebody who was seen since is not set back by a claim that comes late.
        if before.as_ref().is_none_or(|last| last.at <= at) {
            let row = (claim, gate, byte(person.direction), at, end);
            let mut people = transaction.open_table(PEOPLE)?;
            people.insert((person.area.as_str(), person.key.as_slice()), row)?;
        }
    }
    let person = asked.person.as_ref();
    let new = Kept {
        until,
        taken_back: false,
        code: asked.code.map(|(key, _)| key),
        person: person.map(|person| (person.area.clone(), person.key.clone())),
        before,
    };
    keep(transaction, (gate, claim), &new)
}

fn taken(what: Conflict, gate: &str, at: u64, holder: &Id) -> Result<Said, StoreError> {
    let gate = GateId::new(gate).map_err(|_| StoreError::Failed("a gate has no name".into()))?;
    Ok(Said::Taken(what, elsewhere(&gate, at), *holder))
}

fn take_back(
    transaction: &WriteTransaction,
    now: u64,
    gate: &GateId,
    claim: &Id,
) -> Result<Said, StoreError> {
    let id = (gate.as_str(), claim);
    if let Some(kept) = kept(transaction, id)? {
        let_go(transaction, id, kept)?;
    }
    let mark = Kept {
        until: now.saturating_add(millis(TAKEN_BACK)),
        taken_back: true,
        code: None,
        person: None,
        before: None,
    };
    keep(transaction, id, &mark)?;
    Ok(Said::TakenBack)
}

/// Forgets claims that are over, and beyond `most` the first to be over.
fn expire(transaction: &WriteTransaction, now: u64, most: u64) -> Result<(), StoreError> {
    loop {
        let count = transaction.open_table(CLAIMS)?.len()?;
        let expires = transaction.open_table(EXPIRES)?;
        let Some(first) = expires.first()? else {
            return Ok(());
        };
        let (until, gate, claim) = first.0.value();
        if until >= now && count <= most {
            return Ok(());
        }
        let (gate, claim) = (gate.to_owned(), *claim);
        drop(first);
        drop(expires);
        let id = (gate.as_str(), &claim);
        match kept(transaction, id)? {
            // What came before is over too, or is remembered no longer.
            Some(kept) => let_go(
                transaction,
                id,
                Kept {
                    before: None,
                    ..kept
                },
            )?,
            None => {
                transaction
                    .open_table(EXPIRES)?
                    .remove((until, id.0, id.1))?;
            }
        }
    }
}

/// A claim goes, and what belongs to it; what was before it counts again.
fn let_go(transaction: &WriteTransaction, id: (&str, &Id), kept: Kept) -> Result<(), StoreError> {
    let ours = |claim: &Id, gate: &str| (gate, claim) == id;
    if let Some(key) = &kept.code {
        let mut codes = transaction.open_table(CODES)?;
        let holds = codes
            .get(key)?
            .is_some_and(|row| ours(row.value().0, row.value().1));
        if holds {
            codes.remove(key)?;
        }
    }
    if let Some((area, key)) = &kept.person {
        let mut people = transaction.open_table(PEOPLE)?;
        let at = (area.as_str(), key.as_slice());
        let holds = people
            .get(at)?
            .is_some_and(|row| ours(row.value().0, row.value().1));
        match kept.before {
            Some(last) if holds => {
                let way = byte(last.direction);
                let row = (&last.claim, last.gate.as_str(), way, last.at, last.until);
                people.insert(at, row)?;
            }
            None if holds => {
                people.remove(at)?;
            }
            Some(_) | None => {}
        }
    }
    transaction
        .open_table(EXPIRES)?
        .remove((kept.until, id.0, id.1))?;
    transaction.open_table(CLAIMS)?.remove(id)?;
    Ok(())
}

fn kept(transaction: &WriteTransaction, id: (&str, &Id)) -> Result<Option<Kept>, StoreError> {
    let claims = transaction.open_table(CLAIMS)?;
    let row = claims.get(id)?;
    Ok(row
        .map(|row| serde_json::from_slice(row.value()))
        .transpose()?)
}

fn keep(transaction: &WriteTransaction, id: (&str, &Id), kept: &Kept) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(kept)?;
    transaction
        .open_table(CLAIMS)?
        .insert(id, bytes.as_slice())?;
    transaction
        .open_table(EXPIRES)?
        .insert((kept.until, id.0, id.1), ())?;
    Ok(())
}

fn last(transaction: &WriteTransaction, person: &Person) -> Result<Option<Last>, StoreError> {
    let people = transaction.open_table(PEOPLE)?;
    let Some(row) = people.get((person.area.as_str(), person.key.as_slice()))? else {
        return Ok(None);
    };
    let (claim, gate, way, at, until) = row.value();
    Ok(Some(Last {
        claim: *claim,
        gate: GateId::new(gate).map_err(|_| StoreError::Failed("a gate has no name".into()))?,
        direction: if way == byte(Direction::Entry) {
            Direction::Entry
        } else {
            Direction::Exit
        },
        at,
        until,
    }))
}

const fn byte(direction: Direction) -> u8 {
    match direction {
        Direction::Entry => 0,
        Direction::Exit => 1,
    }
}

fn after(at: u64, seconds: u32) -> u64 {
    at.saturating_add(u64::from(seconds).saturating_mul(1_000))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_900_000_000;
    const KEY: [u8; 32] = [7; 32];

    fn claims() -> Claims {
        let backend = redb::backends::InMemoryBackend::new();
        Claims::of(redb::Builder::new().create_with_backend(backend).unwrap()).unwrap()
    }

    fn gate(name: &str) -> GateId {
        GateId::new(name).unwrap()
    }

    fn code(of: &str, claim: u8) -> Asked {
        Asked {
            gate: gate(of),
            claim: [claim; 16],
            code: Some((KEY, 60)),
            person: None,
            takes_over: Vec::new(),
            age: Duration::ZERO,
        }
    }

    fn person(of: &str, claim: u8, direction: Direction) -> Asked {
        Asked {
            code: None,
            person: Some(Person {
                area: "zone:line-2".into(),
                key: vec![9; 8],
                direction,
                remember_s: 3_600,
                enforced: true,
            }),
            ..code(of, claim)
        }
    }

    impl Claims {
        fn ask(&self, s: u64, asked: Asked) -> Said {
            self.order(s, Order::Claim(asked))
        }

        fn order(&self, s: u64, order: Order) -> Said {
            let now = Utc::from_secs(START + s);
            self.carry_out(now, &[order]).unwrap().remove(0)
        }

        fn take_back(&self, s: u64, of: &str, claim: u8) {
            let said = self.order(s, Order::TakeBack(gate(of), [claim; 16]));
            assert_eq!(said, Said::TakenBack);
        }

        fn rows(&self) -> [u64; 4] {
            let transaction = self.0.begin_write().unwrap();
            [
                transaction.open_table(CLAIMS).unwrap().len().unwrap(),
                transaction.open_table(CODES).unwrap().len().unwrap(),
                transaction.open_table(PEOPLE).unwrap().len().unwrap(),
                transaction.open_table(EXPIRES).unwrap().len().unwrap(),
            ]
        }
    }

    fn by(of: &str, s: u64) -> Elsewhere {
        elsewhere(&gate(of), (START + s) * 1_000)
    }

    #[test]
    fn the_first_claim_wins_inside_its_window_and_the_same_claim_again_changes_nothing() {
        let claims = claims();
        assert_eq!(claims.ask(0, code("a", 1)), Said::Won(None));
        assert_eq!(claims.ask(5, code("a", 1)), Said::Won(None));
        let taken = Said::Taken(Conflict::Replay, by("a", 0), [1; 16]);
        assert_eq!(claims.ask(10, code("b", 2)), taken);
        assert_eq!(claims.ask(10, code("a", 2)), taken, "of the same gate too");
        assert_eq!(
            claims.ask(60, code("b", 2)),
            taken,
            "the last second counts"
        );
        assert_eq!(claims.ask(61, code("b", 2)), Said::Won(None));
        assert_eq!(claims.rows(), [1, 1, 0, 1], "what is over is gone");
    }

    #[test]
    fn a_claim_that_was_taken_back_is_free_and_does_not_come_back_by_a_call_on_its_way() {
        let claims = claims();
        claims.ask(0, code("a", 1));
        claims.take_back(1, "a", 1);
        assert_eq!(claims.ask(2, code("a", 1)), Said::Gone);
        assert_eq!(claims.ask(3, code("b", 2)), Said::Won(None));
        // Before it has come at all.
        claims.take_back(4, "a", 3);
        assert_eq!(claims.ask(5, code("a", 3)), Said::Gone);
        // Taking back what somebody else holds by now changes nothing.
        claims.take_back(6, "a", 1);
        let taken = Said::Taken(Conflict::Replay, by("b", 3), [2; 16]);
        assert_eq!(claims.ask(7, code("c", 4)), taken);
        claims.ask(200, code("d", 5));
        assert_eq!(claims.rows(), [1, 1, 0, 1], "marks go too");
    }

    #[test]
    fn a_use_that_never_came_about_gives_way_to_its_own_gate_only() {
        let claims = claims();
        claims.ask(0, code("a", 1));
        let over = |of| Asked {
            takes_over: vec![[1; 16]],
            ..code(of, 2)
        };
        assert!(matches!(claims.ask(1, over("b")), Said::Taken(..)));
        assert_eq!(claims.ask(1, over("a")), Said::Won(None));
        claims.take_back(2, "a", 1);
        let taken = Said::Taken(Conflict::Replay, by("a", 1), [2; 16]);
        assert_eq!(
            claims.ask(3, code("b", 3)),
            taken,
            "a late call takes nothing away"
        );
    }

    #[test]
    fn a_claim_id_stands_for_one_thing() {
        let claims = claims();
        claims.ask(0, code("a", 1));
        let other = Asked {
            code: Some(([8; 32], 60)),
            ..code("a", 1)
        };
        assert_eq!(claims.ask(1, other), Said::Other);
        assert_eq!(claims.ask(1, person("a", 1, Direction::Entry)), Said::Other);
    }

    #[test]
    fn entry_and_exit_pair_up_over_the_gates_of_an_area() {
        use Direction::{Entry, Exit};
        let claims = claims();
        assert_eq!(claims.ask(0, person("a", 1, Entry)), Said::Won(None));
        let taken = Said::Taken(Conflict::Passback, by("a", 0), [1; 16]);
        assert_eq!(claims.ask(10, person("b", 2, Entry)), taken);
        let mut elsewhere = person("b", 3, Entry);
        elsewhere.person.as_mut().unwrap().area = "zone:line-9".into();
        assert_eq!(claims.ask(10, elsewhere), Said::Won(None), "another area");
        let before = |direction, of, s| {
            Said::Won(Some(Before {
                direction,
                by: by(of, s),
            }))
        };
        assert_eq!(claims.ask(20, person("b", 4, Exit)), before(Entry, "a", 0));
        assert_eq!(claims.ask(30, person("c", 5, Entry)), before(Exit, "b", 20));
        // The time is over.
        assert_eq!(claims.ask(3_631, person("a", 6, Entry)), Said::Won(None));
    }

    #[test]
    fn whoever_did_not_walk_is_where_they_were_before() {
        use Direction::{Entry, Exit};
        let claims = claims();
        claims.ask(0, person("a", 1, Entry));
        claims.ask(10, person("b", 2, Exit));
        claims.take_back(15, "b", 2);
        let taken = Said::Taken(Conflict::Passback, by("a", 0), [1; 16]);
        assert_eq!(claims.ask(20, person("c", 3, Entry)), taken);
        claims.ask(30, person("c", 4, Exit));
        // Somebody who has passed since is not set back.
        claims.take_back(35, "a", 1);
        let taken = Said::Taken(Conflict::Passback, by("c", 30), [4; 16]);
        assert_eq!(claims.ask(40, person("a", 5, Exit)), taken);
    }

    #[test]
    fn soft_forgiven_and_late_claims_refuse_nobody_and_set_nobody_back() {
        use Direction::{Entry, Exit};
        let claims = claims();
        claims.ask(0, person("a", 1, Entry));
        let soft = |claim, direction, age_s| {
            let mut asked = person("b", claim, direction);
            asked.person.as_mut().unwrap().enforced = false;
            asked.age = Duration::from_secs(age_s);
            asked
        };
        let before = |direction, of, s| {
            Said::Won(Some(Before {
                direction,
                by: by(of, s),
            }))
        };
        assert_eq!(claims.ask(10, soft(2, Entry, 0)), before(Entry, "a", 0));
        claims.ask(100, person("c", 3, Exit));
        // They came in at b at second 50, and the backend hears of it now.
        assert_eq!(claims.ask(110, soft(4, Entry, 60)), before(Exit, "c", 100));
        assert_eq!(
            claims.ask(120, person("a", 5, Entry)),
            before(Exit, "c", 100)
        );
    }

    #[test]
    fn a_claim_for_code_and_person_is_kept_whole_or_not_at_all() {
        let claims = claims();
        claims.ask(0, person("a", 1, Direction::Entry));
        let both = Asked {
            code: Some((KEY, 60)),
            ..person("b", 2, Direction::Entry)
        };
        assert!(matches!(
            claims.ask(1, both),
            Said::Taken(Conflict::Passback, ..)
        ));
        assert_eq!(claims.ask(2, code("c", 3)), Said::Won(None));
    }

    #[test]
    fn past_its_limit_the_first_to_be_over_goes() {
        let claims = claims();
        for n in 0..20u8 {
            let asked = Asked {
                code: Some(([n; 32], 60 + u32::from(n))),
                ..code("a", n)
            };
            claims.ask(0, asked);
        }
        let transaction = claims.0.begin_write().unwrap();
        expire(&transaction, START * 1_000, 5).unwrap();
        transaction.commit().unwrap();
        assert_eq!(claims.rows(), [5, 5, 0, 5]);
        let longest = Asked {
            code: Some(([19; 32], 60)),
            ..code("b", 99)
        };
        assert!(matches!(claims.ask(1, longest), Said::Taken(..)));
    }
}
