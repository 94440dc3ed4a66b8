//! What a list, or the backend, says of a person.

use serde::{Deserialize, Serialize};

use super::ids::Subject;
use super::passage::ListVersion;
use super::time::Utc;

/// The three colours. Nothing else is ever folded into one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Nothing against it.
    Green,
    /// Second check by staff in most regions.
    Yellow,
    /// Refused in most regions.
    Red,
}

/// Everything a health look-up can end in; the last four are not colours and have rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthOutcome {
    /// Green.
    Green,
    /// Yellow.
    Yellow,
    /// Red.
    Red,
    /// No list and no backend knows the person.
    Unknown,
    /// Known, but has not applied for a code.
    NotApplied,
    /// The backend answered that it could not find out.
    QueryFailed,
    /// Nobody answered within the deadline.
    TimedOut,
}

impl From<Colour> for HealthOutcome {
    fn from(colour: Colour) -> Self {
        match colour {
            Colour::Green => Self::Green,
            Colour::Yellow => Self::Yellow,
            Colour::Red => Self::Red,
        }
    }
}

/// One row of a list, decoded. On disk and on the wire it has 20 bytes, integers big-endian:
/// subject 8, valid_from u32 s, valid_until u32 s, colour and flags 1, entitlements 2, region 1.
/// The colour byte: bits 0 and 1 are 0 green, 1 yellow, 2 red, 3 not applied; bits 2 to 7 are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The person.
    pub subject: Subject,
    /// First second of validity since 1970; 0 means from always.
    pub valid_from_s: u32,
    /// Last second of validity since 1970; 0 means for ever.
    pub valid_until_s: u32,
    /// `None` means known, but has not applied for a health code.
    pub colour: Option<Colour>,
    /// Bit set of what the person may use; bit 0 is the ride.
    pub entitlements: u16,
    /// Index of the region the row comes from.
    pub region: u8,
}

/// Bytes of a row's value.
pub const ROW_VALUE_LEN: usize = 20;

/// A row value that this version cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row has flags that this version does not know: {0:#04x}")]
pub struct RowError(pub u8);

impl Row {
    /// The 20 bytes of the value.
    #[must_use]
    pub fn encode(&self) -> [u8; ROW_VALUE_LEN] {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.subject.0;
        let [f0, f1, f2, f3] = self.valid_from_s.to_be_bytes();
        let [u0, u1, u2, u3] = self.valid_until_s.to_be_bytes();
        let [e0, e1] = self.entitlements.to_be_bytes();
        let colour = match self.colour {
            Some(Colour::Green) => 0,
            Some(Colour::Yellow) => 1,
            Some(Colour::Red) => 2,
            None => 3,
        };
        [
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            f0,
            f1,
            f2,
            f3,
            u0,
            u1,
            u2,
            u3,
            colour,
            e0,
            e1,
            self.region,
        ]
    }

    /// Reads the 20 bytes of a value.
    ///
    /// # Errors
    /// [`RowError`] if a flag is set that this version does not know: such a row must not be taken for green.
    pub fn decode(value: &[u8; ROW_VALUE_LEN]) -> Result<Self, RowError> {
        let &[
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            f0,
            f1,
            f2,
            f3,
            u0,
            u1,
            u2,
            u3,
            colour,
            e0,
            e1,
            region,
        ] = value;
        Ok(Self {
            subject: Subject([s0, s1, s2, s3, s4, s5, s6, s7]),
            valid_from_s: u32::from_be_bytes([f0, f1, f2, f3]),
            valid_until_s: u32::from_be_bytes([u0, u1, u2, u3]),
            colour: match colour {
                0 => Some(Colour::Green),
                1 => Some(Colour::Yellow),
                2 => Some(Colour::Red),
                3 => None,
                other => return Err(RowError(other)),
            },
            entitlements: u16::from_be_bytes([e0, e1]),
            region,
        })
    }
}

/// What is known of one credential when the gate decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The worst colour of all lists, or why there is none.
    pub health: HealthOutcome,
    /// The person, if any row names one.
    pub subject: Option<Subject>,
    /// Latest start of validity of the rows, if any has one.
    pub valid_from: Option<Utc>,
    /// Earliest end of validity of the rows, if any has one.
    pub valid_until: Option<Utc>,
    /// Entitlements of all rows, joined.
    pub entitlements: u16,
    /// The lists that were asked, as they stood.
    pub lists: Vec<ListVersion>,
    /// True if a list that spoke is older than the site allows, or none of the lists has arrived yet.
    pub stale: bool,
    /// Where what decided the health outcome comes from, as the lists count regions; 0: nobody says.
    pub region: u8,
}

impl Standing {
    /// Nobody knows the person.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            health: HealthOutcome::Unknown,
            subject: None,
            valid_from: None,
            valid_until: None,
            entitlements: 0,
            lists: Vec::new(),
            stale: false,
            region: 0,
        }
    }

    /// Joins what the code itself says, signed by its issuer, to what is known: as another row.
    pub fn join_said(&mut self, health: Option<HealthOutcome>, entitlements: u16) {
        if let Some(health) = health.filter(|health| severity(*health) > severity(self.health)) {
            self.health = health;
            // Whoever signed it is known as the issuer.
            self.region = 0;
        }
        self.entitlements |= entitlements;
    }

    /// Joins another row to what is known: the worst colour wins, entitlements add up, validity narrows.
    pub fn join(&mut self, row: &Row) {
        let health = row
            .colour
            .map_or(HealthOutcome::NotApplied, HealthOutcome::from);
        if severity(health) > severity(self.health) {
            self.health = health;
            self.region = row.region;
        }
        if self.subject.is_none() && row.subject != Subject::NONE {
            self.subject = Some(row.subject);
        }
        if row.valid_from_s != 0 {
            let from = Utc::from_secs(row.valid_from_s.into());
            self.valid_from = Some(self.valid_from.map_or(from, |known| known.max(from)));
        }
        if row.valid_until_s != 0 {
            let until =
                Utc::from_secs(row.valid_until_s.into()) + std::time::Duration::from_millis(999);
            self.valid_until = Some(self.valid_until.map_or(until, |known| known.min(until)));
        }
        self.entitlements |= row.entitlements;
    }
}

/// Order in which rows of several lists win: a colour beats "not applied", a worse colour beats a better one.
const fn severity(health: HealthOutcome) -> u8 {
    match health {
        HealthOutcome::Unknown | HealthOutcome::QueryFailed | HealthOutcome::TimedOut => 0,
        HealthOutcome::NotApplied => 1,
        HealthOutcome::Green => 2,
        HealthOutcome::Yellow => 3,
        HealthOutcome::Red => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEN: Row = Row {
        subject: Subject::NONE,
        valid_from_s: 0,
        valid_until_s: 0,
        colour: Some(Colour::Green),
        entitlements: 1,
        region: 0,
    };

    #[test]
    fn the_worst_colour_wins_and_entitlements_add_up() {
        let red = Row {
            colour: Some(Colour::Red),
            entitlements: 2,
            valid_until_s: 50,
            ..GREEN
        };
        for rows in [[GREEN, red], [red, GREEN]] {
            let mut standing = Standing::unknown();
            rows.iter().for_each(|row| standing.join(row));
            assert_eq!(standing.health, HealthOutcome::Red);
            assert_eq!(standing.entitlements, 3);
            assert_eq!(standing.valid_until, Some(Utc::from_millis(50_999)));
        }
    }

    #[test]
    fn not_applied_is_no_colour_and_loses_to_one() {
        let mut standing = Standing::unknown();
        standing.join(&Row {
            colour: None,
            ..GREEN
        });
        assert_eq!(standing.health, HealthOutcome::NotApplied);
        standing.join(&GREEN);
        assert_eq!(standing.health, HealthOutcome::Green);
    }

    #[test]
    fn a_row_survives_its_bytes() {
        let row = Row {
            subject: Subject([1, 2, 3, 4, 5, 6, 7, 8]),
            valid_from_s: 1,
            valid_until_s: u32::MAX,
            colour: Some(Colour::Red),
            entitlements: 0x8001,
            region: 44,
        };
        assert_eq!(Row::decode(&row.encode()), Ok(row));
    }

    #[test]
    fn an_unknown_flag_is_refused_and_not_taken_for_green() {
        let mut value = [0; ROW_VALUE_LEN];
        value[16] = 4;
        assert_eq!(Row::decode(&value), Err(RowError(4)));
    }
}
