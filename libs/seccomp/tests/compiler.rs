//! Compiled profiles against a plain reading of the same profile, call by call.

mod support;

use proptest::prelude::*;
use runtime_spec::{Seccomp, Syscall, SyscallArg};
use support::{ALLOW, Call, ENOSYS, ERRNO, KILL, expected, run};
use wherry_seccomp::{ACTIONS, Arch, Error, Filter, OPERATORS, calls, number, supported_flags};

fn profile(json: &str) -> Seccomp {
    serde_json::from_str(json).unwrap()
}

fn verdict(profile: &Seccomp, native: Arch, arch: Arch, name: &str, args: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    let filter = Filter::compile_for(profile, native).unwrap();
    run(filter.program(), &Call { arch, number: number(name, arch).unwrap(), args: all })
}

/// Every number that could matter, with its neighbours.
fn numbers(arch: Arch) -> impl Iterator<Item = u32> {
    let base = if arch == Arch::X32 { 0x4000_0000 } else { 0 };
    (0..600).map(move |n| base + n).chain([
        983_041,
        983_046,
        983_047,
        0x3fff_ffff,
        0x4000_0000,
        u32::MAX - 1,
        u32::MAX,
    ])
}

#[test]
fn an_allow_list_on_every_architecture() {
    let names: Vec<String> =
        calls(Arch::X86_64).map(|(n, _)| n.to_owned()).filter(|n| n.len() % 3 != 0).collect();
    for native in Arch::ALL {
        let profile = Seccomp {
            default_action: "SCMP_ACT_ERRNO".into(),
            architectures: Arch::ALL.iter().map(|a| a.spec_name().to_owned()).collect(),
            syscalls: vec![Syscall {
                names: names.clone(),
                action: "SCMP_ACT_ALLOW".into(),
                ..Syscall::default()
            }],
            ..Seccomp::default()
        };
        let filter = Filter::compile_for(&profile, native).unwrap();
        for arch in Arch::ALL {
            for number in numbers(arch) {
                let call = Call { arch, number, args: [0; 6] };
                // socketcall and ipc also stand for what the list has.
                let carrier = |name| wherry_seccomp::number(name, arch) == Some(number);
                if carrier("socketcall") || carrier("ipc") {
                    continue;
                }
                assert_eq!(run(filter.program(), &call), expected(&profile, native, &call), "{call:?}");
            }
        }
    }
}

#[test]
fn foreign_architectures_kill_and_newer_calls_do_not_exist() {
    let p = profile(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read","openat2"],"action":"SCMP_ACT_ALLOW"}]}"#,
    );
    let at = |arch, number| {
        run(Filter::compile_for(&p, Arch::X86_64).unwrap().program(), &Call { arch, number, args: [0; 6] })
    };
    assert_eq!(at(Arch::X86_64, 0), ALLOW);
    assert_eq!(at(Arch::X86_64, 437), ALLOW);
    assert_eq!(at(Arch::X86_64, 438), ENOSYS);
    assert_eq!(at(Arch::X86_64, 1), ERRNO | 1);
    assert_eq!(at(Arch::X86_64, 0x4000_0000), KILL);
    assert_eq!(at(Arch::X86_64, u32::MAX), ERRNO | 1);
    assert_eq!(at(Arch::Aarch64, 0), KILL);
    // A list that forbids needs no such help: the kernel knows what it does not know.
    let p = profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":5}]}"#,
    );
    let at = |number| {
        run(
            Filter::compile_for(&p, Arch::X86_64).unwrap().program(),
            &Call { arch: Arch::X86_64, number, args: [0; 6] },
        )
    };
    assert_eq!((at(0), at(9999)), (ERRNO | 5, ALLOW));
}

#[test]
fn multiplexed_calls_are_no_way_around() {
    let deny = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"syscalls":[
        {"names":["socket","shmat"],"action":"SCMP_ACT_ERRNO"},
        {"names":["connect"],"action":"SCMP_ACT_ERRNO","args":[{"index":1,"value":5,"op":"SCMP_CMP_EQ"}]}]}"#;
    let p = profile(deny);
    let x86 = |name, args: &[u64]| verdict(&p, Arch::X86_64, Arch::X86, name, args);
    assert_eq!(x86("socket", &[]), ERRNO | 1);
    assert_eq!(x86("socketcall", &[1]), ERRNO | 1);
    assert_eq!(x86("socketcall", &[3]), ERRNO | 1);
    assert_eq!(x86("socketcall", &[2]), ALLOW);
    assert_eq!(x86("ipc", &[21]), ERRNO | 1);
    assert_eq!(x86("ipc", &[1 << 16 | 21]), ERRNO | 1);
    assert_eq!(x86("ipc", &[22]), ALLOW);
    let p = profile(
        &deny
            .replace("SCMP_ACT_ERRNO", "X")
            .replace("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO")
            .replace("\"X\"", "\"SCMP_ACT_ALLOW\""),
    );
    let x86 = |name, args: &[u64]| verdict(&p, Arch::X86_64, Arch::X86, name, args);
    assert_eq!(x86("socketcall", &[1]), ALLOW);
    // Allowed under a condition that cannot be looked at here.
    assert_eq!(x86("socketcall", &[3]), ERRNO | 1);
}

#[test]
fn bad_profiles_are_refused_by_name() {
    let refusal = |json: &str| Filter::compile(&profile(json)).unwrap_err();
    let text = |json: &str| refusal(json).to_string();
    assert!(text(r#"{"defaultAction":"SCMP_ACT_NO"}"#).contains("unknown action \"SCMP_ACT_NO\""));
    assert!(text(r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["F"]}"#).contains("unknown flag \"F\""));
    assert!(
        text(r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["A"]}"#)
            .contains("unknown architecture \"A\"")
    );
    assert!(matches!(refusal(r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#), Error::Notify(_)));
    let rule = |rule: &str| format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}"#);
    assert_eq!(
        text(&rule(r#"{"names":["write"],"action":"SCMP_ACT_NOTIFY"}"#)),
        "SCMP_ACT_NOTIFY cannot be used for the write syscall"
    );
    assert!(text(&rule(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":4096}"#)).contains("4096"));
    for arg in [r#"{"index":6,"value":0,"op":"SCMP_CMP_EQ"}"#, r#"{"index":0,"value":0,"op":"=="}"#] {
        refusal(&rule(&format!(r#"{{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{arg}]}}"#)));
    }
    Filter::compile(&profile(&rule(r#"{"names":["a_call_of_2040"],"action":"SCMP_ACT_ERRNO"}"#))).unwrap();
}

#[test]
fn a_notify_rule_asks_for_a_listener() {
    let p = profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}"#,
    );
    let filter = Filter::compile(&p).unwrap();
    assert!(filter.has_listener());
    assert_eq!(filter.flags(), 1 << 1 | 1 << 3);
}

#[test]
fn a_profile_without_flags_leaves_speculation_as_it_is() {
    let flags = |json: &str| Filter::compile_for(&profile(json), Arch::X86_64).unwrap().flags();
    assert_eq!(flags(r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":[]}"#), 0);
    let supported = supported_flags().any(|word| word == "SECCOMP_FILTER_FLAG_SPEC_ALLOW");
    let default = if supported { 1 << 2 } else { 0 };
    assert_eq!(flags(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#), default);
    assert_eq!(flags(r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":null}"#), default);
}

fn arg() -> impl Strategy<Value = SyscallArg> {
    let value = prop_oneof![0u64..4, Just(1 << 32), Just(u64::MAX), Just(u64::from(u32::MAX)), any::<u64>()];
    (0u32..3, value.clone(), value, prop::sample::select(OPERATORS.to_vec()))
        .prop_map(|(index, value, value_two, op)| SyscallArg { index, value, value_two, op: op.into() })
}

fn rule() -> impl Strategy<Value = Syscall> {
    let names = prop::sample::select(vec![
        "read",
        "write",
        "clone",
        "clone3",
        "openat2",
        "personality",
        "ioctl",
        "mmap",
        "set_tls",
        "futex",
        "nothing",
    ]);
    let actions: Vec<&str> = ACTIONS.into_iter().filter(|a| *a != "SCMP_ACT_NOTIFY").collect();
    let args = prop_oneof![1 => Just(vec![]), 4 => prop::collection::vec(arg(), 1..4)];
    (prop::collection::vec(names, 1..4), prop::sample::select(actions), prop::option::of(0u32..4096), args)
        .prop_map(|(names, action, errno_ret, args)| Syscall {
            names: names.into_iter().map(str::to_owned).collect(),
            action: action.into(),
            errno_ret,
            args,
        })
}

fn any_profile() -> impl Strategy<Value = Seccomp> {
    let actions: Vec<&str> = ACTIONS.into_iter().filter(|a| *a != "SCMP_ACT_NOTIFY").collect();
    (
        prop::sample::select(actions),
        prop::option::of(0u32..60),
        prop::sample::subsequence(Arch::ALL.to_vec(), 0..4),
        prop::collection::vec(rule(), 0..12),
    )
        .prop_map(|(default, errno, arches, syscalls)| Seccomp {
            default_action: default.into(),
            default_errno_ret: errno,
            architectures: arches.into_iter().map(|a| a.spec_name().to_owned()).collect(),
            syscalls,
            ..Seccomp::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn programs_mean_their_profiles(
        profile in any_profile(),
        native in prop::sample::select(Arch::ALL.to_vec()),
        args in prop::collection::vec(prop::array::uniform6(prop_oneof![0u64..5, Just(1 << 32), any::<u64>()]), 8),
    ) {
        let filter = Filter::compile_for(&profile, native).unwrap();
        // Values of the conditions themselves, so that they meet.
        let values = profile.syscalls.iter().flat_map(|s| &s.args).flat_map(|a| [a.value, a.value_two, a.value.wrapping_add(1)]);
        let edges: Vec<[u64; 6]> = values.map(|v| [v; 6]).collect();
        for arch in Arch::ALL {
            let names = ["read", "clone", "clone3", "openat2", "personality", "ioctl", "mmap", "set_tls", "futex"];
            let known = names.into_iter().filter_map(|n| number(n, arch));
            for number in known.chain([0, 1, 436, 470, 0x4000_0000, u32::MAX]) {
                for args in args.iter().chain(&edges) {
                    let call = Call { arch, number, args: *args };
                    prop_assert_eq!(run(filter.program(), &call), expected(&profile, native, &call), "{:?} {:?}", call, profile);
                }
            }
        }
    }
}
