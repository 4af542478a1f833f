//! Capability sets by name, capabilities(7).

use std::io;

use runtime_spec::CAPABILITIES;
use rustix::thread as sys;

/// The five sets as bit masks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    pub bounding: u64,
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

/// The bit of a name such as `CAP_KILL` in any case.
pub fn bit(name: &str) -> Option<u64> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_")?;
    CAPABILITIES.iter().position(|known| *known == short).map(|index| 1 << index)
}

/// All names, with `CAP_`.
pub fn names() -> impl Iterator<Item = String> {
    CAPABILITIES.iter().map(|name| format!("CAP_{name}"))
}

impl Sets {
    /// Reads the specification's lists; names unknown here are given back, as runc warns of them
    /// and goes on.
    pub fn parse(lists: &runtime_spec::Capabilities) -> (Sets, Vec<String>) {
        let mut unknown = Vec::new();
        let mut mask = |names: &[String]| {
            names.iter().fold(0, |mask, name| {
                mask | bit(name).unwrap_or_else(|| {
                    if !unknown.contains(name) {
                        unknown.push(name.clone());
                    }
                    0
                })
            })
        };
        let sets = Sets {
            bounding: mask(&lists.bounding),
            effective: mask(&lists.effective),
            permitted: mask(&lists.permitted),
            inheritable: mask(&lists.inheritable),
            ambient: mask(&lists.ambient),
        };
        (sets, unknown)
    }

    /// Leaves out what this process itself does not hold, which cannot be given, and returns what
    /// was left out.
    pub fn limit_to_own(&mut self) -> io::Result<u64> {
        let own = sys::capabilities(None)?.permitted.bits();
        let missing = (self.permitted | self.effective | self.inheritable | self.ambient) & !own;
        self.bounding &= own;
        self.permitted &= own;
        self.effective &= self.permitted;
        self.inheritable &= own;
        self.limit_ambient();
        Ok(missing)
    }

    /// Keeps ambient within permitted and inheritable, as the kernel does; says what was outside.
    pub fn limit_ambient(&mut self) -> u64 {
        let outside = self.ambient & !(self.permitted & self.inheritable);
        self.ambient &= !outside;
        outside
    }

    /// Drops from the bounding set what is not in ours. Needs CAP_SETPCAP.
    pub fn apply_bounding(&self) -> io::Result<()> {
        for index in (0..64_u32).filter(|index| self.bounding & (1 << index) == 0) {
            let set = sys::CapabilitySet::from_bits_retain(1 << index);
            match sys::remove_capability_from_bounding_set(set) {
                // Beyond the last one that the kernel knows.
                Err(rustix::io::Errno::INVAL) => break,
                other => other?,
            }
        }
        Ok(())
    }

    /// Adds CAP_SYS_ADMIN to what can be used, for what is left to do before it goes.
    pub fn keep_sys_admin(&mut self) {
        const SYS_ADMIN: u64 = 1 << 21;
        self.permitted |= SYS_ADMIN;
        self.effective |= SYS_ADMIN;
    }

    /// Sets the other four sets. Comes after the change of user, with keep-caps on.
    pub fn apply(&self) -> io::Result<()> {
        let set = sys::CapabilitySet::from_bits_retain;
        sys::set_capabilities(
            None,
            sys::CapabilitySets {
                effective: set(self.effective),
                permitted: set(self.permitted),
                inheritable: set(self.inheritable),
            },
        )?;
        // A kernel without ambient capabilities (EINVAL) has nothing to clear.
        let _ = sys::clear_ambient_capability_set();
        for index in (0..CAPABILITIES.len()).filter(|index| self.ambient & (1 << index) != 0) {
            sys::configure_capability_in_ambient_set(set(1 << index), true)?;
        }
        Ok(())
    }
}

/// The names in a mask, for messages.
pub fn name_list(mask: u64) -> String {
    let names: Vec<String> =
        names().enumerate().filter(|(index, _)| mask & (1 << index) != 0).map(|(_, n)| n).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_kernels_numbers() {
        assert_eq!(bit("CAP_CHOWN"), Some(1));
        assert_eq!(bit("cap_sys_admin"), Some(1 << 21));
        assert_eq!(bit("CAP_CHECKPOINT_RESTORE"), Some(1 << 40));
        assert_eq!(bit("KILL"), None);
        assert_eq!(bit("CAP_NONE"), None);
    }

    #[test]
    fn unknown_names_are_given_back_once() {
        let lists = runtime_spec::Capabilities {
            bounding: vec!["CAP_KILL".into(), "CAP_X".into()],
            effective: vec!["CAP_X".into()],
            ..Default::default()
        };
        let (sets, unknown) = Sets::parse(&lists);
        assert_eq!(sets.bounding, 1 << 5);
        assert_eq!(unknown, ["CAP_X"]);
    }
}
