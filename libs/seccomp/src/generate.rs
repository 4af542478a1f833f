//! From resolved rules to a program: one binary search over call numbers for each architecture.

use syscalls::seccomp::Instruction;

use crate::action;
use crate::arch::{Arch, X32_BIT};
use crate::code::{Code, Label};
use crate::rules::{ArchRules, Entry, Outcome, Rules};

/// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// A tracer's "skip this call" in place of a number.
const SKIPPED: u32 = u32::MAX;

/// What a run of call numbers gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Return(u32),
    /// Conditions have to be looked at: the label of the code that does.
    Test(Label),
}

/// A run of call numbers, up to the next one's start.
type Run = (u32, Fate);

pub(crate) fn program(rules: &Rules) -> Vec<Instruction> {
    let mut code = Code::with_capacity(1024);
    let mut searches: Vec<(Arch, Label)> = Vec::new();
    // Backwards: what is written last runs first, and that should be the native architecture.
    for (at, arch) in rules.arches.iter().enumerate().rev() {
        // x32 shares the audit number of x86-64 and is searched there.
        if *arch == Arch::X32 && rules.arches.contains(&Arch::X86_64) {
            continue;
        }
        let mut runs = runs(&mut code, rules, *arch, &rules.per_arch[at]);
        match arch {
            Arch::X86_64 => add_x32(&mut code, rules, &mut runs),
            // x32 alone: calls without its bit are of an architecture that is not listed.
            Arch::X32 => runs.insert(0, (0, Fate::Return(action::KILL_THREAD))),
            _ => {}
        }
        let search = code.load_and(NUMBER, |code| search(code, &runs));
        searches.push((*arch, search));
    }
    let entry = code.load_and(ARCH, |code| {
        let unknown = code.ret(action::KILL_THREAD);
        searches.iter().fold(unknown, |next, (arch, label)| code.jump_eq(arch.audit(), *label, next))
    });
    code.finish(entry)
}

/// The runs of one architecture, from 0 on, without neighbours of the same fate.
fn runs(code: &mut Code, rules: &Rules, arch: Arch, own: &ArchRules) -> Vec<Run> {
    let default = Fate::Return(rules.default);
    let floor = if arch == Arch::X32 { X32_BIT } else { 0 };
    let mut runs = Vec::with_capacity(own.rules.len() / 2 + 4);
    let mut next = floor;
    for group in own.rules.chunk_by(|a, b| a.number() == b.number()) {
        let number = group[0].number();
        if number > next {
            extend(&mut runs, next, default);
        }
        let fate = fate(code, rules, arch, group);
        extend(&mut runs, number, fate);
        next = number + 1;
    }
    let newest = own.newest.filter(|_| rules.enosys);
    if newest.is_none_or(|n| n >= next) {
        extend(&mut runs, next, default);
    }
    if let Some(newest) = newest {
        extend(&mut runs, newest + 1, Fate::Return(action::NO_SUCH_CALL));
    }
    // s390 passes unknown large numbers as 0, which is no call of its own any more.
    if arch == Arch::S390x && newest.is_some() && runs[0].0 == 0 {
        let rest = runs[0].1;
        runs[0].1 = Fate::Return(action::NO_SUCH_CALL);
        if runs.get(1).is_none_or(|r| r.0 > 1) {
            runs.insert(1, (1, rest));
        }
    }
    runs
}

fn extend(runs: &mut Vec<Run>, start: u32, fate: Fate) {
    match runs.last_mut() {
        Some(last) if last.1 == fate => {}
        Some(last) if last.0 == start => last.1 = fate,
        _ => runs.push((start, fate)),
    }
}

/// Numbers with bit 30 set: x32's own, or calls of an architecture that is not in the profile.
fn add_x32(code: &mut Code, rules: &Rules, runs: &mut Vec<Run>) {
    match rules.arches.iter().position(|a| *a == Arch::X32) {
        Some(at) => {
            let own = self::runs(code, rules, Arch::X32, &rules.per_arch[at]);
            own.into_iter().for_each(|(start, fate)| extend(runs, start, fate));
        }
        None => {
            extend(runs, X32_BIT, Fate::Return(action::KILL_THREAD));
            extend(runs, SKIPPED, Fate::Return(rules.default));
        }
    }
}

/// What the rules of one call come to.
fn fate(code: &mut Code, rules: &Rules, arch: Arch, group: &[Entry]) -> Fate {
    let outcomes = || group.iter().map(|entry| &rules.outcomes[entry.outcome()]);
    if let Some(always) = outcomes().find(|o| o.conditions.is_empty()) {
        return Fate::Return(always.action);
    }
    let otherwise = code.ret(rules.default);
    let start = outcomes().rev().fold(otherwise, |no, outcome| test(code, arch, outcome, no));
    Fate::Test(start)
}

/// Code that goes on to `no` unless all conditions hold.
fn test(code: &mut Code, arch: Arch, outcome: &Outcome, no: Label) -> Label {
    let yes = code.ret(outcome.action);
    outcome.conditions.iter().rev().fold(yes, |yes, condition| condition.emit(code, arch, yes, no))
}

/// Binary search for the run that holds the number in the accumulator.
fn search(code: &mut Code, runs: &[Run]) -> Label {
    if let [(_, fate)] = runs {
        return match *fate {
            Fate::Return(value) => code.ret(value),
            Fate::Test(label) => label,
        };
    }
    let (low, high) = runs.split_at(runs.len() / 2);
    let above = search(code, high);
    let below = search(code, low);
    code.jump_ge(high[0].0, above, below)
}
