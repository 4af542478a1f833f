//! The user a process runs as.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::thread as sys;

/// Changes group ids, supplementary groups, then user ids, which ends the right to do so.
///
/// `groups` of `None` keeps the supplementary groups, for a user namespace that may not set them.
pub fn become_user(uid: u32, gid: u32, groups: Option<&[u32]>) -> io::Result<()> {
    if let Some(groups) = groups {
        let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        sys::set_thread_groups(&groups)?;
    }
    let gid = Gid::from_raw(gid);
    sys::set_thread_res_gid(gid, gid, gid)?;
    let uid = Uid::from_raw(uid);
    sys::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// The home directory of `uid` in the text of an `/etc/passwd`, `/` if there is none.
pub fn home(passwd: &str, uid: u32) -> &str {
    passwd
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let id = fields.nth(2)?.parse::<u32>().ok()?;
            (id == uid).then(|| fields.nth(2)).flatten()
        })
        .next()
        .filter(|home| !home.is_empty())
        .unwrap_or("/")
}

/// Reads `UID[:GID]` as `exec --user` has it: plain decimal numbers below 2^31.
pub fn parse(text: &str) -> Option<(u32, Option<u32>)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|number| digits && *number <= i32::MAX as u32)
    };
    match text.split_once(':') {
        Some((uid, gid)) => Some((number(uid)?, Some(number(gid)?))),
        None => Some((number(text)?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_found() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbad\na:x:5:5:::/bin/sh\n";
        assert_eq!(home(text, 0), "/root");
        assert_eq!(home(text, 5), "/");
        assert_eq!(home(text, 9), "/");
    }

    #[test]
    fn only_plain_numbers_are_users() {
        assert_eq!(parse("0"), Some((0, None)));
        assert_eq!(parse("1000:50"), Some((1000, Some(50))));
        for wrong in ["", "0x0", "1:", "+1", ":1", "4294967296", "2147483648", "-1", "1:2:3", "a"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
