//! What is learned from the backend, and how it stands beside the lists.

use super::*;
use crate::codes::{Pepper, TrustList};
use crate::domain::{
    Colour, Digest, Direction, LaneId, Medium, Mono, Personal, Row, Shown, Subject, Utc,
};
use crate::store::codes::{ListState, MemoryCodes};

const TRUST: &str = r#"
version = 1
issuer = [{ id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] }]
"#;
const KNOWN: Duration = Duration::from_secs(300);
const NOBODY: Duration = Duration::from_secs(30);

fn list() -> ListId {
    ListId::new("health").unwrap()
}

struct Desk {
    assessor: Assessor,
    codes: MemoryCodes,
    learned: Arc<Learned>,
}

impl Desk {
    fn new() -> Self {
        let codes = MemoryCodes::default();
        let learned = Arc::new(Learned::new(KNOWN, NOBODY));
        let pepper = Pepper::from_bytes([7; 32]);
        let trust = TrustList::parse(TRUST).unwrap();
        let assessor = Assessor {
            trust: codes::Reader::new(trust, vec![(list(), pepper)])
                .unwrap()
                .into(),
            cache: Arc::new(codes.clone()),
            lists: vec![(list(), Duration::from_secs(3_600))],
            certificates: Vec::new(),
            learned: Some(Arc::clone(&learned)),
        };
        let desk = Self {
            assessor,
            codes,
            learned,
        };
        desk.list_holds(1, None);
        desk
    }

    /// The list at this version, with this person in it or with nobody.
    fn list_holds(&self, version: u64, who: Option<(RowKey, Colour)>) {
        let mut digest = Digest::default();
        let row = who.map(|(key, colour)| (key, row(colour).encode()));
        row.iter().for_each(|(key, value)| digest.add(key, value));
        let state = ListState {
            era: 1,
            version,
            created: Utc::from_secs(1_770_000_000),
            fresh_until: Utc::from_secs(1_780_000_000),
            pepper_id: 7,
            rows: row.iter().count() as u64,
            digest,
        };
        let mut load = self.codes.begin(&list(), state.rows).unwrap();
        row.iter()
            .for_each(|(key, value)| load.push(*key, value).unwrap());
        load.commit(&state).unwrap();
    }

    /// Somebody shows this code; what is known of them, and what would be asked.
    fn shown(&self, at_s: u64, code: &str) -> (Standing, Option<Asking>) {
        let now = Now {
            mono: Mono::from_millis(at_s * 1_000),
            utc: Some(Utc::from_secs(1_770_000_000 + at_s)),
            ..Now::default()
        };
        let presentation = Presentation {
            lane: LaneId(0),
            direction: Direction::Entry,
            medium: Medium::QrCode,
            shown: Shown::Code(Personal::new(code.into())),
            seen: now.mono,
            read: now.mono,
        };
        let job = Job {
            number: 1,
            now,
            floor: crate::domain::Utc::default(),
            certificates: None,
            presentation,
        };
        let Assessment { assessed, asking } = self.assessor.assess(&job);
        let Finding::Read { standing, .. } = assessed.finding else {
            panic!("a good code is refused")
        };
        (standing, asking)
    }

    /// They are asked about, and the backend answers at this moment.
    fn answered(&self, at_s: u64, code: &str, answer: &Result<Standing, HealthOutcome>) -> RowKey {
        let (_, asking) = self.shown(at_s, code);
        let key = asking.expect("nobody is asked").key.unwrap();
        let now = Mono::from_millis(at_s * 1_000);
        self.learned.keep(now, key, answer);
        key
    }
}

fn row(colour: Colour) -> Row {
    Row {
        subject: Subject([1; 8]),
        valid_from_s: 0,
        valid_until_s: 0,
        colour: Some(colour),
        entitlements: 1,
        region: 0,
    }
}

fn green() -> Standing {
    let mut standing = Standing::unknown();
    standing.join(&row(Colour::Green));
    standing
}

#[test]
fn an_unknown_code_is_asked_about_once_and_its_answer_expires() {
    let desk = Desk::new();
    desk.answered(10, "HC:1", &Ok(green()));
    let (standing, asking) = desk.shown(11, "HC:1");
    assert_eq!((standing, asking.is_none()), (green(), true));
    assert!(desk.shown(309, "HC:1").1.is_none());
    let (standing, asking) = desk.shown(310, "HC:1");
    assert_eq!(standing.health, HealthOutcome::Unknown);
    assert!(asking.is_some(), "it is asked about again");
    assert!(
        desk.shown(12, "HC:2").1.is_some(),
        "somebody else is asked about"
    );
}

#[test]
fn that_nobody_knows_them_is_not_asked_again_for_a_short_while() {
    let desk = Desk::new();
    desk.answered(10, "HC:1", &Err(HealthOutcome::Unknown));
    let (standing, asking) = desk.shown(39, "HC:1");
    assert_eq!(standing.health, HealthOutcome::Unknown);
    assert!(asking.is_none());
    assert!(desk.shown(40, "HC:1").1.is_some());
}

#[test]
fn a_row_of_a_list_always_wins() {
    let desk = Desk::new();
    let key = desk.answered(10, "HC:1", &Ok(green()));
    desk.list_holds(2, Some((key, Colour::Red)));
    let (standing, asking) = desk.shown(11, "HC:1");
    assert_eq!(standing.health, HealthOutcome::Red);
    assert!(asking.is_none());
    desk.answered(11, "HC:2", &Err(HealthOutcome::Unknown));
    assert_eq!(desk.learned.counts(Mono::from_millis(11_000)).known, 0);
}

#[test]
fn without_a_backend_nothing_is_learned() {
    let mut desk = Desk::new();
    desk.assessor.learned = None;
    let (standing, _) = desk.shown(10, "HC:1");
    assert_eq!(standing.health, HealthOutcome::Unknown);
}

/// What one issuer says counts for its own codes: from which age lists are stale, and from which they let nobody in.
#[test]
fn an_issuer_says_from_which_age_a_list_is_stale_and_from_which_it_lets_nobody_in() {
    let mut desk = Desk::new();
    let trust = TRUST.replace(
        "profile",
        "offline = { stale_after_s = 100, hard_stale_s = 200 }, profile",
    );
    let pepper = Pepper::from_bytes([7; 32]);
    let reader = codes::Reader::new(TrustList::parse(&trust).unwrap(), vec![(list(), pepper)]);
    desk.assessor.trust = reader.unwrap().into();
    let key = desk.shown(0, "HC:1").1.unwrap().key.unwrap();
    let at = |at_s, colour| {
        desk.list_holds(2, Some((key, colour)));
        let standing = desk.shown(at_s, "HC:1").0;
        (standing.health, standing.stale)
    };
    assert_eq!(at(100, Colour::Green), (HealthOutcome::Green, false));
    assert_eq!(at(200, Colour::Green), (HealthOutcome::Green, true));
    assert_eq!(at(201, Colour::Green), (HealthOutcome::Unknown, true));
    assert_eq!(at(201, Colour::Red), (HealthOutcome::Red, true));
}

#[test]
fn an_issuer_whose_codes_no_list_holds_is_not_looked_for_in_one() {
    let mut desk = Desk::new();
    let trust = TRUST.replace("profile", "list = [\"other\"], profile");
    let pepper = Pepper::from_bytes([7; 32]);
    let reader = codes::Reader::new(TrustList::parse(&trust).unwrap(), vec![(list(), pepper)]);
    desk.assessor.trust = reader.unwrap().into();
    let (standing, asking) = desk.shown(1_000_000, "HC:1");
    assert!(!standing.stale && standing.lists.is_empty() && asking.is_some());
}

#[test]
fn while_nobody_vouches_for_the_date_the_trust_list_ends_by_the_clock_floor() {
    let desk = Desk::new();
    let end = Utc::from_secs(1_770_000_500);
    let reader = desk.assessor.trust.reader();
    let mut trust = reader.trust().clone();
    (trust.version, trust.not_after) = (2, Some(end));
    desk.assessor.trust.put(trust);
    let expired = |floor: u64, utc: Option<u64>| {
        let job = Job {
            number: 1,
            now: Now {
                utc: utc.map(Utc::from_secs),
                ..Now::default()
            },
            floor: Utc::from_secs(floor),
            certificates: None,
            presentation: Presentation {
                lane: LaneId(0),
                direction: Direction::Entry,
                medium: Medium::QrCode,
                shown: Shown::Code(Personal::new("HC:1".to_owned())),
                seen: Mono::from_millis(0),
                read: Mono::from_millis(0),
            },
        };
        match desk.assessor.assess(&job).assessed.finding {
            Finding::Read { credential, .. } => credential.trust_expired,
            other @ (Finding::Refused { .. } | Finding::ByStaff) => panic!("{other:?}"),
        }
    };
    assert!(!expired(1_770_000_000, None), "it may still be in its time");
    assert!(expired(1_770_000_501, None), "it cannot be any more");
    assert!(!expired(0, Some(1_770_000_500)));
    assert!(expired(0, Some(1_770_000_501)));
}
