//! A machine for classic BPF over struct seccomp_data, and a reading of profiles without any code
//! generation to compare with.

use runtime_spec::Seccomp;
use syscalls::seccomp::Instruction;
use wherry_seccomp::{Arch, number};

pub const KILL: u32 = 0;
pub const ALLOW: u32 = 0x7fff_0000;
pub const ERRNO: u32 = 0x0005_0000;
pub const ENOSYS: u32 = ERRNO | 38;

#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub arch: Arch,
    pub number: u32,
    pub args: [u64; 6],
}

/// Runs a program as the kernel would, and checks what its verifier checks.
pub fn run(program: &[Instruction], call: &Call) -> u32 {
    let word = |offset: u32| -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 64);
        match offset {
            0 => call.number,
            4 => call.arch.audit(),
            8 | 12 => 0,
            _ => {
                let arg = call.args[(offset as usize - 16) / 8];
                let second = (offset - 16) % 8 == 4;
                // The upper half comes first on big endian machines.
                if second == (call.arch == Arch::S390x) { arg as u32 } else { (arg >> 32) as u32 }
            }
        }
    };
    let (mut pc, mut a) = (0, 0u32);
    loop {
        let i = program[pc];
        pc += 1;
        let mut jump = |holds: bool| pc += usize::from(if holds { i.jt } else { i.jf });
        match i.code {
            0x20 => a = word(i.k),
            0x54 => a &= i.k,
            0x05 => pc += i.k as usize,
            0x15 => jump(a == i.k),
            0x25 => jump(a > i.k),
            0x35 => jump(a >= i.k),
            0x06 => return i.k,
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

fn action(word: &str, errno: Option<u32>) -> u32 {
    let data = errno.unwrap_or(1);
    match word {
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_ERRNO" => ERRNO | data,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | data,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_NOTIFY" => 0x7fc0_0000,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => KILL,
        other => panic!("{other}"),
    }
}

/// What a call gets, read off the profile rule by rule. Multiplexed calls are not modelled.
pub fn expected(profile: &Seccomp, native: Arch, call: &Call) -> u32 {
    let default = action(&profile.default_action, profile.default_errno_ret);
    let listed = |a: Arch| a == native || profile.architectures.iter().any(|n| n == a.spec_name());
    // x32 calls come with x86-64's audit number.
    let arch = match call.arch {
        Arch::X86_64 | Arch::X32 if call.number & 0x4000_0000 != 0 => Arch::X32,
        Arch::X32 => Arch::X86_64,
        arch => arch,
    };
    if arch == Arch::X32 && !listed(Arch::X32) && listed(Arch::X86_64) {
        return if call.number == u32::MAX { default } else { KILL };
    }
    if arch == Arch::X86_64 && !listed(Arch::X86_64) && listed(Arch::X32) {
        return KILL;
    }
    if !listed(arch) {
        return KILL;
    }
    let names = profile.syscalls.iter().flat_map(|s| &s.names);
    let newest = names.filter_map(|n| number(n, arch)).max();
    let permissive = matches!(default & 0xffff_0000, ALLOW | 0x7ffc_0000 | 0x7ff0_0000);
    let stub = newest.is_some() && !permissive && default != ENOSYS;
    if stub && (newest.is_some_and(|n| call.number > n) || (arch == Arch::S390x && call.number == 0)) {
        return ENOSYS;
    }
    let wide = !matches!(arch, Arch::X86 | Arch::Arm | Arch::X32);
    let cut = |v: u64| if wide { v } else { v & 0xffff_ffff };
    let mut verdict = None;
    for rule in &profile.syscalls {
        let does = action(&rule.action, rule.errno_ret);
        if does == default || !rule.names.iter().any(|n| number(n, arch) == Some(call.number)) {
            continue;
        }
        if rule.args.is_empty() {
            return first_unconditional(profile, arch, call.number, default);
        }
        let holds = |arg: &runtime_spec::SyscallArg| {
            let (got, value) = (cut(call.args[arg.index as usize]), cut(arg.value));
            match arg.op.as_str() {
                "SCMP_CMP_EQ" => got == value,
                "SCMP_CMP_NE" => got != value,
                "SCMP_CMP_LT" => got < value,
                "SCMP_CMP_LE" => got <= value,
                "SCMP_CMP_GT" => got > value,
                "SCMP_CMP_GE" => got >= value,
                "SCMP_CMP_MASKED_EQ" => got & value == cut(arg.value_two),
                other => panic!("{other}"),
            }
        };
        let mut indices: Vec<u32> = rule.args.iter().map(|a| a.index).collect();
        indices.sort_unstable();
        let repeated = indices.windows(2).any(|w| w[0] == w[1]);
        let matches = if repeated { rule.args.iter().any(holds) } else { rule.args.iter().all(holds) };
        if matches && verdict.is_none() {
            verdict = Some(does);
        }
    }
    verdict.unwrap_or(default)
}

fn first_unconditional(profile: &Seccomp, arch: Arch, number_of_call: u32, default: u32) -> u32 {
    profile
        .syscalls
        .iter()
        .filter(|r| r.args.is_empty() && r.names.iter().any(|n| number(n, arch) == Some(number_of_call)))
        .map(|r| action(&r.action, r.errno_ret))
        .find(|a| *a != default)
        .unwrap_or(default)
}
