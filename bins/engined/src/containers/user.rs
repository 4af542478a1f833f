//! Who a container's process runs as: names looked up in the image's own files.

use errdefs::{Error, Result};
use runtime_spec::User;

/// The kernel takes more, but Docker's range ends here; names must not overflow into root.
const LAST_ID: u32 = i32::MAX as u32;

/// `/etc/passwd` and `/etc/group` of an image or a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accounts {
    pub passwd: String,
    pub group: String,
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl Accounts {
    /// Turns `USER[:GROUP]` into numbers, with the user's other groups, `more` groups, and the
    /// home directory. Empty means root.
    ///
    /// # Errors
    /// A name that the files do not have, or a number out of range.
    pub fn resolve(&self, text: &str, more: &[String]) -> Result<(User, String)> {
        let (name, group) = text.split_once(':').unwrap_or((text, ""));
        let wanted = if name.is_empty() { "0" } else { name };
        let account = self.accounts().find(|entry| entry.name == wanted || Some(entry.uid) == number(wanted));
        let uid = match &account {
            Some(account) => account.uid,
            None => id(wanted, "unable to find user", name, "no matching entries in passwd file")?,
        };
        let primary = account.as_ref().map_or(0, |account| account.gid);
        let gid = if group.is_empty() { primary } else { self.group_id(group)? };
        let mut gids = vec![gid];
        if group.is_empty()
            && let Some(account) = &account
        {
            gids.extend(
                self.groups()
                    .filter(|entry| entry.members.split(',').any(|member| member == account.name))
                    .map(|entry| entry.gid),
            );
        }
        for name in more {
            gids.push(self.group_id(name)?);
        }
        let mut seen = Vec::new();
        gids.retain(|gid| {
            !seen.contains(gid) && {
                seen.push(*gid);
                true
            }
        });
        let home = account.map_or("/", |account| account.home);
        Ok((User { uid, gid, additional_gids: gids, ..User::default() }, home.to_owned()))
    }

    fn group_id(&self, text: &str) -> Result<u32> {
        match self.groups().find(|entry| entry.name == text || Some(entry.gid) == number(text)) {
            Some(group) => Ok(group.gid),
            None => id(text, "unable to find group", text, "no matching entries in group file"),
        }
    }

    fn accounts(&self) -> impl Iterator<Item = Account<'_>> {
        self.passwd.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
            Some(Account { name, uid: number(uid)?, gid: number(gid)?, home })
        })
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.group.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, gid, members, ..] = fields[..] else { return None };
            Some(Group { name, gid: number(gid)?, members })
        })
    }
}

/// A number in range; nothing else is one, so that no text is cut down to a valid id.
fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|id| *id <= LAST_ID)
}

fn id(text: &str, what: &str, shown: &str, why: &str) -> Result<u32> {
    if let Some(id) = number(text) {
        return Ok(id);
    }
    let is_numeric = text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
    Err(Error::invalid_argument(if is_numeric {
        format!("uids and gids must be in range 0-{LAST_ID}")
    } else {
        format!("{what} {shown}: {why}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\nbad:x:4294967296:0::/:\n"
                .into(),
            group: "root:x:0:\nwheel:x:10:root\nstaff:x:50:web,root\n".into(),
        }
    }

    fn resolve(text: &str) -> (u32, u32, Vec<u32>, String) {
        let (user, home) = accounts().resolve(text, &[]).unwrap();
        (user.uid, user.gid, user.additional_gids, home)
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(resolve(""), (0, 0, vec![0, 10, 50], "/root".into()));
        assert_eq!(resolve("web"), (33, 44, vec![44, 50], "/srv".into()));
        assert_eq!(resolve("33"), (33, 44, vec![44, 50], "/srv".into()));
        assert_eq!(resolve("web:wheel"), (33, 10, vec![10], "/srv".into()));
        assert_eq!(resolve("1000:7"), (1000, 7, vec![7], "/".into()));
        assert_eq!(Accounts::default().resolve("5", &["9".into()]).unwrap().0.additional_gids, [0, 9]);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let message = |text: &str| accounts().resolve(text, &[]).unwrap_err().to_string();
        assert_eq!(message("nobody"), "unable to find user nobody: no matching entries in passwd file");
        assert_eq!(message("0:none"), "unable to find group none: no matching entries in group file");
    }

    #[test]
    fn a_number_out_of_range_is_never_root() {
        for text in ["4294967296", "2147483648", "-1", "1:4294967296", "bad"] {
            assert!(accounts().resolve(text, &[]).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_files_are_survived(passwd in "\\PC{0,80}", group in "\\PC{0,80}", user in "\\PC{0,12}") {
            if let Ok((user, _)) = (Accounts { passwd, group }).resolve(&user, &[]) {
                prop_assert!(user.uid <= LAST_ID && user.gid <= LAST_ID);
            }
        }
    }
}
