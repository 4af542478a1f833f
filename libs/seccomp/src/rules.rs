//! From a profile to what every call number of every architecture gets.

use crate::action;
use crate::arch::Arch;
use crate::condition::{Condition, Test};
use crate::error::{Error, Result};
use runtime_spec::{Seccomp, Syscall};
use crate::table;

/// A profile with its words resolved.
pub(crate) struct Rules {
    /// Native first, each once.
    pub arches: Vec<Arch>,
    pub default: u32,
    /// True when calls newer than the newest one that the profile names get ENOSYS.
    pub enosys: bool,
    pub listener: bool,
    /// What rules do; [`ArchRules`] refers to them by index.
    pub outcomes: Vec<Outcome>,
    /// In the order of `arches`.
    pub per_arch: Vec<ArchRules>,
}

/// An action when all conditions hold; no condition holds always.
pub(crate) struct Outcome {
    pub conditions: Vec<Condition>,
    pub action: u32,
}

#[derive(Default)]
pub(crate) struct ArchRules {
    /// Call numbers with indices of outcomes; sorted, so rules of one call keep their order.
    pub rules: Vec<(u32, u32)>,
    /// The newest call that the profile names, in a rule of any kind.
    pub newest: Option<u32>,
}

pub(crate) fn resolve(profile: &Seccomp, native: Arch) -> Result<Rules> {
    let default = action::parse(&profile.default_action, profile.default_errno_ret)?;
    if default == action::NOTIFY {
        return Err(Error::Notify("as default action"));
    }
    let arches = architectures(profile, native)?;
    let per_arch = arches.iter().map(|_| ArchRules::default()).collect();
    // A call that is not known here must look as on an older kernel, so that programs fall back
    // to the call that it replaces. A profile whose default is ENOSYS says so by itself.
    let enosys = !action::lets_through(default) && default != action::NO_SUCH_CALL;
    let mut rules =
        Rules { arches, default, enosys, listener: false, outcomes: Vec::new(), per_arch };
    for rule in &profile.syscalls {
        rules.add(rule)?;
    }
    for arch in &mut rules.per_arch {
        arch.rules.sort_unstable();
    }
    Ok(rules)
}

fn architectures(profile: &Seccomp, native: Arch) -> Result<Vec<Arch>> {
    let mut arches = vec![native];
    for name in &profile.architectures {
        match Arch::from_spec(name) {
            Some(arch) if arches.contains(&arch) => {}
            Some(arch) => arches.push(arch),
            None if Arch::is_foreign(name) || name == "SCMP_ARCH_NATIVE" => {}
            None => return Err(Error::Unknown { what: "architecture", word: name.clone() }),
        }
    }
    Ok(arches)
}

impl Rules {
    fn add(&mut self, rule: &Syscall) -> Result<()> {
        let action = action::parse(&rule.action, rule.errno_ret)?;
        let name = rule.names.first().map_or("", String::as_str);
        let conditions: Result<Vec<Condition>> =
            rule.args.iter().map(|arg| Condition::parse(arg, name)).collect();
        let conditions = conditions?;
        if action == action::NOTIFY {
            self.listener = true;
            // The process that loads the filter still has to write the listener to its parent.
            if rule.names.iter().any(|n| n == "write") {
                return Err(Error::Notify("for the write syscall"));
            }
        }
        let first = self.outcomes.len() as u32;
        // What does the same as the default is no rule, whatever its conditions.
        if action != self.default {
            self.outcomes.extend(alternatives(conditions).map(|conditions| Outcome { conditions, action }));
        }
        let outcomes = first..self.outcomes.len() as u32;
        for name in &rule.names {
            self.name(name, outcomes.clone(), action);
        }
        Ok(())
    }

    /// Adds the outcomes to one call on every architecture that has it.
    fn name(&mut self, name: &str, outcomes: std::ops::Range<u32>, action: u32) {
        // A name that is not known belongs to a kernel that is newer than this program.
        let Some(numbers) = table::find(name) else { return };
        for (arch, rules) in self.arches.iter().zip(&mut self.per_arch) {
            if let Some(number) = numbers.on(*arch) {
                rules.newest = rules.newest.max(Some(number));
                rules.rules.extend(outcomes.clone().map(|o| (number, o)));
            }
        }
        if !outcomes.is_empty()
            && let Some(multiplexed) = Multiplexed::of(name)
        {
            self.multiplexed(&multiplexed, outcomes, action);
        }
    }

    /// Adds the outcome to the call that stands for many: `socketcall` and `ipc`.
    ///
    /// Its real arguments lie in memory, where no filter can look. So conditions are dropped
    /// when the action denies, and the whole rule is when it lets through: either way nobody
    /// gets around the profile by this door.
    fn multiplexed(&mut self, call: &Multiplexed, outcomes: std::ops::Range<u32>, action: u32) {
        let unconditional = self.outcomes[outcomes.start as usize].conditions.is_empty();
        if !unconditional && action::lets_through(action) {
            return;
        }
        let Some(numbers) = table::find(call.carrier) else { return };
        let mut outcome = None;
        for (arch, rules) in self.arches.iter().zip(&mut self.per_arch) {
            let Some(number) = numbers.on(*arch) else { continue };
            let outcome = *outcome.get_or_insert_with(|| {
                let condition =
                    Condition { index: 0, test: Test::Masked(call.mask), value: call.number, negated: false };
                self.outcomes.push(Outcome { conditions: vec![condition], action });
                self.outcomes.len() as u32 - 1
            });
            rules.rules.push((number, outcome));
        }
    }
}

/// Conditions on different arguments hold together. When one argument has several, each condition
/// is a rule of its own: so libseccomp based runtimes have always read such profiles.
fn alternatives(conditions: Vec<Condition>) -> impl Iterator<Item = Vec<Condition>> {
    let repeated = conditions.iter().enumerate().any(|(i, c)| conditions[..i].iter().any(|d| d.index == c.index));
    let (together, apart) =
        if repeated { (None, conditions) } else { (Some(conditions), Vec::new()) };
    together.into_iter().chain(apart.into_iter().map(|c| vec![c]))
}

/// A call that some architectures (also) pass through another one: socketcall(2), ipc(2).
struct Multiplexed {
    carrier: &'static str,
    number: u64,
    /// ipc(2) keeps a version in the upper half of its first argument.
    mask: u64,
}

const SOCKET_CALLS: [&str; 20] = [
    "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send",
    "recv", "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4",
    "recvmmsg", "sendmmsg",
];

const IPC_CALLS: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

impl Multiplexed {
    fn of(name: &str) -> Option<Multiplexed> {
        if let Some(at) = SOCKET_CALLS.iter().position(|n| *n == name) {
            return Some(Multiplexed { carrier: "socketcall", number: at as u64 + 1, mask: 0xffff_ffff });
        }
        let (_, number) = IPC_CALLS.iter().find(|(n, _)| *n == name)?;
        Some(Multiplexed { carrier: "ipc", number: *number, mask: 0xffff })
    }
}
