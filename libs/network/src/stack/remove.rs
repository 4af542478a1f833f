//! Taking down a bridge, or a whole stack.

use std::fs;
use std::path::Path;

use netlink::{Link, Target};

use super::{Stack, State};
use crate::{Error, Netns, Result, bridge};

impl Stack {
    /// Removes a bridge that nobody is connected to. Absent is success.
    ///
    /// # Errors
    /// [`Error::BridgeInUse`].
    pub fn remove_bridge(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        if let Ok(attached) = state.bridge(name) {
            if !attached.endpoints.is_empty() {
                return Err(Error::BridgeInUse {
                    bridge: name.to_owned(),
                    endpoints: attached.endpoints.len(),
                });
            }
            let medium = attached.standing.config.medium.clone();
            state.bridges.retain(|attached| attached.standing.bridge.name != name);
            self.firewall.install(&state.standing(), &state.published())?;
            let is_shared = state.bridges.iter().any(|other| {
                other.standing.config.medium.child().map(|child| child.1)
                    == medium.child().map(|child| child.1)
            });
            if let Some((_, parent)) = medium.child().filter(|(_, parent)| !parent.is_empty() && !is_shared) {
                // A link of a VLAN may have been made for it.
                self.delete_own_bridge(parent)?;
            }
        }
        self.delete_own_bridge(name)
    }

    fn delete_own_bridge(&self, name: &str) -> Result<()> {
        let mut route = self.route();
        match Link::get(&mut route, Target::Name(name)) {
            // An administrator's bridge was only borrowed.
            Ok(link) if link.alias != Some(bridge::alias(&self.name)) => Ok(()),
            _ => bridge::delete(&mut route, name),
        }
    }

    /// Removes every trace of the stack: the namespaces whose files are in `netns_directory`, the
    /// links on its bridges, the bridges that it made, the firewall table and the rules in foreign
    /// tables. Needs no [`Stack::restore`] before. Failures are collected; the rest still goes.
    pub fn destroy(&self, netns_directory: Option<&Path>) -> std::result::Result<(), Vec<Error>> {
        *self.state() = State::default();
        let mut failures = Vec::new();
        if let Some(directory) = netns_directory {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                failures.extend(Netns::remove(&entry.path()).err());
            }
        }
        match self.own_links() {
            Ok(links) => {
                failures.extend(links.iter().filter_map(|link| bridge::delete(&mut self.route(), link).err()))
            }
            Err(error) => failures.push(error),
        }
        failures.extend(self.firewall.remove().err());
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// Removes the bridges that carry this stack's mark, are none of `state` and have nothing plugged in: a daemon
    /// that died had not written them down yet, or had written down that they go. What stays is told.
    pub(super) fn remove_stray_bridges(&self, state: &State) -> Result<Vec<String>> {
        let links =
            Link::list(&mut self.route()).map_err(Error::netlink("list links of stack", &self.name))?;
        let mark = Some(bridge::alias(&self.name));
        let is_known =
            |name: &str| state.bridges.iter().any(|attached| attached.standing.bridge.name == name);
        let is_stray = |link: &&Link| {
            link.alias == mark
                && link.kind.as_deref() == Some("bridge")
                && !is_known(&link.name)
                && !links.iter().any(|port| port.master == Some(link.index))
        };
        let removed = links.iter().filter(is_stray).map(|link| bridge::delete(&mut self.route(), &link.name));
        Ok(removed.filter_map(|removed| removed.err()).map(|error| error.to_string()).collect())
    }

    /// The links with this stack's mark: ends of pairs first, then bridges.
    fn own_links(&self) -> Result<Vec<String>> {
        let links =
            Link::list(&mut self.route()).map_err(Error::netlink("list links of stack", &self.name))?;
        let mark = Some(bridge::alias(&self.name));
        let (bridges, ends): (Vec<Link>, Vec<Link>) = links
            .into_iter()
            .filter(|link| link.alias == mark)
            .partition(|link| link.kind.as_deref() == Some("bridge"));
        Ok(ends.into_iter().chain(bridges).map(|link| link.name).collect())
    }
}
