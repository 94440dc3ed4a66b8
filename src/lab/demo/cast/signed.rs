//! People whose codes are signed: by an issuer of each profile, all of a lab.

use super::people::{Casting, person};
use super::{Act, Carries, Known, Person};
use crate::domain::{Colour, Direction, IdCardKind, Reason, Utc, Verdict};
use crate::lab::demo::DemoError;
use crate::lab::mint::{Seed, hcert, id_card, ride_cwt, ride_v81, shc};

/// Whose keys the gate of the demo has.
const LAB: Seed = Seed(1);
/// Somebody who has no place in the trust list.
const STRANGER: Seed = Seed(2);
/// How long a code is good: a demo takes a while.
const VALIDITY_S: u16 = 1_200;

/// Their `[[issuer]]` in the trust list of the gate.
///
/// # Errors
/// [`DemoError::Mint`].
pub fn issuers() -> Result<String, DemoError> {
    let ride = ride_v81::Chain::new(LAB, ride_v81::SM2_ID)?.trust("ride-national");
    // Its codes say nothing of health, and no list of the demo knows them.
    let ride = ride.replacen(
        "\n\n",
        "\noffline = { unknown = \"allow\" }\nlist = []\n\n",
        1,
    );
    let texts = [
        hcert::Issuer::new(LAB)?.trust("certificate"),
        shc::Issuer::new(LAB)?.trust("health-card"),
        ride,
        ride_cwt::Chain::new(LAB)?.trust("ride-open"),
    ];
    Ok(texts.join("\n"))
}

impl Casting {
    /// Everybody with a signed code, and whoever has one that does not hold; and a card of each of the other kinds.
    pub(super) fn signed(&mut self) -> Result<Vec<Person>, DemoError> {
        use {Reason as R, Verdict as V};
        let now = self.now;
        let ago = |seconds: u64| Utc::from_secs(now.as_secs().saturating_sub(seconds));
        let certificate = hcert::Certificate {
            id: format!("URN:UVCI:01:XX:{:016X}", self.random.next_u64()),
            ..hcert::Certificate::at(LAB, now)?
        };
        let expired = hcert::Certificate {
            expires: ago(3_600),
            ..certificate.clone()
        };
        let of_lab = hcert::Issuer::new(LAB)?;
        let rides = ride_cwt::Chain::new(LAB)?;
        let mut forger = ride_cwt::Chain::new(STRANGER)?;
        let unknown = self.open_ride(&forger, now)?;
        forger.key_id.clone_from(&rides.key_id);
        let forged = self.open_ride(&forger, now)?;
        let (ride, late, early) = (
            self.open_ride(&rides, now)?,
            self.open_ride(&rides, ago(7_200))?,
            self.open_ride(&rides, Utc::from_secs(now.as_secs().saturating_add(7_200)))?,
        );
        let card = shc::Issuer::new(LAB)?.code(&shc::Card::at(LAB, now)?)?;
        let national = self.national_ride()?;
        let people = [
            (
                "health certificate",
                of_lab.code(&certificate)?,
                (V::Grant, R::InOrder),
            ),
            (
                "health certificate that has ended",
                of_lab.code(&expired)?,
                (V::Deny, R::Expired),
            ),
            ("SMART health card", card, (V::Grant, R::InOrder)),
            (
                "national ride code",
                national.clone(),
                (V::Grant, R::SiteRule),
            ),
            (
                "screenshot of that ride code",
                national,
                (V::Deny, R::Replayed),
            ),
            ("open ride code", ride.clone(), (V::Grant, R::InOrder)),
            (
                "screenshot of that open ride code",
                ride,
                (V::Deny, R::Replayed),
            ),
            (
                "open ride code of two hours ago",
                late,
                (V::Deny, R::Expired),
            ),
            (
                "open ride code of a phone that is fast",
                early,
                (V::Deny, R::NotYetActive),
            ),
            (
                "open ride code, key of a stranger",
                unknown,
                (V::Deny, R::UnknownKey),
            ),
            (
                "open ride code, forged",
                forged,
                (V::Deny, R::WrongSignature),
            ),
        ];
        let phone = |(story, text, expected)| {
            let carries = Carries::Phone(text);
            person(
                story,
                Act::Connected,
                Direction::Entry,
                carries,
                Known::No,
                expected,
            )
        };
        let mut people: Vec<_> = people.into_iter().map(phone).collect();
        for (story, kind) in [
            ("residence permit", IdCardKind::HongKongMacaoTaiwan),
            ("foreigner's card of 2017", IdCardKind::Foreign2017),
            ("foreigner's card of 2023", IdCardKind::Foreign2023),
        ] {
            let facts = id_card::card(Seed(self.random.next_u64()), kind, now)?;
            let number = facts.number.expose().clone();
            let known = Known::Synced(self.row(Colour::Green));
            let carries = Carries::Card { number, kind };
            let expected = (V::Grant, R::InOrder);
            people.push(person(
                story,
                Act::Connected,
                Direction::Entry,
                carries,
                known,
                expected,
            ));
        }
        Ok(people)
    }

    /// A code of somebody's phone, made then.
    fn open_ride(&mut self, chain: &ride_cwt::Chain, made: Utc) -> Result<String, DemoError> {
        let token = ride_cwt::Token {
            account: format!("{:016x}", self.random.next_u64()),
            validity_s: Some(VALIDITY_S),
            expires: Utc::from_secs(self.now.as_secs().saturating_add(86_400)),
            ..ride_cwt::Token::at(LAB, made)
        };
        let nonce = self.random.next_u64().to_be_bytes();
        Ok(ride_cwt::text(&chain.code(
            chain.token(&token)?,
            made,
            &nonce,
        )?))
    }

    fn national_ride(&mut self) -> Result<String, DemoError> {
        let chain = ride_v81::Chain::new(LAB, ride_v81::SM2_ID)?;
        let ride = ride_v81::Ride {
            validity_s: VALIDITY_S,
            ..ride_v81::Ride::at(Seed(self.random.next_u64()), self.now)
        };
        Ok(ride_v81::text(
            &chain.code(&ride, ride_v81::Dialect::default())?,
        ))
    }
}
