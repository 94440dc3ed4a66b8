//! Every list is asked, and a list that changes its pepper knows the same people.

use super::*;
use crate::codes::{Pepper, Reader, TrustList, row_key};
use crate::domain::{
    Colour, Digest, Direction, IssuerId, LaneId, Medium, Mono, Personal, Row, Shown, Subject, Utc,
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
        trust: Reader::new(TrustList::parse(TRUST).unwrap(), peppers)
            .unwrap()
            .into(),
        cache: Arc::new(codes.clone()),
        lists,
        certificates: Vec::new(),
        learned: None,
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
            floor: crate::domain::Utc::default(),
            certificates: None,
            presentation,
        })
        .assessed
        .finding
    {
        Finding::Read { standing, .. } => standing,
        Finding::Refused { reason, .. } => panic!("{reason:?}"),
        Finding::ByStaff => panic!("nobody of the staff is here"),
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
