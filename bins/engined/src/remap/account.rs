//! The user and group whose ranges of ids containers get.

use std::process::Command;

use errdefs::{Error, Result};

/// Docker's own, for `default`.
const DEFAULT: &str = "dockremap";

/// A user and a group of the host.
#[derive(Debug, PartialEq)]
pub(super) struct Account {
    pub user: String,
    pub uid: u32,
    pub group: String,
    pub gid: u32,
}

/// Finds what the flag names; makes the default one.
pub(super) fn find(flag: &str) -> Result<Account> {
    let flag = if flag == "default" { DEFAULT } else { flag };
    if flag == DEFAULT && !read("/etc/passwd")?.lines().any(|line| line.starts_with("dockremap:")) {
        make_default()?;
    }
    account(flag, &read("/etc/passwd")?, &read("/etc/group")?)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|cause| Error::internal(format!("cannot read {path}")).with_source(cause))
}

fn account(flag: &str, passwd: &str, group: &str) -> Result<Account> {
    let bad = |text: String| Error::invalid_argument(format!("cannot remap ids (--userns-remap): {text}"));
    let (user, group_wish) = match flag.split(':').collect::<Vec<_>>()[..] {
        [user] => (user, None),
        [user, group] => (user, Some(group)),
        _ => return Err(bad(format!("invalid user/group specification {flag:?}: use USER[:GROUP]"))),
    };
    let (user, uid) = entry(passwd, user).ok_or_else(|| bad(format!("no user {user:?} in /etc/passwd")))?;
    // Without a group it is the one that is called as the user is.
    let wish = group_wish.unwrap_or(&user);
    let (name, gid) = entry(group, wish).ok_or_else(|| bad(format!("no group {wish:?} in /etc/group")))?;
    Ok(Account { user, uid, group: name, gid })
}

/// Name and number of an entry of passwd(5) or group(5), found by either.
fn entry(file: &str, wanted: &str) -> Option<(String, u32)> {
    let number: Option<u32> = wanted.parse().ok();
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?.parse().ok()?);
        (!name.is_empty() && (name == wanted || number == Some(id))).then(|| (name.to_owned(), id))
    })
}

/// A user without a home or a shell, whom useradd(8) gives ranges that nobody else has.
fn make_default() -> Result<()> {
    let words = ["--no-create-home", "--shell", "/bin/false", "--user-group", "--add-subids-for-system"];
    let output = Command::new("useradd").arg("--system").args(words).arg(DEFAULT).output();
    let hint = "Make a user dockremap with ranges in /etc/subuid and /etc/subgid, or name another user.";
    let output = output.map_err(|cause| {
        Error::failed_precondition("cannot make the user dockremap by useradd")
            .with_source(cause)
            .with_hint(hint)
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed_precondition(format!("cannot make the user dockremap: {}", text.trim()))
        .with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1001::/home/ann:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nann:x:1001:\nstaff:x:50:ann\n";

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let ann = |group: &str, gid| Account { user: "ann".into(), uid: 1000, group: group.into(), gid };
        assert_eq!(account("ann", PASSWD, GROUP).unwrap(), ann("ann", 1001));
        assert_eq!(account("1000:50", PASSWD, GROUP).unwrap(), ann("staff", 50));
        for (wrong, said) in [
            ("bob", "no user \"bob\""),
            ("ann:x", "no group \"x\""),
            ("a:b:c", "USER[:GROUP]"),
            ("", "no user"),
        ] {
            let text = account(wrong, PASSWD, GROUP).unwrap_err().to_string();
            assert!(text.contains(said), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_files_are_survived(flag in ".{0,10}", passwd in "[a-z:0-9\n]{0,60}") {
            let _ = account(&flag, &passwd, &passwd);
        }
    }
}
