//! A health certificate gets its colour by the rules of the site, and none if its issuer has revoked it.

#![cfg(feature = "lab")]

use super::*;
use crate::codes::row_key::{REVOKED, row_key};
use crate::codes::{Pepper, Reader, TrustList};
use crate::domain::certificate::DoseRule;
use crate::domain::{
    Digest, Direction, IssuerId, LaneId, Medium, Mono, Personal, Shown, Subject, Utc,
};
use crate::lab::mint::{Seed, hcert, shc};
use crate::store::codes::{ListState, MemoryCodes};

const NOW: Utc = Utc::from_secs(1_795_524_800);

fn list() -> ListId {
    ListId::new("revoked").unwrap()
}

fn pepper() -> Pepper {
    Pepper::from_bytes([7; 32])
}

fn rules(from_days: u16) -> Vec<CertificateRules> {
    let dose = DoseRule {
        product: None,
        series: 2,
        from_days,
        until_days: Some(270),
        booster_until_days: None,
    };
    vec![CertificateRules {
        region: Some(vec!["XX".into()]),
        disease: vec![certificate::COVID_19.into()],
        dose: Some(dose),
        test: None,
        recovery: None,
        met: Colour::Green,
        not_yet: Colour::Yellow,
        not_met: Colour::Red,
        positive: Colour::Red,
    }]
}

/// What a gate with these rules and this one row in its list finds.
fn finding(
    trust: &str,
    code: &str,
    from_days: u16,
    row_of: Option<RowKey>,
    utc: Option<Utc>,
) -> Finding {
    let codes = MemoryCodes::default();
    let row = row_of.map(|key| {
        let row = Row {
            subject: Subject([0; 8]),
            colour: Some(Colour::Red),
            valid_from_s: 0,
            valid_until_s: 0,
            entitlements: 0,
            region: 0,
        };
        (key, row.encode())
    });
    let mut digest = Digest::default();
    row.iter().for_each(|(key, value)| digest.add(key, value));
    let state = ListState {
        era: 1,
        version: 1,
        created: NOW,
        fresh_until: NOW + Duration::from_secs(3_600),
        pepper_id: pepper().id(),
        rows: row.iter().count() as u64,
        digest,
    };
    let mut load = codes.begin(&list(), state.rows).unwrap();
    row.iter()
        .for_each(|(key, value)| load.push(*key, value).unwrap());
    load.commit(&state).unwrap();
    let trust = TrustList::parse(&format!("version = 1\n{trust}")).unwrap();
    let assessor = Assessor {
        trust: Reader::new(trust, vec![(list(), pepper())]).unwrap().into(),
        cache: Arc::new(codes),
        lists: vec![(list(), Duration::from_secs(3_600))],
        certificates: rules(from_days),
        learned: None,
    };
    let now = Now {
        utc,
        ..Now::default()
    };
    let presentation = Presentation {
        lane: LaneId(0),
        direction: Direction::Entry,
        medium: Medium::QrCode,
        shown: Shown::Code(Personal::new(code.into())),
        seen: Mono::default(),
        read: Mono::default(),
    };
    let job = Job {
        number: 1,
        now,
        floor: crate::domain::Utc::default(),
        certificates: None,
        presentation,
    };
    assessor.assess(&job).assessed.finding
}

fn colour(trust: &str, code: &str, from_days: u16, utc: Option<Utc>) -> HealthOutcome {
    match finding(trust, code, from_days, Some(imported("uci:0")), utc) {
        Finding::Read { standing, .. } => standing.health,
        Finding::Refused { reason, .. } => panic!("{}", reason.as_str()),
        Finding::ByStaff => panic!("nobody showed anything"),
    }
}

/// Certificate and card of two doses, the last one 30 days ago.
fn codes_with_trust() -> [(String, String); 2] {
    let seed = Seed(1);
    let (certificates, cards) = (
        hcert::Issuer::new(seed).unwrap(),
        shc::Issuer::new(seed).unwrap(),
    );
    let certificate = hcert::Certificate::at(seed, NOW).unwrap();
    let card = shc::Card::at(seed, NOW).unwrap();
    [
        (
            certificates.trust("lab"),
            certificates.code(&certificate).unwrap(),
        ),
        (cards.trust("lab"), cards.code(&card).unwrap()),
    ]
}

#[test]
fn the_sites_rules_give_a_certificate_its_colour() {
    for (trust, code) in codes_with_trust() {
        assert_eq!(colour(&trust, &code, 14, Some(NOW)), HealthOutcome::Green);
        assert_eq!(colour(&trust, &code, 31, Some(NOW)), HealthOutcome::Yellow);
        let later = NOW + Duration::from_secs(300 * 86_400);
        assert_eq!(colour(&trust, &code, 14, Some(later)), HealthOutcome::Red);
        // Nobody knows the date, or no rule is for this country.
        assert_eq!(colour(&trust, &code, 14, None), HealthOutcome::Unknown);
        let elsewhere = trust.replace("region = \"XX\"", "region = \"YY\"");
        // The certificate was made for XX, and its issuer stands elsewhere: that counts.
        assert_eq!(
            colour(&elsewhere, &code, 14, Some(NOW)),
            HealthOutcome::Unknown
        );
    }
}

#[test]
fn a_code_that_its_issuer_has_revoked_is_refused_under_each_of_its_names() {
    let mut names = 0;
    for (trust, code) in codes_with_trust() {
        let list = TrustList::parse(&format!("version = 1\n{trust}")).unwrap();
        let reader = Reader::new(list, vec![(self::list(), pepper())]).unwrap();
        let shown = Shown::Code(Personal::new(code.clone()));
        for (_, key) in reader.read(&shown).unwrap().said.revoked {
            names += 1;
            assert!(is_revoked(&finding(
                &trust,
                &code,
                14,
                Some(key),
                Some(NOW)
            )));
        }
        let none = finding(&trust, &code, 14, None, Some(NOW));
        assert!(matches!(none, Finding::Read { .. }));
    }
    // Hash of identifier, of signature, of country and identifier; key and id of the card.
    assert_eq!(names, 4);
}

fn is_revoked(finding: &Finding) -> bool {
    matches!(
        finding,
        Finding::Refused {
            reason: Reason::Revoked,
            ..
        }
    )
}

/// The row key that an import makes of a name.
fn imported(name: &str) -> RowKey {
    let issuer = IssuerId::new("lab").unwrap();
    row_key(&pepper(), REVOKED, &issuer, name).unwrap()
}

#[test]
fn a_row_that_was_imported_under_the_hash_of_the_identifier_revokes_it() {
    let [(trust, code), (of_cards, card)] = codes_with_trust();
    let id = hcert::Certificate::at(Seed(1), NOW).unwrap().id;
    let hash: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        id,
    ))
    .into();
    let hex: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let key = imported(&format!("uci:{hex}"));
    assert!(is_revoked(&finding(
        &trust,
        &code,
        14,
        Some(key),
        Some(NOW)
    )));
    let cards = shc::Issuer::new(Seed(1)).unwrap();
    let id = shc::Card::at(Seed(1), NOW).unwrap().revocation_id.unwrap();
    let key = imported(&format!("shc:{}:{id}", cards.key_id));
    assert!(is_revoked(&finding(
        &of_cards,
        &card,
        14,
        Some(key),
        Some(NOW)
    )));
}
