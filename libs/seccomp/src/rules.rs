//! From a profile to what every call number of every architecture gets.

use crate::action;
use crate::arch::Arch;
use crate::condition::{Condition, Test};
use crate::error::{Error, Result};
use crate::table;
use runtime_spec::{Seccomp, Syscall};

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
    names: table::Finder,
}

/// An action when all conditions hold; no condition holds always.
pub(crate) struct Outcome {
    pub conditions: Vec<Condition>,
    pub action: u32,
}

#[derive(Default)]
pub(crate) struct ArchRules {
    /// Sorted, so that rules of one call stand together in their order.
    pub rules: Vec<Entry>,
    /// The newest call that the profile names, in a rule of any kind.
    pub newest: Option<u32>,
}

/// A call number with the index of an outcome, in one word because that sorts fastest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry(u64);

impl Entry {
    fn new(number: u32, outcome: u32) -> Entry {
        Entry(u64::from(number) << 32 | u64::from(outcome))
    }

    pub(crate) fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn outcome(self) -> usize {
        self.0 as u32 as usize
    }
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
    let mut rules = Rules {
        arches,
        default,
        enosys,
        listener: false,
        outcomes: Vec::new(),
        per_arch,
        names: table::Finder::default(),
    };
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
        let Some(numbers) = self.names.find(name) else { return };
        for (arch, rules) in self.arches.iter().zip(&mut self.per_arch) {
            if let Some(number) = numbers.on(*arch) {
                rules.newest = rules.newest.max(Some(number));
                rules.rules.extend(outcomes.clone().map(|o| Entry::new(number, o)));
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
            rules.rules.push(Entry::new(number, outcome));
        }
    }
}

/// Conditions on different arguments hold together. When one argument has several, each condition
/// is a rule of its own: so libseccomp based runtimes have always read such profiles.
fn alternatives(conditions: Vec<Condition>) -> impl Iterator<Item = Vec<Condition>> {
    let repeated =
        conditions.iter().enumerate().any(|(i, c)| conditions[..i].iter().any(|d| d.index == c.index));
    let (together, apart) = if repeated { (None, conditions) } else { (Some(conditions), Vec::new()) };
    together.into_iter().chain(apart.into_iter().map(|c| vec![c]))
}

/// The names in a profile that are a call of no architecture, as far as this program knows.
pub fn unknown_calls(profile: &Seccomp) -> impl Iterator<Item = &str> {
    let names = profile.syscalls.iter().flat_map(|rule| &rule.names);
    names.map(String::as_str).filter(|name| table::find(name).is_none())
}

/// A call that some architectures (also) pass through another one: socketcall(2), ipc(2).
struct Multiplexed {
    carrier: &'static str,
    number: u64,
    /// ipc(2) keeps a version in the upper half of its first argument.
    mask: u64,
}

impl Multiplexed {
    fn of(name: &str) -> Option<Multiplexed> {
        let socket = |number| Some(Multiplexed { carrier: "socketcall", number, mask: 0xffff_ffff });
        let ipc = |number| Some(Multiplexed { carrier: "ipc", number, mask: 0xffff });
        match name {
            "socket" => socket(1),
            "bind" => socket(2),
            "connect" => socket(3),
            "listen" => socket(4),
            "accept" => socket(5),
            "getsockname" => socket(6),
            "getpeername" => socket(7),
            "socketpair" => socket(8),
            "send" => socket(9),
            "recv" => socket(10),
            "sendto" => socket(11),
            "recvfrom" => socket(12),
            "shutdown" => socket(13),
            "setsockopt" => socket(14),
            "getsockopt" => socket(15),
            "sendmsg" => socket(16),
            "recvmsg" => socket(17),
            "accept4" => socket(18),
            "recvmmsg" => socket(19),
            "sendmmsg" => socket(20),
            "semop" => ipc(1),
            "semget" => ipc(2),
            "semctl" => ipc(3),
            "semtimedop" => ipc(4),
            "msgsnd" => ipc(11),
            "msgrcv" => ipc(12),
            "msgget" => ipc(13),
            "msgctl" => ipc(14),
            "shmat" => ipc(21),
            "shmdt" => ipc(22),
            "shmget" => ipc(23),
            "shmctl" => ipc(24),
            _ => None,
        }
    }
}
