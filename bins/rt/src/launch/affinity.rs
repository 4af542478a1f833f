//! CPU affinity of an exec'd process (config.md#linux-process, execCPUAffinity).

use process::scheduling::{number_list, set_affinity, unset_affinity};
use runtime_spec::CpuAffinity;

use crate::failure::{Failure, Tried};

/// Takes every CPU that the cgroup allows.
pub fn unbind() -> Result<(), Failure> {
    unset_affinity().tried("cannot reset CPU affinity")
}

/// The CPUs to run on before the cgroup is joined, and after.
#[derive(Debug, Default)]
pub struct Affinity {
    initial: Vec<usize>,
    last: Vec<usize>,
}

impl Affinity {
    pub fn read(affinity: Option<&CpuAffinity>) -> Result<Affinity, Failure> {
        let Some(affinity) = affinity else { return Ok(Affinity::default()) };
        Ok(Affinity { initial: number_list(&affinity.initial)?, last: number_list(&affinity.last)? })
    }

    /// The initial CPUs as a mask, for the log.
    pub fn initial_mask(&self) -> Option<u128> {
        let bits = self.initial.iter().filter(|cpu| **cpu < 128);
        (!self.initial.is_empty()).then(|| bits.fold(0, |mask, cpu| mask | 1 << cpu))
    }

    pub fn set_initial(&self) -> Result<(), Failure> {
        set_affinity(&self.initial).tried("cannot set CPU affinity")
    }

    /// Without any list the process has all CPUs of its cgroup, whatever the caller was bound to.
    pub fn set_last(&self) -> Result<(), Failure> {
        if self.initial.is_empty() && self.last.is_empty() {
            return unbind();
        }
        set_affinity(&self.last).tried("cannot set CPU affinity")
    }
}
