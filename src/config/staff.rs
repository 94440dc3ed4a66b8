//! `[staff]`: the local socket for those who may act on the gate, and who they are.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use super::rules::{Broken, broken};

/// Where the socket is if nothing else is said.
pub const SOCKET: &str = "/run/turnstiled/staff.sock";
/// Longest path of a socket (`sun_path` of unix(7), without the closing zero).
const SOCKET_BYTES_MAX: usize = 107;
/// Users, and groups, that may be named.
const NAMED_MAX: usize = 64;

/// `[staff]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Staff {
    /// The socket; relative paths start at the config file.
    pub socket: PathBuf,
    /// Who may act, besides root.
    pub users: Vec<Account>,
    /// Whose members may act.
    pub groups: Vec<Account>,
}

impl Default for Staff {
    fn default() -> Self {
        Self {
            socket: SOCKET.into(),
            users: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// A user or group of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// By number.
    Id(u32),
    /// By name, looked up in `/etc/passwd` or `/etc/group` whenever somebody comes.
    Name(String),
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct IdOrName;

        impl Visitor<'_> for IdOrName {
            type Value = Account;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name in quotes, or a number,")
            }

            fn visit_i64<E: serde::de::Error>(self, id: i64) -> Result<Account, E> {
                let id = u32::try_from(id);
                id.map(Account::Id)
                    .map_err(|_| E::custom("an id is a number from 0 to 4294967295"))
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Account, E> {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-$@".contains(&b);
                if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
                    return Ok(Account::Name(name.into()));
                }
                Err(E::custom(
                    "a name has 1 to 64 characters out of a-z, A-Z, 0-9 and \"._-$@\"",
                ))
            }
        }

        d.deserialize_any(IdOrName).map_err(D::Error::custom)
    }
}

/// Rules of the table; its path is absolute by now or will be.
pub(super) fn check(staff: &Staff) -> Result<(), Broken> {
    if staff.socket.as_os_str().len() > SOCKET_BYTES_MAX {
        let sentence = format!("a socket's path has at most {SOCKET_BYTES_MAX} bytes");
        return broken("staff.socket", sentence);
    }
    for (key, named) in [("users", &staff.users), ("groups", &staff.groups)] {
        if named.len() > NAMED_MAX {
            let sentence = format!("{} are given; allowed are 0 to {NAMED_MAX}", named.len());
            return broken(format!("staff.{key}"), sentence);
        }
    }
    Ok(())
}
