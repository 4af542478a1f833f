//! Making a stack stand: the first time, and after its daemon died.

use std::collections::HashSet;

use netlink::{Change, Request, Target, change_link};

use super::{Attached, Stack, State};
use crate::bridge::{self, Standing};
use crate::endpoint;
use crate::pool_v6::PoolV6;
use crate::{AddressPool, Bridge, BridgeConfig, Endpoint, Error, Result};

/// A network to bring back, with the endpoints of the containers that still run on it.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its bridge.
    pub bridge: BridgeConfig,
    /// Connections whose containers are alive, or whose addresses must stay taken.
    pub endpoints: Vec<Endpoint>,
}

/// What [`Stack::restore`] found.
#[derive(Debug)]
pub struct Restored {
    /// The bridges, in the order they were asked for.
    pub bridges: Vec<Bridge>,
    /// What works but not as it should, for the log: a host port that another process took while
    /// no daemon held it, a foreign firewall that cannot be told about this stack.
    pub warnings: Vec<String>,
}

impl Stack {
    /// Makes everything stand as `networks` says: bridges made or adopted, addresses and host
    /// ports taken, the whole firewall table put in place in one transaction, without a gap for
    /// connections that live. To be called once before anything else, and safe to repeat.
    pub fn restore(&self, networks: Vec<Network>) -> Result<Restored> {
        let mut state = self.state();
        // A former call's sockets go when all that are still wanted have been taken over.
        let mut former = std::mem::take(&mut *state);
        let mut warnings = Vec::new();
        for network in &networks {
            self.attach_bridge(&mut state, &network.bridge)?;
        }
        for network in networks {
            for endpoint in network.endpoints {
                self.adopt(&mut state, &endpoint, &mut former, &mut warnings);
            }
        }
        warnings.extend(self.firewall.install(&state.standing(), &state.published())?);
        warnings.extend(self.remove_stray_bridges(&state)?);
        Ok(Restored {
            bridges: state.bridges.iter().map(|attached| attached.standing.bridge.clone()).collect(),
            warnings,
        })
    }

    /// Takes into the books what an endpoint has.
    fn adopt(&self, state: &mut State, endpoint: &Endpoint, former: &mut State, warnings: &mut Vec<String>) {
        let State { bridges, ports } = state;
        let Some(attached) =
            bridges.iter_mut().find(|attached| attached.standing.bridge.name == endpoint.bridge)
        else {
            // The daemon's options changed while the container ran.
            warnings.push(format!(
                "{} is connected to bridge {}, which is none of this daemon's any more: start it again",
                endpoint.container, endpoint.bridge
            ));
            return;
        };
        let owner = self.owner(endpoint, &attached.standing.config);
        if let (Some(pool), Some(address)) = (&mut attached.addresses, endpoint.address)
            && let Err(error) = pool.reserve(address)
        {
            warnings.push(format!(
                "{} has the address {address} on bridge {}: {error}",
                endpoint.container, endpoint.bridge
            ));
            return;
        }
        if let (Some(pool), Some(v6)) = (&mut attached.addresses_v6, &endpoint.v6)
            && let Err(error) = pool.reserve(v6.address)
        {
            warnings.push(format!("{} has the address {}: {error}", endpoint.container, v6.address));
        }
        attached.endpoints.insert(endpoint.id.clone());
        for binding in &endpoint.ports {
            match ports.restore(owner, *binding, &mut former.ports) {
                Err(error @ Error::PortAllocated { .. }) => warnings.push(error.to_string()),
                other => {
                    warnings.extend(other.err().map(|error| error.to_string()));
                    let published = super::behind(endpoint, *binding);
                    attached.published.extend(published.map(|published| (endpoint.id.clone(), published)));
                }
            }
        }
        if attached.standing.made {
            self.enslave(&attached.standing, endpoint, warnings);
        }
    }

    /// Plugs the host's end into a bridge that was made anew.
    fn enslave(&self, standing: &Standing, endpoint: &Endpoint, warnings: &mut Vec<String>) {
        let mut request = Request::new();
        let target = Target::Name(&endpoint.host_interface);
        change_link(
            &mut request,
            target,
            Change { up: Some(true), master: Some(standing.index), ..Change::default() },
        );
        change_link(
            &mut request,
            target,
            Change { port: Some(endpoint::port(&standing.config)), ..Change::default() },
        );
        if let Err(error) = self.route().exchange(&mut request, |_, _| {}) {
            warnings.push(format!(
                "cannot plug {} of {} into {}: {error}",
                endpoint.host_interface, endpoint.container, endpoint.bridge
            ));
        }
    }

    /// Makes one more bridge (a user-defined network). One of the same name that this stack has
    /// is answered as it stands.
    pub fn add_bridge(&self, config: BridgeConfig) -> Result<Bridge> {
        let mut state = self.state();
        if let Ok(attached) = state.bridge(&config.name) {
            return Ok(attached.standing.bridge.clone());
        }
        let bridge = self.attach_bridge(&mut state, &config)?;
        match self.firewall.install(&state.standing(), &state.published()) {
            Ok(_) => Ok(bridge),
            Err(error) => {
                state.bridges.pop();
                let _ = bridge::delete(&mut self.route(), &config.name);
                Err(error)
            }
        }
    }

    fn attach_bridge(&self, state: &mut State, config: &BridgeConfig) -> Result<Bridge> {
        let reserved: Vec<_> =
            state.bridges.iter().filter_map(|attached| attached.standing.bridge.subnet).collect();
        let standing = bridge::ensure(&mut self.route(), &self.name, config, &self.pools, &reserved)?;
        let of_subnet = |subnet| {
            let mut addresses = AddressPool::new(subnet, config.range)?;
            let router = config.router.filter(|router| Some(*router) != standing.bridge.gateway);
            let taken =
                standing.bridge.gateway.into_iter().chain(router).chain(config.reserved.iter().copied());
            for address in taken {
                addresses.reserve(address)?;
            }
            Ok::<_, Error>(addresses)
        };
        let addresses = standing.bridge.subnet.map(of_subnet).transpose()?;
        let addresses_v6 = config.v6.as_ref().map(PoolV6::new).transpose()?;
        let bridge = standing.bridge.clone();
        state.bridges.push(Attached {
            standing,
            addresses,
            addresses_v6,
            endpoints: HashSet::new(),
            published: Vec::new(),
        });
        Ok(bridge)
    }
}
