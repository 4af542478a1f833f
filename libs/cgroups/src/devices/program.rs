//! The eBPF program that stands for a device policy (BPF_PROG_TYPE_CGROUP_DEVICE).

use syscalls::bpf::Instruction;

use super::policy::{Access, Kind, Policy};

/// Registers: r0 result, r1 context, r2 kind, r3 access, r4 major, r5 minor.
const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R3: u8 = 3;
const R4: u8 = 4;
const R5: u8 = 5;

const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const MOVE: u8 = 0xb4; // BPF_ALU | BPF_MOV | BPF_K
const MOVE_REGISTER: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const AND: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT_RIGHT: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const UNLESS_EQUAL: u8 = 0x56; // BPF_JMP32 | BPF_JNE | BPF_K
const IF_ANY_BIT: u8 = 0x46; // BPF_JMP32 | BPF_JSET | BPF_K
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

/// Offsets in struct bpf_cgroup_dev_ctx: u32 access_type (kind in the low half, access in the
/// high one), u32 major, u32 minor.
const ACCESS_TYPE: i16 = 0;
const MAJOR: i16 = 4;
const MINOR: i16 = 8;

/// Assembles the program: the first exception that covers the device and all of the access asked
/// for decides, else the default does.
///
/// For a default that allows, an exception denies what has any of its access.
pub(crate) fn assemble(policy: &Policy) -> Vec<Instruction> {
    let mut code = vec![
        ldx(R2, R1, ACCESS_TYPE),
        op(MOVE_REGISTER, R3, R2, 0, 0),
        op(AND, R2, 0, 0, 0xffff),
        op(SHIFT_RIGHT, R3, 0, 0, 16),
        ldx(R4, R1, MAJOR),
        ldx(R5, R1, MINOR),
    ];
    for (devices, access) in &policy.exceptions {
        let kind = match devices.kind {
            Kind::Block => 1,
            Kind::Char => 2,
        };
        let mut tests = vec![op(UNLESS_EQUAL, R2, 0, 0, kind)];
        tests.extend(devices.major.map(|n| op(UNLESS_EQUAL, R4, 0, 0, n as i32)));
        tests.extend(devices.minor.map(|n| op(UNLESS_EQUAL, R5, 0, 0, n as i32)));
        match (policy.allow, *access) {
            (_, Access::ALL) => {}
            // Any access beyond the exception's: not allowed by it.
            (false, access) => tests.push(op(IF_ANY_BIT, R3, 0, 0, i32::from(!access.0 & 7))),
            // None of the exception's access: not denied by it. Jump over the jump to the next.
            (true, access) => {
                tests.push(op(IF_ANY_BIT, R3, 0, 1, i32::from(access.0)));
                tests.push(op(0x05, 0, 0, 0, 0));
            }
        }
        let verdict = [op(MOVE, R0, 0, 0, i32::from(!policy.allow)), op(EXIT, 0, 0, 0, 0)];
        let last = tests.len();
        for (at, test) in tests.iter_mut().enumerate() {
            // Every test but the one that jumps over a jump goes to the next exception.
            if test.offset == 0 {
                test.offset = (last - at - 1 + verdict.len()) as i16;
            }
        }
        code.extend(tests);
        code.extend(verdict);
    }
    code.extend([op(MOVE, R0, 0, 0, i32::from(policy.allow)), op(EXIT, 0, 0, 0, 0)]);
    code
}

fn ldx(to: u8, from: u8, offset: i16) -> Instruction {
    op(LOAD_WORD, to, from, offset, 0)
}

fn op(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    let registers = if cfg!(target_endian = "little") { to | from << 4 } else { to << 4 | from };
    Instruction { code, registers, offset, immediate }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Devices;
    use super::*;
    use proptest::prelude::*;

    /// Runs a program on a context; counts steps so that a loop would be seen.
    fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [kind | access << 16, major, minor];
        let mut r = [0u64; 11];
        let mut pc = 0;
        for _ in 0..=program.len() {
            let i = program[pc];
            let (to, from) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            let (a, k) = (r[to] as u32, i.immediate as u32);
            let mut jump = false;
            match i.code {
                LOAD_WORD => r[to] = u64::from(context[i.offset as usize / 4]),
                MOVE => r[to] = u64::from(k),
                MOVE_REGISTER => r[to] = u64::from(r[from] as u32),
                AND => r[to] = u64::from(a & k),
                SHIFT_RIGHT => r[to] = u64::from(a >> k),
                UNLESS_EQUAL => jump = a != k,
                IF_ANY_BIT => jump = a & k != 0,
                0x05 => jump = true,
                EXIT => return r[0],
                other => panic!("unknown instruction {other:#x}"),
            }
            pc += 1 + if jump { i.offset as usize } else { 0 };
        }
        panic!("no end");
    }

    /// What cgroup-v1/devices.rst says of a policy.
    fn allowed(policy: &Policy, kind: u32, access: u8, major: u32, minor: u32) -> bool {
        let matching = policy.exceptions.iter().filter(|(d, _)| {
            (d.kind == Kind::Char) == (kind == 2)
                && d.major.is_none_or(|n| n == major)
                && d.minor.is_none_or(|n| n == minor)
        });
        let mut matching = matching.map(|(_, a)| a.0);
        if policy.allow { !matching.any(|a| a & access != 0) } else { matching.any(|a| access & !a == 0) }
    }

    proptest! {
        #[test]
        fn program_means_the_policy(
            allow: bool,
            entries in prop::collection::vec((any::<bool>(), prop::option::of(0u32..3), prop::option::of(0u32..3), 1u8..8), 0..6),
        ) {
            let exceptions = entries
                .into_iter()
                .map(|(c, major, minor, access)| {
                    (Devices { kind: if c { Kind::Char } else { Kind::Block }, major, minor }, Access(access))
                })
                .collect();
            let policy = Policy { allow, exceptions };
            let program = assemble(&policy);
            for (kind, access, major, minor) in itertools(1..3, 1..8, 0..4, 0..4) {
                prop_assert_eq!(
                    run(&program, kind, u32::from(access), major, minor) == 1,
                    allowed(&policy, kind, access, major, minor),
                    "{:?} {} {} {}:{}", policy, kind, access, major, minor
                );
            }
        }
    }

    fn itertools(
        kinds: std::ops::Range<u32>,
        access: std::ops::Range<u8>,
        majors: std::ops::Range<u32>,
        minors: std::ops::Range<u32>,
    ) -> Vec<(u32, u8, u32, u32)> {
        let mut all = Vec::new();
        for k in kinds {
            for a in access.clone() {
                for x in majors.clone() {
                    all.extend(minors.clone().map(|y| (k, a, x, y)));
                }
            }
        }
        all
    }

    #[test]
    fn the_kernel_takes_programs_of_both_kinds() {
        let rules = crate::default_devices();
        let deny = Policy::from_rules(&rules).unwrap();
        let allow = Policy { allow: true, ..deny.clone() };
        for policy in [deny, allow] {
            syscalls::bpf::load_device_program(&assemble(&policy), c"Apache").unwrap();
        }
    }
}
