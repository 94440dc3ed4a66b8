//! What a health certificate states, and the rules by which a site turns that into a colour. Countries differ in policy,
//! not in what they state (CODES §1.1), so the rules are data.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::standing::{Colour, HealthOutcome};
use super::time::Utc;

/// COVID-19 in SNOMED CT, as certificates name it.
pub const COVID_19: &str = "840539006";

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;

/// What a health certificate states of its holder.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Which disease it is about (SNOMED CT).
    pub disease: String,
    /// What it states.
    pub statement: Statement,
    /// ISO 3166 code of the country that it was made for, where it says so.
    pub country: Option<String>,
}

/// One statement. Dates are the first instant of their day, in UTC.
#[derive(Clone, PartialEq, Eq)]
pub enum Statement {
    /// A dose was given.
    Dose {
        /// The how-manieth.
        number: u8,
        /// How many make a series; absent where a certificate does not say.
        of: Option<u8>,
        /// When.
        given: Utc,
        /// Which product: its EU number, or `cvx:` and a code of that register.
        product: String,
    },
    /// A test was made.
    Test {
        /// What kind of test.
        kind: TestKind,
        /// When the sample was taken.
        taken: Utc,
        /// True if the virus was found.
        positive: bool,
    },
    /// Somebody has recovered.
    Recovery {
        /// Day of the first positive test.
        first_positive: Utc,
        /// First instant of the certificate, as its maker has it.
        from: Utc,
        /// Last instant of it.
        until: Utc,
    },
}

/// What is looked for in a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestKind {
    /// Nucleic acid.
    NucleicAcid,
    /// Antigen, rapid.
    Antigen,
    /// Something else.
    Other,
}

/// Dates of doses and results of tests are nobody's business.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

/// `[[policy.certificate]]`: what counts at this site, for certificates of some countries or of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRules {
    /// Regions of issuers for which this holds; absent: all that no rule before it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Vec<String>>,
    /// Diseases that count (SNOMED CT).
    #[serde(default = "covid_19")]
    pub disease: Vec<String>,
    /// Doses; absent: they do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dose: Option<DoseRule>,
    /// Tests; absent: a negative one does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<TestRule>,
    /// Recoveries; absent: they do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryRule>,
    /// The colour of whoever meets one of them.
    #[serde(default = "green")]
    pub met: Colour,
    /// The colour of a series that is not complete, or complete for too short a time.
    #[serde(default = "yellow")]
    pub not_yet: Colour,
    /// The colour of what is too long ago, or does not count.
    #[serde(default = "yellow")]
    pub not_met: Colour,
    /// The colour of a positive test that is not too long ago.
    #[serde(default = "red")]
    pub positive: Colour,
}

/// `policy.certificate.dose`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoseRule {
    /// Products that count; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Vec<String>>,
    /// Doses of a series, where the certificate does not say it.
    #[serde(default = "two")]
    pub series: u8,
    /// A completed series counts from so many days after its last dose on.
    #[serde(default)]
    pub from_days: u16,
    /// It counts up to so many days after its last dose; absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_days: Option<u16>,
    /// A dose beyond the series counts at once, and up to so many days; absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booster_until_days: Option<u16>,
}

/// `policy.certificate.test`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRule {
    /// A negative test for nucleic acid counts so many hours; absent: it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nucleic_acid_hours: Option<u16>,
    /// A negative antigen test counts so many hours; absent: it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub antigen_hours: Option<u16>,
    /// A positive test of any kind speaks against its holder for so many days.
    #[serde(default = "ten")]
    pub positive_days: u16,
}

/// `policy.certificate.recovery`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryRule {
    /// It counts from so many days after the first positive test on.
    #[serde(default = "eleven")]
    pub from_days: u16,
    /// It counts up to so many days after that; absent: as long as its maker says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_days: Option<u16>,
}

fn covid_19() -> Vec<String> {
    vec![COVID_19.to_owned()]
}

const fn green() -> Colour {
    Colour::Green
}

const fn yellow() -> Colour {
    Colour::Yellow
}

const fn red() -> Colour {
    Colour::Red
}

const fn two() -> u8 {
    2
}

const fn ten() -> u16 {
    10
}

const fn eleven() -> u16 {
    11
}

/// The colour of a certificate by the first rules for its issuer's region. Unknown where there are none, and while nobody
/// knows what time it is.
#[must_use]
pub fn judge(
    rules: &[CertificateRules],
    certificate: &Certificate,
    region: Option<&str>,
    now: Option<Utc>,
) -> HealthOutcome {
    let region = region.or(certificate.country.as_deref());
    let rules = rules.iter().find(|rules| rules.is_for(region));
    match (rules, now) {
        (Some(rules), Some(now)) => rules.colour(certificate, now).into(),
        (None, _) | (_, None) => HealthOutcome::Unknown,
    }
}

/// Where an instant lies in a stretch of time.
enum Place {
    Before,
    Inside,
    After,
}

impl CertificateRules {
    fn is_for(&self, region: Option<&str>) -> bool {
        self.region.as_ref().is_none_or(|named| {
            let is = |name: &String| region.is_some_and(|region| region == name);
            named.iter().any(is)
        })
    }

    fn colour(&self, certificate: &Certificate, now: Utc) -> Colour {
        if !self.disease.contains(&certificate.disease) {
            return self.not_met;
        }
        let place = match &certificate.statement {
            Statement::Dose {
                number,
                of,
                given,
                product,
            } => self.dose_place(*number, *of, *given, product, now),
            Statement::Test {
                kind,
                taken,
                positive,
            } => {
                if *positive {
                    return self.positive_colour(*taken, now);
                }
                self.test_place(*kind, *taken, now)
            }
            Statement::Recovery {
                first_positive,
                from,
                until,
            } => self.recovery_place(*first_positive, *from, *until, now),
        };
        match place {
            Some(Place::Inside) => self.met,
            Some(Place::Before) => self.not_yet,
            Some(Place::After) | None => self.not_met,
        }
    }

    /// `None`: it does not count.
    fn dose_place(
        &self,
        number: u8,
        of: Option<u8>,
        given: Utc,
        product: &String,
        now: Utc,
    ) -> Option<Place> {
        let rule = self.dose.as_ref()?;
        if rule
            .product
            .as_ref()
            .is_some_and(|counts| !counts.contains(product))
        {
            return None;
        }
        // A booster is written 2 of 1, 3 of 2, or 3 of 3 (guidelines of the EU, value set `dn`/`sd`).
        let series = of.unwrap_or(rule.series);
        let beyond = number > series || number > 2;
        if beyond {
            return Some(place(now, given, given, rule.booster_until_days.map(days)));
        }
        if number < series {
            return Some(Place::Before);
        }
        let from = given + days(rule.from_days);
        Some(place(now, from, given, rule.until_days.map(days)))
    }

    fn test_place(&self, kind: TestKind, taken: Utc, now: Utc) -> Option<Place> {
        let rule = self.test.as_ref()?;
        let hours = match kind {
            TestKind::NucleicAcid => rule.nucleic_acid_hours,
            TestKind::Antigen => rule.antigen_hours,
            TestKind::Other => None,
        }?;
        Some(place(now, taken, taken, Some(self::hours(hours))))
    }

    fn positive_colour(&self, taken: Utc, now: Utc) -> Colour {
        let lasts = self.test.as_ref().map_or(ten(), |rule| rule.positive_days);
        match place(now, taken, taken, Some(days(lasts))) {
            // A sample of tomorrow does not speak for anybody.
            Place::Before | Place::Inside => self.positive,
            Place::After => self.not_met,
        }
    }

    fn recovery_place(
        &self,
        first_positive: Utc,
        from: Utc,
        until: Utc,
        now: Utc,
    ) -> Option<Place> {
        let rule = self.recovery.as_ref()?;
        let from = from.max(first_positive + days(rule.from_days));
        let until = rule
            .until_days
            .map_or(until, |limit| until.min(first_positive + days(limit)));
        Some(if now < from {
            Place::Before
        } else if now <= until {
            Place::Inside
        } else {
            Place::After
        })
    }
}

fn place(now: Utc, from: Utc, since: Utc, lasts: Option<Duration>) -> Place {
    if now < from {
        Place::Before
    } else if lasts.is_some_and(|lasts| now > since + lasts) {
        Place::After
    } else {
        Place::Inside
    }
}

const fn days(days: u16) -> Duration {
    Duration::from_secs(days as u64 * DAY_S)
}

const fn hours(hours: u16) -> Duration {
    Duration::from_secs(hours as u64 * HOUR_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of some day.
    const NOW: Utc = Utc::from_secs(20_000 * DAY_S + 12 * HOUR_S);

    fn rules() -> CertificateRules {
        CertificateRules {
            region: None,
            disease: covid_19(),
            dose: Some(DoseRule {
                product: None,
                series: 2,
                from_days: 14,
                until_days: Some(270),
                booster_until_days: None,
            }),
            test: Some(TestRule {
                nucleic_acid_hours: Some(72),
                antigen_hours: Some(24),
                positive_days: 10,
            }),
            recovery: Some(RecoveryRule {
                from_days: 11,
                until_days: Some(180),
            }),
            met: Colour::Green,
            not_yet: Colour::Yellow,
            not_met: Colour::Yellow,
            positive: Colour::Red,
        }
    }

    fn certificate(statement: Statement) -> Certificate {
        Certificate {
            disease: COVID_19.into(),
            statement,
            country: None,
        }
    }

    fn colour_by(rules: CertificateRules, statement: Statement) -> HealthOutcome {
        judge(&[rules], &certificate(statement), None, Some(NOW))
    }

    fn ago(days: u64) -> Utc {
        Utc::from_secs((20_000 - days) * DAY_S)
    }

    fn dose(number: u8, of: Option<u8>, days_ago: u64) -> Statement {
        Statement::Dose {
            number,
            of,
            given: ago(days_ago),
            product: "EU/1/20/1528".into(),
        }
    }

    #[test]
    fn doses_by_number_and_age() {
        use HealthOutcome::{Green, Yellow};
        for (number, of, days_ago, colour) in [
            (1, Some(2), 30, Yellow),
            (2, Some(2), 0, Yellow),
            (2, Some(2), 13, Yellow),
            (2, Some(2), 14, Green),
            (2, Some(2), 269, Green),
            // 270 days and half a day.
            (2, Some(2), 270, Yellow),
            (1, Some(1), 13, Yellow),
            (1, Some(1), 14, Green),
            // A series of which the certificate does not say how long it is.
            (1, None, 30, Yellow),
            (2, None, 30, Green),
            // Boosters: at once, and for ever.
            (2, Some(1), 0, Green),
            (3, Some(2), 0, Green),
            (3, Some(3), 0, Green),
            (3, None, 3_000, Green),
        ] {
            let found = colour_by(rules(), dose(number, of, days_ago));
            assert_eq!(found, colour, "{number} of {of:?}, {days_ago} days ago");
        }
        // Tomorrow's dose.
        let tomorrow = Statement::Dose {
            number: 3,
            of: Some(3),
            given: Utc::from_secs(20_001 * DAY_S),
            product: String::new(),
        };
        assert_eq!(colour_by(rules(), tomorrow), Yellow);
    }

    #[test]
    fn boosters_and_products_are_the_sites_to_bound() {
        let with = |change: fn(&mut DoseRule)| {
            let mut rules = rules();
            change(rules.dose.as_mut().unwrap());
            rules
        };
        let short = with(|dose| dose.booster_until_days = Some(100));
        assert_eq!(
            colour_by(short.clone(), dose(3, Some(3), 99)),
            HealthOutcome::Green
        );
        assert_eq!(
            colour_by(short, dose(3, Some(3), 100)),
            HealthOutcome::Yellow
        );
        let other = with(|dose| dose.product = Some(vec!["cvx:208".into()]));
        assert_eq!(
            colour_by(other, dose(2, Some(2), 30)),
            HealthOutcome::Yellow
        );
        let this = with(|dose| dose.product = Some(vec!["EU/1/20/1528".into()]));
        assert_eq!(colour_by(this, dose(2, Some(2), 30)), HealthOutcome::Green);
        let one = with(|dose| dose.series = 1);
        assert_eq!(colour_by(one, dose(1, None, 30)), HealthOutcome::Green);
    }

    #[test]
    fn tests_by_kind_result_and_age() {
        use HealthOutcome::{Green, Red, Yellow};
        use TestKind::{Antigen, NucleicAcid, Other};
        for (kind, positive, hours_ago, colour) in [
            (NucleicAcid, false, 0, Green),
            (NucleicAcid, false, 72, Green),
            (NucleicAcid, false, 73, Yellow),
            (Antigen, false, 24, Green),
            (Antigen, false, 25, Yellow),
            (Other, false, 1, Yellow),
            (NucleicAcid, true, 1, Red),
            (Other, true, 240, Red),
            (Antigen, true, 241, Yellow),
        ] {
            let taken = Utc::from_secs(NOW.as_secs() - hours_ago * HOUR_S);
            let statement = Statement::Test {
                kind,
                taken,
                positive,
            };
            let found = colour_by(rules(), statement);
            assert_eq!(found, colour, "{kind:?}, {positive}, {hours_ago} h ago");
        }
        let to_come = |positive| Statement::Test {
            kind: NucleicAcid,
            taken: NOW + Duration::from_secs(1),
            positive,
        };
        assert_eq!(colour_by(rules(), to_come(false)), Yellow);
        assert_eq!(colour_by(rules(), to_come(true)), Red);
    }

    #[test]
    fn recoveries_by_age_and_by_what_their_maker_says() {
        use HealthOutcome::{Green, Yellow};
        for (first, from, until, colour) in [
            (10, 0, 180, Yellow),
            (11, 0, 180, Green),
            (179, 0, 400, Green),
            (180, 0, 400, Yellow),
            // The maker's own dates are narrower.
            (30, 31, 180, Yellow),
            (30, 11, 30, Green),
            (30, 11, 29, Yellow),
        ] {
            let at = |days: u64| ago(first) + days_of(days);
            let statement = Statement::Recovery {
                first_positive: ago(first),
                from: at(from),
                until: at(until) + Duration::from_secs(DAY_S - 1),
            };
            let found = colour_by(rules(), statement);
            assert_eq!(found, colour, "{first} days ago, {from} to {until}");
        }
    }

    fn days_of(count: u64) -> Duration {
        Duration::from_secs(count * DAY_S)
    }

    #[test]
    fn what_a_site_does_not_name_does_not_count() {
        let none = CertificateRules {
            dose: None,
            test: None,
            recovery: None,
            ..rules()
        };
        assert_eq!(
            colour_by(none.clone(), dose(3, Some(3), 30)),
            HealthOutcome::Yellow
        );
        let taken = NOW;
        let test = |positive| Statement::Test {
            kind: TestKind::NucleicAcid,
            taken,
            positive,
        };
        assert_eq!(colour_by(none.clone(), test(false)), HealthOutcome::Yellow);
        // A positive test speaks against its holder whatever counts.
        assert_eq!(colour_by(none, test(true)), HealthOutcome::Red);
        let mut other = certificate(dose(2, Some(2), 30));
        other.disease = "56717001".into();
        assert_eq!(
            judge(&[rules()], &other, None, Some(NOW)),
            HealthOutcome::Yellow
        );
    }

    #[test]
    fn the_first_rules_that_name_the_region_speak() {
        let of = |region: Option<&str>, met| CertificateRules {
            region: region.map(|region| vec![region.to_owned()]),
            met,
            ..rules()
        };
        let list = [
            of(Some("IT"), Colour::Red),
            of(Some("FR"), Colour::Yellow),
            of(None, Colour::Green),
        ];
        let good = certificate(dose(2, Some(2), 30));
        for (region, outcome) in [
            (Some("IT"), HealthOutcome::Red),
            (Some("FR"), HealthOutcome::Yellow),
            (Some("DE"), HealthOutcome::Green),
            (None, HealthOutcome::Green),
        ] {
            assert_eq!(
                judge(&list, &good, region, Some(NOW)),
                outcome,
                "{region:?}"
            );
        }
        // The issuer's region counts before what the certificate says.
        let french = Certificate {
            country: Some("FR".into()),
            ..good
        };
        assert_eq!(
            judge(&list, &french, None, Some(NOW)),
            HealthOutcome::Yellow
        );
        assert_eq!(
            judge(&list, &french, Some("IT"), Some(NOW)),
            HealthOutcome::Red
        );
        assert_eq!(
            judge(&list[..1], &french, None, Some(NOW)),
            HealthOutcome::Unknown
        );
        assert_eq!(judge(&list, &french, None, None), HealthOutcome::Unknown);
    }

    #[test]
    fn nothing_of_it_is_printed() {
        assert_eq!(
            format!("{:?}", certificate(dose(2, Some(2), 30))),
            "[personal]"
        );
    }
}
