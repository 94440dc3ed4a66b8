//! From what was shown to a credential.

use zeroize::Zeroizing;

use super::detect;
use super::id_card::{self, IdCardError};
use super::opaque;
use super::row_key::{KeyKind, Pepper, canonical, row_key};
use super::trust_list::{Issuer, Profile, TrustList};
use crate::domain::{
    Credential, IdCard, IssuerId, ListId, Medium, Personal, Reason, RowKey, Shown,
};

/// Reads credentials by one trust list. Built once; a new trust list makes a new reader.
#[derive(Clone, Debug)]
pub struct Reader {
    trust: TrustList,
    peppers: Vec<(ListId, Pepper)>,
}

/// Why something shown is no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Whose it claimed to be, if that much is clear.
    pub issuer: Option<IssuerId>,
}

/// What the backend is asked about a credential that no list knows. It holds personal data.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// Namespace of the identifier.
    pub kind: KeyKind,
    /// Who made it.
    pub issuer: IssuerId,
    /// The identifier, in canonical form.
    pub identifier: Personal<String>,
}

impl Reader {
    /// A reader for these issuers and the lists with these peppers.
    #[must_use]
    pub const fn new(trust: TrustList, peppers: Vec<(ListId, Pepper)>) -> Self {
        Self { trust, peppers }
    }

    /// Reads what was shown. Bounded: at most four issuers are tried, and no text longer than
    /// [`opaque::CODE_LENGTH_MAX`] is looked at.
    ///
    /// # Errors
    /// [`Refusal`] with the reason for the record and the passenger.
    pub fn read(&self, shown: &Shown) -> Result<Credential, Refusal> {
        match shown {
            Shown::Code(text) => self.code(text.expose()),
            Shown::Card(card) => self.card(card),
        }
    }

    /// What to ask the backend about this credential.
    #[must_use]
    pub fn inquiry(&self, shown: &Shown, credential: &Credential) -> Inquiry {
        let (kind, identifier) = match shown {
            Shown::Code(text) => (KeyKind::Opaque, text.expose()),
            Shown::Card(card) => (KeyKind::IdCard, card.number.expose()),
        };
        let identifier = Personal::new(canonical(kind, identifier).to_string());
        Inquiry {
            kind,
            issuer: credential.issuer.clone(),
            identifier,
        }
    }

    fn code(&self, text: &str) -> Result<Credential, Refusal> {
        if !opaque::is_well_formed(text) {
            return Err(Refusal {
                reason: Reason::Malformed,
                issuer: None,
            });
        }
        // Opaque is the one profile of texts so far, and it takes whatever its issuer's rules detect.
        let Some(issuer) = detect::candidates(&self.trust, text).first().copied() else {
            return Err(Refusal {
                reason: Reason::UnknownIssuer,
                issuer: None,
            });
        };
        let canonical = canonical(KeyKind::Opaque, text);
        let window_s = issuer.window_s.filter(|_| issuer.dynamic);
        Ok(Credential {
            issuer: issuer.id.clone(),
            medium: Medium::QrCode,
            keys: self.keys(issuer, KeyKind::Opaque, &canonical),
            replay: window_s.map(|window_s| opaque::replay(&issuer.id, &canonical, window_s)),
            valid_from: None,
            valid_until: None,
        })
    }

    fn card(&self, card: &IdCard) -> Result<Credential, Refusal> {
        let Some(issuer) = self
            .trust
            .issuers
            .iter()
            .find(|issuer| issuer.profile == Profile::Idcard)
        else {
            return Err(Refusal {
                reason: Reason::UnknownIssuer,
                issuer: None,
            });
        };
        let refused = |_: IdCardError| Refusal {
            reason: Reason::VerificationFailed,
            issuer: Some(issuer.id.clone()),
        };
        let number = canonical(KeyKind::IdCard, card.number.expose());
        id_card::check(card.kind, &number).map_err(refused)?;
        let (valid_from, valid_until) = id_card::validity(card).map_err(refused)?;
        let keys = self.keys(issuer, KeyKind::IdCard, &number);
        let (medium, issuer) = (Medium::IdCard, issuer.id.clone());
        Ok(Credential {
            issuer,
            medium,
            keys,
            replay: None,
            valid_from,
            valid_until,
        })
    }

    fn keys(
        &self,
        issuer: &Issuer,
        kind: KeyKind,
        identifier: &Zeroizing<String>,
    ) -> Vec<(ListId, RowKey)> {
        let holds = |list: &ListId| {
            issuer
                .lists
                .as_ref()
                .is_none_or(|lists| lists.contains(list))
        };
        let key = |(list, pepper): &(ListId, Pepper)| {
            (list.clone(), row_key(pepper, kind, &issuer.id, identifier))
        };
        self.peppers
            .iter()
            .filter(|(list, _)| holds(list))
            .map(key)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::IdCardKind;

    fn reader() -> Reader {
        let trust = TrustList::parse(
            r#"
            version = 1
            [[issuer]]
            id = "health"
            profile = "opaque"
            detect = [{ prefix = "HC:" }]
            [[issuer]]
            id = "ride"
            profile = "opaque"
            detect = [{ prefix = "RC:" }]
            dynamic = true
            window_s = 60
            lists = ["rides"]
            [[issuer]]
            id = "id-card"
            profile = "idcard"
            "#,
        )
        .unwrap();
        let list = |name: &str, n| (ListId::new(name).unwrap(), Pepper::from_bytes([n; 32]));
        Reader::new(trust, vec![list("health", 1), list("rides", 2)])
    }

    fn code(text: &str) -> Result<Credential, Refusal> {
        reader().read(&Shown::Code(Personal::new(text.into())))
    }

    fn card(number: &str, valid_from: &str) -> Result<Credential, Refusal> {
        reader().read(&Shown::Card(IdCard {
            number: Personal::new(number.into()),
            kind: IdCardKind::Resident,
            valid_from: valid_from.into(),
            valid_until: None,
        }))
    }

    #[test]
    fn a_code_gets_a_key_in_every_list_of_its_issuer() {
        let health = code("HC:1").unwrap();
        assert_eq!(health.keys.len(), 2);
        assert_ne!(health.keys[0].1, health.keys[1].1, "peppers are per list");
        assert!(health.replay.is_none());
        let ride = code("RC:1").unwrap();
        assert_eq!(ride.keys.len(), 1);
        assert_eq!(ride.replay.unwrap().window_s, 60);
    }

    #[test]
    fn white_space_around_a_code_does_not_make_it_another() {
        assert_eq!(
            code(" RC:1"),
            Err(Refusal {
                reason: Reason::UnknownIssuer,
                issuer: None
            })
        );
        assert_eq!(code("RC:1 ").unwrap(), code("RC:1").unwrap());
    }

    #[test]
    fn strangers_and_nonsense_are_told_apart() {
        assert_eq!(code("poster").unwrap_err().reason, Reason::UnknownIssuer);
        assert_eq!(code("HC:\u{7}").unwrap_err().reason, Reason::Malformed);
        assert_eq!(
            code(&format!("HC:{}", "x".repeat(1_500)))
                .unwrap_err()
                .reason,
            Reason::Malformed
        );
    }

    #[test]
    fn a_card_is_checked_before_anybody_looks_it_up() {
        let good = card("11010519491231002x", "20200101").unwrap();
        assert_eq!(good.medium, Medium::IdCard);
        assert!(good.valid_from.is_some());
        for bad in [
            card("110105194912310021", "20200101"),
            card("11010519491231002X", "2020xx01"),
        ] {
            assert_eq!(bad.unwrap_err().reason, Reason::VerificationFailed);
        }
    }

    #[test]
    fn an_inquiry_does_not_print_what_it_asks_about() {
        let shown = Shown::Code(Personal::new("HC:secret".into()));
        let credential = reader().read(&shown).unwrap();
        let inquiry = reader().inquiry(&shown, &credential);
        assert!(!format!("{inquiry:?} {credential:?} {shown:?}").contains("secret"));
    }
}
