//! CPU affinity of an exec'd process (config.md#linux-process, execCPUAffinity).

use process::scheduling::{number_list, set_affinity};
use runtime_spec::CpuAffinity;

use crate::failure::{Failure, Tried};

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

    pub fn set_initial(&self) -> Result<(), Failure> {
        set_affinity(&self.initial).tried("cannot set CPU affinity")
    }

    pub fn set_last(&self) -> Result<(), Failure> {
        set_affinity(&self.last).tried("cannot set CPU affinity")
    }
}
