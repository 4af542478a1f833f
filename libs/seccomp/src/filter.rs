//! Filters: compiling a profile, and loading the result.

use std::os::fd::OwnedFd;

use syscalls::seccomp::{self, Instruction};

use crate::action;
use crate::arch::Arch;
use crate::error::{Error, Result};
use crate::generate;
use crate::rules;
use runtime_spec::Seccomp;

/// BPF_MAXINSNS of linux/bpf_common.h.
const LONGEST: usize = 4096;

/// Filter flags of the specification with the kernel's bits.
///
/// TSYNC is taken and has no effect, as in runc: the caller of [`Filter::load`] has one thread.
const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_LOG", 1 << 1),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1 << 5),
];

/// Leaves speculative store bypass as it is, instead of switching it off at a price.
const SPEC_ALLOW: u32 = 1 << 2;

/// A profile compiled for one native architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    program: Vec<Instruction>,
    flags: u32,
}

impl Filter {
    /// Compiles a profile for this machine.
    ///
    /// Reading of profiles, where the specification leaves room, is that of libseccomp based
    /// runtimes: the native architecture is always in; calls of architectures that are not kill
    /// the thread; unknown call names are passed over; a rule without conditions wins over those
    /// with; several conditions on one argument are alternatives; calls newer than the newest one
    /// named get ENOSYS unless the default action lets them through.
    /// Rules with conditions are tried in their order. A profile that says nothing of flags gets
    /// SPEC_ALLOW where the kernel has it, as with runc.
    ///
    /// Errors: unknown words, SCMP_ACT_NOTIFY for `write` or as default, a filter too long.
    pub fn compile(profile: &Seccomp) -> Result<Filter> {
        Filter::compile_for(profile, Arch::native().ok_or(Error::NativeArch)?)
    }

    /// As [`Filter::compile`], for a machine of another architecture.
    pub fn compile_for(profile: &Seccomp, native: Arch) -> Result<Filter> {
        let mut flags = match &profile.flags {
            Some(words) => parse_flags(words)?,
            None if seccomp::flags_available(SPEC_ALLOW) => SPEC_ALLOW,
            None => 0,
        };
        let rules = rules::resolve(profile, native)?;
        if rules.listener {
            flags |= seccomp::NEW_LISTENER;
        }
        let program = generate::program(&rules);
        if program.len() > LONGEST {
            return Err(Error::TooLong(program.len()));
        }
        Ok(Filter { program, flags })
    }

    /// Installs the filter on the calling thread, for good.
    ///
    /// Returns the notify descriptor (close-on-exec) when the profile has SCMP_ACT_NOTIFY rules;
    /// it goes to the agent at the profile's `listenerPath`. Makes one system call, allocates
    /// nothing unless it fails.
    ///
    /// Errors: [`Error::Load`], with EACCES when the caller has neither CAP_SYS_ADMIN nor
    /// no_new_privs.
    pub fn load(&self) -> Result<Option<OwnedFd>> {
        seccomp::set_filter(self.flags, &self.program).map_err(Error::Load)
    }

    /// The BPF program, as the kernel takes it.
    pub fn program(&self) -> &[Instruction] {
        &self.program
    }

    /// SECCOMP_FILTER_FLAG_* bits.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// True when [`Filter::load`] returns a notify descriptor.
    pub fn has_listener(&self) -> bool {
        self.flags & seccomp::NEW_LISTENER != 0
    }
}

fn parse_flags(words: &[String]) -> Result<u32> {
    words.iter().try_fold(0, |flags, word| {
        let known = FLAGS.iter().find(|(name, _)| name == word);
        Ok(flags | known.ok_or_else(|| Error::Unknown { what: "flag", word: word.clone() })?.1)
    })
}

/// Every flag word that a profile may have, sorted.
pub fn known_flags() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().map(|(name, _)| *name)
}

/// The flag words that the running kernel takes, too, sorted.
pub fn supported_flags() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().filter(|(_, bits)| seccomp::flags_available(*bits)).map(|(name, _)| *name)
}

/// True when the running kernel can filter calls.
pub fn is_available() -> bool {
    seccomp::action_available(action::ALLOW)
}
