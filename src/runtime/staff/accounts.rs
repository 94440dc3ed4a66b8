//! Who of this machine's users may act. Names are looked up in the text of `/etc/passwd` and `/etc/group` as passwd(5)
//! and group(5) describe it, each time somebody comes, so that a new colleague needs no restart. Users of a directory
//! service that are not in these files are named by number.

use crate::config::staff::{Account, Staff};

/// The two files.
pub(super) struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// As they are now; a file that cannot be read names nobody.
    pub(super) fn read() -> Self {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            passwd: text("/etc/passwd"),
            group: text("/etc/group"),
        }
    }

    /// Root may; whoever is named may; and members of the groups that are named.
    pub(super) fn may(&self, staff: &Staff, uid: u32, gid: u32) -> bool {
        if uid == 0 {
            return true;
        }
        let name = self.user(uid);
        let is_user = |account: &Account| match account {
            Account::Id(id) => *id == uid,
            Account::Name(wanted) => name == Some(wanted.as_str()),
        };
        let in_group = |account: &Account| {
            let found = lines(&self.group).find(|(group, id, _)| match account {
                Account::Id(wanted) => id == wanted,
                Account::Name(wanted) => group == wanted,
            });
            match (found, account) {
                (Some((_, id, members)), _) => {
                    let mut members = members.split(',');
                    id == gid || name.is_some_and(|name| members.any(|member| member == name))
                }
                (None, Account::Id(id)) => *id == gid,
                (None, Account::Name(_)) => false,
            }
        };
        staff.users.iter().any(is_user) || staff.groups.iter().any(in_group)
    }

    fn user(&self, uid: u32) -> Option<&str> {
        let mut users = lines(&self.passwd);
        users.find(|(_, id, _)| *id == uid).map(|(name, ..)| name)
    }
}

/// Name, number, and the field behind it, of each line `name:password:number:field`.
fn lines(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?.parse().ok()?;
        Some((name, id, fields.next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_named_may_and_nobody_else_but_root() {
        let accounts = Accounts {
            passwd: "root:x:0:0::/root:/bin/sh\none:x:1001:100:::\ntwo:x:1002:100:::\n".into(),
            group: "users:x:100:\nstation:x:200:two,three\nbroken\n".into(),
        };
        let named = |name: &str| Account::Name(name.into());
        let staff = |users: &[Account], groups: &[Account]| Staff {
            users: users.to_vec(),
            groups: groups.to_vec(),
            ..Staff::default()
        };
        let nobody = staff(&[], &[]);
        assert!(accounts.may(&nobody, 0, 0));
        assert!(!accounts.may(&nobody, 1001, 100));
        let one = staff(&[named("one")], &[]);
        assert!(accounts.may(&one, 1001, 100) && !accounts.may(&one, 1002, 100));
        let by_number = staff(&[Account::Id(1002)], &[]);
        assert!(accounts.may(&by_number, 1002, 100) && !accounts.may(&by_number, 1001, 100));
        let station = staff(&[], &[named("station")]);
        assert!(accounts.may(&station, 1002, 100) && !accounts.may(&station, 1001, 100));
        let primary = staff(&[], &[named("users")]);
        assert!(accounts.may(&primary, 1001, 100) && !accounts.may(&primary, 1001, 7));
        // A name that nobody has is nobody's; a number of a directory service counts as it is.
        assert!(!accounts.may(&staff(&[named("gone")], &[named("gone")]), 1003, 300));
        assert!(accounts.may(&staff(&[], &[Account::Id(300)]), 1003, 300));
    }
}
