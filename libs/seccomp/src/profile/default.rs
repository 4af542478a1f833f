//! Docker's default profile; see data/docker-default.txt.

use runtime_spec::SyscallArg;

use super::{ArchMapping, Conditions, Profile, Rule};

const TEXT: &str = include_str!("../../data/docker-default.txt");

/// Docker's default profile, for every architecture, capability and kernel.
pub fn docker_default() -> Profile {
    let mut profile =
        Profile { default_action: "SCMP_ACT_ERRNO".into(), default_errno_ret: Some(1), ..Profile::default() };
    for line in TEXT.lines().filter(|l| !l.starts_with('#')) {
        if let Some(arches) = line.strip_prefix("arch ") {
            profile.arch_map.extend(mapping(arches));
        } else if let Some(names) = line.strip_prefix("    ") {
            // A line that goes on.
            if let Some(rule) = profile.syscalls.last_mut() {
                rule.names.extend(names.split(' ').map(str::to_owned));
            }
        } else if let Some((head, names)) = line.split_once(": ") {
            let mut rule = rule(head);
            rule.names = names.split(' ').map(str::to_owned).collect();
            profile.syscalls.push(rule);
        }
    }
    profile
}

fn mapping(arches: &str) -> Option<ArchMapping> {
    let mut names = arches.split(' ').map(|a| format!("SCMP_ARCH_{a}"));
    Some(ArchMapping { architecture: names.next()?, sub_architectures: names.collect() })
}

/// Everything before the colon.
fn rule(head: &str) -> Rule {
    let mut rule = Rule { action: "SCMP_ACT_ALLOW".into(), ..Rule::default() };
    let (mut includes, mut excludes) = (Conditions::default(), Conditions::default());
    let words = |list: &str| list.split(',').map(str::to_owned).collect::<Vec<_>>();
    for word in head.split(' ') {
        if let Some(errno) = word.strip_prefix("errno=") {
            rule.action = "SCMP_ACT_ERRNO".into();
            rule.errno_ret = errno.parse().ok();
        } else if let Some(version) = word.strip_prefix("kernel>=") {
            includes.min_kernel = Some(version.into());
        } else if let Some(arches) = word.strip_prefix("arch=") {
            includes.arches = words(arches);
        } else if let Some(arches) = word.strip_prefix("arch!=") {
            excludes.arches = words(arches);
        } else if let Some(cap) = word.strip_prefix("cap=") {
            includes.caps.push(cap.into());
        } else if let Some(cap) = word.strip_prefix("cap!=") {
            excludes.caps.push(cap.into());
        } else if let Some(test) = word.strip_prefix("arg") {
            rule.args.extend(argument(test));
        }
    }
    rule.includes = Some(includes).filter(|c| *c != Conditions::default());
    rule.excludes = Some(excludes).filter(|c| *c != Conditions::default());
    rule
}

/// "0<38", "0&0x7e020000=0".
fn argument(test: &str) -> Option<SyscallArg> {
    let at = test.find(['<', '=', '>', '&'])?;
    let (index, operands) = (test[..at].parse().ok()?, &test[at + 1..]);
    let arg = |op: &str, value, value_two| SyscallArg { index, value, value_two, op: op.into() };
    Some(match &test[at..=at] {
        "<" => arg("SCMP_CMP_LT", operands.parse().ok()?, 0),
        "=" => arg("SCMP_CMP_EQ", operands.parse().ok()?, 0),
        ">" => arg("SCMP_CMP_GT", operands.parse().ok()?, 0),
        _ => {
            let (mask, value) = operands.strip_prefix("0x")?.split_once('=')?;
            arg("SCMP_CMP_MASKED_EQ", u64::from_str_radix(mask, 16).ok()?, value.parse().ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;
    use crate::arch::Arch;
    use crate::filter::Filter;

    fn resolved(arch: Arch, capabilities: &[&str], kernel: (u32, u32)) -> runtime_spec::Seccomp {
        docker_default().resolve(&Target { capabilities, arch, kernel }).unwrap()
    }

    fn names(profile: &runtime_spec::Seccomp) -> Vec<&str> {
        profile.syscalls.iter().flat_map(|s| s.names.iter().map(String::as_str)).collect()
    }

    #[test]
    fn every_line_of_the_data_is_understood() {
        let profile = docker_default();
        let heads = TEXT.lines().filter(|l| l.starts_with("allow") || l.starts_with("errno"));
        assert_eq!(profile.syscalls.len(), heads.clone().count());
        for (rule, head) in profile.syscalls.iter().zip(heads) {
            let words = head.split(':').next().unwrap().split(' ').count() - 1;
            let of = |c: &Option<Conditions>| {
                c.as_ref().map_or(0, |c| {
                    usize::from(!c.arches.is_empty()) + c.caps.len() + usize::from(c.min_kernel.is_some())
                })
            };
            assert_eq!(of(&rule.includes) + of(&rule.excludes) + rule.args.len(), words, "{head}");
            assert!(rule.names.iter().all(|n| crate::table::find(n).is_some()), "{head}");
        }
    }

    #[test]
    fn conditions_choose_rules() {
        let plain = resolved(Arch::X86_64, &[], (6, 1));
        assert!(names(&plain).contains(&"ptrace"));
        assert!(!names(&plain).contains(&"mount"));
        assert_eq!(plain.syscalls.iter().filter(|s| s.names == ["clone3"]).count(), 1);
        assert!(!names(&resolved(Arch::X86_64, &[], (4, 4))).contains(&"ptrace"));
        let admin = resolved(Arch::X86_64, &["CAP_SYS_ADMIN"], (6, 1));
        assert!(names(&admin).contains(&"mount"));
        assert!(admin.syscalls.iter().all(|s| s.names != ["clone3"]));
        let s390 = resolved(Arch::S390x, &[], (6, 1));
        let clone = s390.syscalls.iter().find(|s| s.names == ["clone"]).unwrap();
        assert_eq!((clone.args[0].index, clone.args[0].value), (1, 0x7e02_0000));
        assert!(resolved(Arch::Ppc64le, &[], (6, 1)).architectures.is_empty());
    }

    #[test]
    fn it_compiles_everywhere() {
        for arch in Arch::ALL {
            let filter = Filter::compile_for(&resolved(arch, &[], (6, 1)), arch).unwrap();
            assert!(filter.program().len() < 1024, "{arch:?}: {}", filter.program().len());
        }
    }

    #[test]
    fn profiles_of_people_are_read() {
        let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":null,"syscalls":[
            {"name":"mkdir","action":"SCMP_ACT_ERRNO","args":null,"comment":"","includes":{},"excludes":{}}]}"#;
        let profile: Profile = serde_json::from_str(text).unwrap();
        let target = Target { capabilities: &[] as &[&str], arch: Arch::X86_64, kernel: (6, 1) };
        assert_eq!(profile.resolve(&target).unwrap().syscalls[0].names, ["mkdir"]);
        let empty: Profile = serde_json::from_str("{}").unwrap();
        assert_eq!(empty.try_resolve(&target).unwrap(), None);
        for (text, message) in [
            (
                r#"{"defaultAction":"A","architectures":["a"],"archMap":[{}]}"#,
                "both 'architectures' and 'archMap'",
            ),
            (r#"{"defaultAction":"A","syscalls":[{"name":"a","names":["b"]}]}"#, "both 'name' and 'names'"),
            (
                r#"{"defaultAction":"A","syscalls":[{"name":"a","includes":{"minKernel":"x"}}]}"#,
                "invalid kernel version",
            ),
        ] {
            let profile: Profile = serde_json::from_str(text).unwrap();
            assert!(profile.resolve(&target).unwrap_err().to_string().contains(message), "{text}");
        }
    }
}
