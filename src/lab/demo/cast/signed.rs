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
        let mut people = self.certificates()?;
        people.extend(self.rides()?);
        people.extend(self.permits()?);
        Ok(people)
    }

    fn certificates(&mut self) -> Result<Vec<Person>, DemoError> {
        let now = self.now;
        let issuer = hcert::Issuer::new(LAB)?;
        let certificate = hcert::Certificate {
            id: format!("URN:UVCI:01:XX:{:016X}", self.random.next_u64()),
            ..hcert::Certificate::at(LAB, now)?
        };
        let ended = hcert::Certificate {
            expires: Utc::from_secs(now.as_secs().saturating_sub(3_600)),
            ..certificate.clone()
        };
        let card = shc::Issuer::new(LAB)?.code(&shc::Card::at(LAB, now)?)?;
        Ok(vec![
            phone("health certificate", issuer.code(&certificate)?, PASSES),
            phone(
                "health certificate that has ended",
                issuer.code(&ended)?,
                (Verdict::Deny, Reason::Expired),
            ),
            phone("SMART health card", card, PASSES),
        ])
    }

    fn rides(&mut self) -> Result<Vec<Person>, DemoError> {
        let denied = |reason| (Verdict::Deny, reason);
        let now = self.now;
        let rides = ride_cwt::Chain::new(LAB)?;
        let mut forger = ride_cwt::Chain::new(STRANGER)?;
        let unknown = self.open_ride(&forger, now)?;
        forger.key_id.clone_from(&rides.key_id);
        let forged = self.open_ride(&forger, now)?;
        let ride = self.open_ride(&rides, now)?;
        let hours = |hours: i64| Utc::from_secs(now.as_secs().saturating_add_signed(hours * 3_600));
        let (late, early) = (
            self.open_ride(&rides, hours(-2))?,
            self.open_ride(&rides, hours(2))?,
        );
        let national = self.national_ride()?;
        Ok(vec![
            phone(
                "national ride code",
                national.clone(),
                (Verdict::Grant, Reason::SiteRule),
            ),
            phone(
                "screenshot of that ride code",
                national,
                denied(Reason::Replayed),
            ),
            phone("open ride code", ride.clone(), PASSES),
            phone(
                "screenshot of that open ride code",
                ride,
                denied(Reason::Replayed),
            ),
            phone(
                "open ride code of two hours ago",
                late,
                denied(Reason::Expired),
            ),
            phone(
                "open ride code of a phone that is fast",
                early,
                denied(Reason::NotYetActive),
            ),
            phone(
                "open ride code, key of a stranger",
                unknown,
                denied(Reason::UnknownKey),
            ),
            phone(
                "open ride code, forged",
                forged,
                denied(Reason::WrongSignature),
            ),
        ])
    }

    /// The cards that are no resident ID cards.
    fn permits(&mut self) -> Result<Vec<Person>, DemoError> {
        let kinds = [
            ("residence permit", IdCardKind::HongKongMacaoTaiwan),
            ("foreigner's card of 2017", IdCardKind::Foreign2017),
            ("foreigner's card of 2023", IdCardKind::Foreign2023),
        ];
        let mut people = Vec::new();
        for (story, kind) in kinds {
            let facts = id_card::card(Seed(self.random.next_u64()), kind, self.now)?;
            let number = facts.number.expose().clone();
            let known = Known::Synced(self.row(Colour::Green));
            let carries = Carries::Card { number, kind };
            people.push(enters(story, carries, known, PASSES));
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

/// In order.
const PASSES: (Verdict, Reason) = (Verdict::Grant, Reason::InOrder);

/// Somebody whom no list knows comes in with a phone that shows this.
fn phone(story: &'static str, text: String, expected: (Verdict, Reason)) -> Person {
    enters(story, Carries::Phone(text), Known::No, expected)
}

fn enters(
    story: &'static str,
    carries: Carries,
    known: Known,
    expected: (Verdict, Reason),
) -> Person {
    let (act, direction) = (Act::Connected, Direction::Entry);
    person(story, act, direction, carries, known, expected)
}
