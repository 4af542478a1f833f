//! Any JSON: as an OCI profile and as one of Docker's, compiled for every architecture. Checks what
//! the kernel's verifier does: jumps stay inside, and the last instruction returns.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp::profile::{Profile, Target};
use seccomp::{Arch, Filter};

fuzz_target!(|data: &[u8]| {
    let profile = serde_json::from_slice::<runtime_spec::Seccomp>(data).ok();
    let docker = serde_json::from_slice::<Profile>(data).ok().and_then(|p| {
        p.try_resolve(&Target { capabilities: &["CAP_SYS_ADMIN"], arch: Arch::X86_64, kernel: (6, 1) }).ok()?
    });
    for profile in profile.into_iter().chain(docker) {
        for arch in Arch::ALL {
            let Ok(filter) = Filter::compile_for(&profile, arch) else { continue };
            let program = filter.program();
            for (at, i) in program.iter().enumerate() {
                let farthest = match i.code & 7 {
                    5 if i.code == 5 => i.k as usize,
                    5 => usize::from(i.jt.max(i.jf)),
                    _ => 0,
                };
                assert!(at + farthest + usize::from(i.code != 6) < program.len());
            }
            assert_eq!(program.last().map(|i| i.code), Some(6));
        }
    }
});
