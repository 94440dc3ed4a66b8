//! From what was shown to a credential, or to the reason why there is none.

use super::detect::{self, CODE_CHARS_MAX};
use super::id_card;
use super::opaque;
use super::profile;
use super::row_key::{self, Pepper};
use super::signed::{CodeFault, Health, SignedCode};
use super::trust_list::{Class, Issuer, Offline, Profile, TrustList};
use crate::domain::{
    Assurance, Credential, IdCard, IssuerId, ListId, Medium, Personal, Reason, RowKey, Rule, Shown,
    Subject, Tag,
};

/// Trust list and peppers, built once; a new trust list makes a new reader.
#[derive(Debug)]
pub struct Reader {
    trust: TrustList,
    peppers: Vec<(ListId, Pepper)>,
}

/// Why a reader cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// More than the current and the next.
    #[error("list \"{0}\" has more than two peppers: the current one and the next")]
    Peppers(ListId),
    /// The current and the next are the same, so nothing would change over.
    #[error("list \"{0}\" has the same pepper twice")]
    SamePepper(ListId),
}

/// Something was shown, and it is no credential here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused: {}", reason.as_str())]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Whose it claimed to be, if that much is clear.
    pub issuer: Option<IssuerId>,
    /// What exactly is wrong with a signed code.
    pub fault: Option<CodeFault>,
}

/// What was shown, read: its issuer vouches for it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// For the decision.
    pub credential: Credential,
    /// What it says by itself, signed.
    pub said: Said,
    /// What its issuer wants while lists are old.
    pub offline: Offline,
    /// Lists that hold what its issuer says of it; without a name: every list.
    pub lists: Option<Vec<ListId>>,
    /// What the backend is asked if no list knows it. `None`: its issuer does not allow to ask, so the lists have the last
    /// word.
    pub question: Option<Question>,
}

/// What a signed code says by itself; nothing for all others.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Of its holder's health.
    pub health: Option<Health>,
    /// Where its issuer belongs: rules for certificates differ by it.
    pub region: Option<String>,
    /// Bit set of what its holder may use; bit 0 is the ride.
    pub entitlements: u16,
    /// Keys under which a list would say that it was revoked.
    pub revoked: Vec<(ListId, RowKey)>,
}

/// What the backend is asked about a credential that no list knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Format of the code or card.
    pub profile: Profile,
    /// Who made it.
    pub issuer: IssuerId,
    /// The code or number, canonical: the same text that goes into the row key.
    pub identifier: Personal<String>,
}

impl Reader {
    /// A reader for the issuers of `trust` and the lists of `peppers`. A list that changes its pepper stands there twice,
    /// first with the current and then with the next one: a credential has a row key by each, in this order.
    ///
    /// # Errors
    /// [`SetupError`] if a list has more peppers, or the same twice.
    pub fn new(trust: TrustList, peppers: Vec<(ListId, Pepper)>) -> Result<Self, SetupError> {
        for (list, pepper) in &peppers {
            let of_list = peppers.iter().filter(|(other, _)| other == list);
            if of_list.clone().count() > 2 {
                return Err(SetupError::Peppers(list.clone()));
            }
            if of_list.filter(|(_, other)| other == pepper).count() > 1 {
                return Err(SetupError::SamePepper(list.clone()));
            }
        }
        Ok(Self { trust, peppers })
    }

    /// The same peppers with another trust list.
    #[must_use]
    pub fn with_trust(&self, trust: TrustList) -> Self {
        let peppers = self.peppers.clone();
        Self { trust, peppers }
    }

    /// The trust list it works by.
    #[must_use]
    pub const fn trust(&self) -> &TrustList {
        &self.trust
    }

    /// Row keys of a person in every list: what lists say of them that know them by another credential.
    #[must_use]
    pub fn subject_keys(&self, subject: Subject) -> Vec<(ListId, RowKey)> {
        let keys = self.peppers.iter().filter_map(|(list, pepper)| {
            let key = row_key::subject_key(pepper, subject).ok()?;
            Some((list.clone(), key))
        });
        keys.collect()
    }

    /// Reads what was shown.
    ///
    /// # Errors
    /// [`Refusal`] with the reason, if no issuer of the trust list vouches for it.
    pub fn read(&self, shown: &Shown) -> Result<Reading, Refusal> {
        match shown {
            Shown::Code(code) => self.read_code(code.expose()),
            Shown::Card(card) => self.read_card(card),
            Shown::Tag(tag) => self.read_tag(tag),
            Shown::TooLong => Err(malformed()),
        }
    }

    fn read_code(&self, code: &str) -> Result<Reading, Refusal> {
        // A character has at most four bytes: a huge text is refused before it is counted.
        if code.len() > CODE_CHARS_MAX * 4 || code.chars().count() > CODE_CHARS_MAX {
            return Err(malformed());
        }
        let text = code.trim_ascii();
        // A code of bytes comes as ISO 8859-1: nothing of it may be trimmed, and only a profile of bytes takes it.
        let is_text = !text.is_empty() && !text.contains(char::is_control);
        let code = if is_text { text } else { code };
        let mut furthest: Option<(&Issuer, CodeFault)> = None;
        for issuer in detect::of_code(&self.trust, code) {
            if !issuer.profile.is_signed() {
                if is_text {
                    return self.read_opaque(issuer, code);
                }
                continue;
            }
            match profile::read(issuer.profile, code, &issuer.terms()) {
                Ok(signed) => return self.read_signed(issuer, signed),
                // The order of faults is that of the checks: who came furthest knows best what is wrong.
                Err(fault) if furthest.is_none_or(|(_, known)| step(known) < step(fault)) => {
                    furthest = Some((issuer, fault));
                }
                Err(_) => {}
            }
        }
        Err(match furthest {
            Some((issuer, fault)) => Refusal {
                reason: reason_of(fault),
                issuer: Some(issuer.id.clone()),
                fault: Some(fault),
            },
            None if is_text => unknown_issuer(),
            None => malformed(),
        })
    }

    fn read_opaque(&self, issuer: &Issuer, code: &str) -> Result<Reading, Refusal> {
        let identifier = row_key::canonical(issuer.profile.row_kind(), code);
        let replay = opaque::replay(issuer, identifier.expose());
        let mut reading = self.reading(issuer, Medium::QrCode, identifier)?;
        // A dynamic code has its own means against copies.
        if !issuer.dynamic {
            reading.credential.alone = issuer.static_alone;
        }
        reading.credential.replay = replay;
        Ok(reading)
    }

    fn read_signed(&self, issuer: &Issuer, signed: SignedCode) -> Result<Reading, Refusal> {
        let mut reading = self.reading(issuer, Medium::QrCode, signed.identifier)?;
        let credential = &mut reading.credential;
        credential.assurance = Assurance::Signed;
        credential.valid_from = signed.valid_from;
        credential.valid_until = signed.valid_until;
        credential.replay = signed
            .replay
            .map(|hash| profile::replay(issuer, &hash, signed.window_s));
        if credential.replay.is_none() {
            credential.alone = issuer.static_alone;
        }
        // Whoever makes ride codes has no word in matters of health, and the other way round.
        let class = issuer.class.unwrap_or(Class::Combined);
        let entitlements = signed.entitlements.filter(|_| class.speaks_of_rides());
        reading.said = Said {
            health: signed.health.filter(|_| class.speaks_of_health()),
            region: issuer.region.clone(),
            entitlements: entitlements.unwrap_or_default(),
            revoked: self.revoked(issuer, signed.revocation)?,
        };
        Ok(reading)
    }

    fn read_card(&self, card: &IdCard) -> Result<Reading, Refusal> {
        let issuer = detect::of_card(&self.trust, card.kind).ok_or_else(unknown_issuer)?;
        let number = row_key::canonical(row_key::ID_CARD, card.number.expose());
        id_card::check_number(number.expose(), card.kind).map_err(|_| failed(issuer))?;
        let validity = id_card::validity(card).map_err(|_| failed(issuer))?;
        let mut reading = self.reading(issuer, Medium::IdCard, number)?;
        reading.credential.assurance = Assurance::Authenticated;
        reading.credential.valid_from = Some(validity.from);
        reading.credential.valid_until = validity.until;
        Ok(reading)
    }

    fn read_tag(&self, tag: &Tag) -> Result<Reading, Refusal> {
        let issuer = detect::of_tag(&self.trust).ok_or_else(unknown_issuer)?;
        // Another number each time: it names nobody.
        if tag.is_random() {
            return Err(Refusal {
                issuer: Some(issuer.id.clone()),
                ..refusal(Reason::RandomIdentifier)
            });
        }
        let mut reading = self.reading(issuer, Medium::Tag, tag.identifier())?;
        reading.credential.assurance = tag.assurance;
        // A card that has proved itself is no copy.
        if tag.assurance < Assurance::Authenticated {
            reading.credential.alone = issuer.static_alone;
        }
        Ok(reading)
    }

    /// What is the same for everything of one issuer.
    fn reading(
        &self,
        issuer: &Issuer,
        medium: Medium,
        identifier: Personal<String>,
    ) -> Result<Reading, Refusal> {
        Ok(Reading {
            credential: Credential {
                issuer: issuer.id.clone(),
                medium,
                assurance: Assurance::Identifier,
                keys: self.keys(issuer, issuer.profile.row_kind(), &identifier)?,
                replay: None,
                valid_from: None,
                valid_until: None,
                alone: Rule::Open,
                unknown: issuer.offline.unknown.map(Rule::from),
                trust_expired: false,
            },
            said: Said::default(),
            offline: issuer.offline,
            lists: issuer.list.clone(),
            question: issuer.may_be_asked_about().then(|| Question {
                profile: issuer.profile,
                issuer: issuer.id.clone(),
                identifier,
            }),
        })
    }

    /// Row keys under which lists would say that a code was revoked.
    fn revoked(
        &self,
        issuer: &Issuer,
        names: Vec<String>,
    ) -> Result<Vec<(ListId, RowKey)>, Refusal> {
        let mut keys = Vec::new();
        for name in names {
            keys.extend(self.keys(issuer, row_key::REVOKED, &Personal::new(name))?);
        }
        Ok(keys)
    }

    /// Row keys in every list that holds the issuer. Where none does, those of all lists: passback needs a name for it.
    fn keys(
        &self,
        issuer: &Issuer,
        kind: &str,
        identifier: &Personal<String>,
    ) -> Result<Vec<(ListId, RowKey)>, Refusal> {
        let unlisted = issuer.list.as_ref().is_some_and(Vec::is_empty);
        self.peppers
            .iter()
            .filter(|(list, _)| unlisted || issuer.is_held_by(list))
            .map(|(list, pepper)| {
                let key = row_key::row_key(pepper, kind, &issuer.id, identifier.expose());
                key.map(|key| (list.clone(), key)).map_err(|_| Refusal {
                    issuer: Some(issuer.id.clone()),
                    ..malformed()
                })
            })
            .collect()
    }
}

impl Reading {
    /// True if the list may say something of it.
    #[must_use]
    pub fn is_held_by(&self, list: &ListId) -> bool {
        self.lists.as_ref().is_none_or(|lists| lists.contains(list))
    }
}

/// How far the checks came.
const fn step(fault: CodeFault) -> u8 {
    match fault {
        CodeFault::Form(_) => 0,
        CodeFault::UnknownKey => 1,
        CodeFault::KeyUsage | CodeFault::KeyRevoked => 2,
        CodeFault::Signature(_) => 3,
        CodeFault::Terms(_) => 4,
    }
}

const fn reason_of(fault: CodeFault) -> Reason {
    match fault {
        CodeFault::Form(_) => Reason::Malformed,
        CodeFault::UnknownKey => Reason::UnknownKey,
        CodeFault::KeyRevoked => Reason::KeyRevoked,
        CodeFault::Signature(_) => Reason::WrongSignature,
        CodeFault::KeyUsage | CodeFault::Terms(_) => Reason::VerificationFailed,
    }
}

const fn malformed() -> Refusal {
    refusal(Reason::Malformed)
}

const fn unknown_issuer() -> Refusal {
    refusal(Reason::UnknownIssuer)
}

const fn refusal(reason: Reason) -> Refusal {
    Refusal {
        reason,
        issuer: None,
        fault: None,
    }
}

fn failed(issuer: &Issuer) -> Refusal {
    Refusal {
        issuer: Some(issuer.id.clone()),
        ..refusal(Reason::VerificationFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{IdCardKind, Utc};

    const TRUST: &str = r#"version = 1
[[issuer]]
id = "dynamic"
profile = "opaque"
detect = [{ prefix = "D:" }]
dynamic = true
window_s = 90
[[issuer]]
id = "static"
profile = "opaque"
detect = [{ prefix = "S:" }]
list = ["health"]
static_alone = "assist"
[[issuer]]
id = "card"
profile = "idcard"
"#;

    fn reader_of(trust: &str) -> Reader {
        let pepper = |n: u8, list| (ListId::new(list).unwrap(), Pepper::from_bytes([n; 32]));
        let peppers = vec![pepper(1, "health"), pepper(2, "ride")];
        Reader::new(TrustList::parse(trust).unwrap(), peppers).unwrap()
    }

    fn reader() -> Reader {
        reader_of(TRUST)
    }

    fn code(text: &str) -> Shown {
        Shown::Code(Personal::new(text.to_owned()))
    }

    fn card(number: &str) -> Shown {
        Shown::Card(IdCard {
            number: Personal::new(number.to_owned()),
            kind: IdCardKind::Resident,
            valid_from: "20200101".into(),
            valid_until: None,
        })
    }

    fn refused(shown: &Shown) -> (Reason, Option<String>) {
        let refusal = reader().read(shown).unwrap_err();
        (refusal.reason, refusal.issuer.map(String::from))
    }

    #[test]
    fn a_code_has_a_row_key_in_every_list_that_holds_its_issuer() {
        let lists = |text| {
            let credential = reader().read(&code(text)).unwrap().credential;
            credential
                .keys
                .into_iter()
                .map(|(list, _)| list.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(lists("D:1"), ["health", "ride"]);
        assert_eq!(lists("S:1"), ["health"]);
    }

    #[test]
    fn the_row_key_is_the_one_of_the_import() {
        let credential = reader().read(&code("S:1\r\n")).unwrap().credential;
        let pepper = Pepper::from_bytes([1; 32]);
        let issuer = IssuerId::new("static").unwrap();
        let imported = row_key::row_key(&pepper, row_key::OPAQUE, &issuer, "S:1").unwrap();
        assert_eq!(credential.keys[0].1, imported);
    }

    #[test]
    fn the_same_dynamic_code_has_the_same_replay_key() {
        let replay = |text| reader().read(&code(text)).unwrap().credential.replay;
        let first = replay("D:1").unwrap();
        assert_eq!((Some(first), first.window_s), (replay(" D:1"), 90));
        assert_ne!(first.key, replay("D:2").unwrap().key);
        assert_eq!(replay("S:1"), None);
        // SHA-256 of "dynamic", 0x1F, "D:1", by coreutils.
        let hex: String = first.key.0.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "cfd6ca529e1d223384f2bdc19827e5aa3bcfaf8ca3991ad4cc5a1245d339e50d"
        );
    }

    #[test]
    fn a_card_is_read_with_its_validity() {
        let read = |number| reader().read(&card(number)).unwrap().credential;
        let credential = read("11010519491231002x");
        assert_eq!(credential.medium, Medium::IdCard);
        assert_eq!(credential.valid_from, Some(Utc::from_secs(1_577_808_000)));
        assert_eq!((credential.valid_until, credential.replay), (None, None));
        assert_eq!(credential.keys, read("11010519491231002X ").keys);
    }

    #[test]
    fn a_card_that_does_not_hold_fails_verification() {
        let failed = (Reason::VerificationFailed, Some("card".to_owned()));
        assert_eq!(refused(&card("110105194912310021")), failed);
        assert_eq!(refused(&card("")), failed);
        let Shown::Card(mut bad) = card("11010519491231002X") else {
            unreachable!()
        };
        bad.valid_from = "20201301".into();
        assert_eq!(
            reader().read(&Shown::Card(bad)).unwrap_err().reason,
            Reason::VerificationFailed
        );
    }

    #[test]
    fn what_nobody_vouches_for_has_an_unknown_issuer() {
        assert_eq!(refused(&code("X:1")), (Reason::UnknownIssuer, None));
        let only_codes = TRUST.split("[[issuer]]\nid = \"card\"").next().unwrap();
        let refusal = reader_of(only_codes)
            .read(&card("11010519491231002X"))
            .unwrap_err();
        assert_eq!(refusal.reason, Reason::UnknownIssuer);
    }

    #[test]
    fn long_and_strange_texts_are_malformed() {
        let at_limit = format!("S:{}", "码".repeat(CODE_CHARS_MAX - 2));
        assert!(reader().read(&code(&at_limit)).is_ok());
        let malformed = (Reason::Malformed, None);
        assert_eq!(refused(&code(&format!("{at_limit}码"))), malformed);
        assert_eq!(refused(&code(&"x".repeat(10_000_000))), malformed);
        for strange in ["", " \r\n", "S:\0", "S:a\nb", "S:\u{1f}1", "S:\u{85}"] {
            assert_eq!(refused(&code(strange)), malformed, "{strange:?}");
        }
    }

    #[test]
    fn the_backend_is_asked_about_codes_and_about_cards_only_if_allowed() {
        let asked = |reader: Reader, shown| reader.read(&shown).unwrap().question;
        let question = asked(reader(), code("S:1 ")).unwrap();
        assert_eq!(
            (question.profile, question.issuer.as_str()),
            (Profile::Opaque, "static")
        );
        assert_eq!(question.identifier.expose(), "S:1");
        assert_eq!(asked(reader(), card("11010519491231002X")), None);
        let allowed = reader_of(&format!("{TRUST}card_query = true\n"));
        let question = asked(allowed, card("11010519491231002x")).unwrap();
        assert_eq!(question.identifier.expose(), "11010519491231002X");
    }

    #[test]
    fn static_codes_alone_follow_their_issuer() {
        let rule = |shown: &Shown| reader().read(shown).unwrap().credential.alone;
        assert_eq!(rule(&code("S:1")), Rule::Assist);
        assert_eq!(rule(&code("D:1")), Rule::Open);
        assert_eq!(rule(&card("11010519491231002X")), Rule::Open);
    }

    #[test]
    fn nothing_that_was_shown_is_printed() {
        let shown = card("11010519491231002X");
        let reader = reader();
        let all = format!(
            "{reader:?}{:?}{:?}{:?}",
            shown,
            reader.read(&shown),
            reader.read(&code("SECRET"))
        );
        assert!(!all.contains("110105") && !all.contains("SECRET"), "{all}");
    }

    #[test]
    fn a_list_that_changes_its_pepper_has_two_keys_the_current_one_first() {
        let list = ListId::new("health").unwrap();
        let reader = |peppers: &[u8]| {
            let pepper = |n: &u8| (list.clone(), Pepper::from_bytes([*n; 32]));
            Reader::new(
                TrustList::parse(TRUST).unwrap(),
                peppers.iter().map(pepper).collect(),
            )
        };
        let keys = |peppers| {
            let reading = reader(peppers).unwrap().read(&code("S:1")).unwrap();
            reading.credential.keys
        };
        assert_eq!(keys(&[1, 9]), [keys(&[1]), keys(&[9])].concat());
        let same = SetupError::SamePepper(list.clone());
        assert_eq!(reader(&[1, 1]).unwrap_err(), same);
        assert_eq!(
            reader(&[1, 2, 3]).unwrap_err(),
            SetupError::Peppers(list.clone())
        );
    }

    proptest::proptest! {
        #[test]
        fn no_code_panics(text in "[SD]?:?.{0,80}") {
            let _ = reader().read(&code(&text));
        }
    }

    fn tag_of(id: &[u8], assurance: Assurance) -> Shown {
        let mut tag = Tag::of_bytes(crate::domain::TagKind::Iso14443a, id).unwrap();
        tag.assurance = assurance;
        Shown::Tag(tag)
    }

    #[test]
    fn a_tag_goes_to_the_issuer_of_tags_and_a_code_that_says_the_same_does_not() {
        let trust = "version = 1\n[[issuer]]\nid = \"staff\"\nprofile = \"tag\"\nstatic_alone = \"assist\"\n";
        let reader = reader_of(trust);
        let uid = [4, 1, 2, 3];
        let credential = reader
            .read(&tag_of(&uid, Assurance::Identifier))
            .unwrap()
            .credential;
        assert_eq!(
            (credential.medium, credential.alone),
            (Medium::Tag, Rule::Assist)
        );
        assert_eq!(credential.assurance, Assurance::Identifier);
        let proved = reader
            .read(&tag_of(&uid, Assurance::Authenticated))
            .unwrap()
            .credential;
        assert_eq!(
            (proved.alone, proved.assurance),
            (Rule::Open, Assurance::Authenticated)
        );
        assert_eq!(proved.keys, credential.keys);
        let copied = reader.read(&code("iso14443a:04010203")).unwrap_err();
        assert_eq!(copied.reason, Reason::UnknownIssuer);
    }

    #[test]
    fn a_random_uid_is_never_anybody() {
        let reader = reader_of("version = 1\n[[issuer]]\nid = \"staff\"\nprofile = \"tag\"\n");
        let refusal = reader
            .read(&tag_of(&[8, 1, 2, 3], Assurance::Identifier))
            .unwrap_err();
        assert_eq!(refusal.reason, Reason::RandomIdentifier);
    }

    #[test]
    fn a_card_that_a_module_read_is_authenticated_and_an_opaque_code_is_not() {
        let assurance = |shown| reader().read(&shown).unwrap().credential.assurance;
        assert_eq!(
            assurance(card("11010519491231002X")),
            Assurance::Authenticated
        );
        assert_eq!(assurance(code("S:1")), Assurance::Identifier);
    }
}
