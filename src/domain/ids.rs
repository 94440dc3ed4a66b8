//! A type for every id, so that a lane is never taken for a grant.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The way a person walks: into the paid area, or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Into the paid area.
    Entry,
    /// Out of it.
    Exit,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Entry => Self::Exit,
            Self::Exit => Self::Entry,
        }
    }

    /// `entry` or `exit`, as in config, records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Exit => "exit",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A lane of this gate, counted from 0 in the order of the config. A gate has one to four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneId(pub u8);

/// One grant: the boot number in the upper 32 bits, a counter in the lower. Never used twice on one journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrantId(pub u64);

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Takes 1 to 64 characters out of `a-z A-Z 0-9 . _ -`: safe in a path, a URL and a metric label.
            ///
            /// # Errors
            /// [`NameError`] for anything else.
            pub fn new(name: &str) -> Result<Self, NameError> {
                if name.is_empty() || name.len() > 64 {
                    return Err(NameError::Length(name.len()));
                }
                if name.starts_with('.') || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
                    return Err(NameError::Character);
                }
                Ok(Self(name.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(&name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().into()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Who made a code: an entry of the trust list.
    IssuerId
}
name! {
    /// A named set of rows synced from the backend.
    ListId
}
name! {
    /// A gate, as the backend knows it.
    GateId
}

/// Why a text cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty or too long.
    #[error("a name has 1 to 64 characters, this has {0}")]
    Length(usize),
    /// A character outside the set, or a leading dot.
    #[error("a name is made of a-z, A-Z, 0-9, '.', '_' and '-' and does not start with a dot")]
    Character,
}

/// First 16 bytes of HMAC-SHA-256(pepper of the list, kind 0x1F issuer 0x1F identifier).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(pub [u8; 16]);

impl fmt::Debug for RowKey {
    /// A row key names a person to whoever holds the pepper: it is not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowKey(..)")
    }
}

/// The same person behind several credentials: 8 bytes assigned by the backend. All zero means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject(pub [u8; 8]);

impl Subject {
    /// No subject: passback uses the row key.
    pub const NONE: Self = Self([0; 8]);
}

/// SHA-256(issuer 0x1F canonical signed bytes): the same code again, whatever its signature looks like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplayKey(pub [u8; 32]);

impl fmt::Debug for ReplayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_in_a_path() {
        assert!(ListId::new("health.national-1").is_ok());
        for bad in [
            "",
            "../etc",
            ".hidden",
            "a/b",
            "a b",
            "a\u{1f}b",
            &"x".repeat(65),
        ] {
            assert!(ListId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_do_not_print_themselves() {
        assert_eq!(
            format!("{:?}{:?}", RowKey([7; 16]), ReplayKey([7; 32])),
            "RowKey(..)ReplayKey(..)"
        );
    }
}
