//! Signals by name, signal(7).

const NAMES: &[(&str, i32)] = &[
    ("ABRT", libc::SIGABRT),
    ("ALRM", libc::SIGALRM),
    ("BUS", libc::SIGBUS),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("FPE", libc::SIGFPE),
    ("HUP", libc::SIGHUP),
    ("ILL", libc::SIGILL),
    ("INT", libc::SIGINT),
    ("IO", libc::SIGIO),
    ("IOT", libc::SIGIOT),
    ("KILL", libc::SIGKILL),
    ("PIPE", libc::SIGPIPE),
    ("POLL", libc::SIGPOLL),
    ("PROF", libc::SIGPROF),
    ("PWR", libc::SIGPWR),
    ("QUIT", libc::SIGQUIT),
    ("SEGV", libc::SIGSEGV),
    ("STKFLT", libc::SIGSTKFLT),
    ("STOP", libc::SIGSTOP),
    ("SYS", libc::SIGSYS),
    ("TERM", libc::SIGTERM),
    ("TRAP", libc::SIGTRAP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("VTALRM", libc::SIGVTALRM),
    ("WINCH", libc::SIGWINCH),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
];

const FIRST_REAL_TIME: i32 = 34;
const LAST_REAL_TIME: i32 = 64;

/// Reads a number, or a name with or without `SIG` in any case, also `RTMIN+n` and `RTMAX-n`.
/// Number 0 asks whether the process is there.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (0..=LAST_REAL_TIME).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return real_time(FIRST_REAL_TIME, rest, '+');
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        return real_time(LAST_REAL_TIME, rest, '-');
    }
    NAMES.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
}

fn real_time(base: i32, rest: &str, sign: char) -> Option<i32> {
    if rest.is_empty() {
        return Some(base);
    }
    let distance: i32 = rest.strip_prefix(sign)?.parse().ok()?;
    let number = if sign == '+' { base.checked_add(distance)? } else { base.checked_sub(distance)? };
    (FIRST_REAL_TIME..=LAST_REAL_TIME).contains(&number).then_some(number)
}

/// The signals that end a process, as Go's programs tell of them.
const DEATHS: &[(i32, &str)] = &[
    (libc::SIGHUP, "hangup"),
    (libc::SIGINT, "interrupt"),
    (libc::SIGQUIT, "quit"),
    (libc::SIGILL, "illegal instruction"),
    (libc::SIGTRAP, "trace/breakpoint trap"),
    (libc::SIGABRT, "aborted"),
    (libc::SIGBUS, "bus error"),
    (libc::SIGFPE, "floating point exception"),
    (libc::SIGKILL, "killed"),
    (libc::SIGUSR1, "user defined signal 1"),
    (libc::SIGSEGV, "segmentation fault"),
    (libc::SIGUSR2, "user defined signal 2"),
    (libc::SIGPIPE, "broken pipe"),
    (libc::SIGALRM, "alarm clock"),
    (libc::SIGTERM, "terminated"),
    (libc::SIGXCPU, "CPU time limit exceeded"),
    (libc::SIGXFSZ, "file size limit exceeded"),
    (libc::SIGSYS, "bad system call"),
];

/// What a signal does to a process, in words; its number where there are none.
pub fn described(number: i32) -> String {
    let words = DEATHS.iter().find(|entry| entry.0 == number);
    words.map_or_else(|| format!("signal {number}"), |(_, words)| (*words).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_have_words() {
        assert_eq!(described(libc::SIGSYS), "bad system call");
        assert_eq!(described(40), "signal 40");
    }

    #[test]
    fn names_and_numbers() {
        for (text, number) in
            [("9", 9), ("KILL", 9), ("sigterm", 15), ("0", 0), ("RTMIN+1", 35), ("SIGRTMAX-2", 62)]
        {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for wrong in ["BADSIG", "", "-1", "65", "RTMIN-1", "RTMAX+1", "RTMIN+40"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
