//! Networks, and a container's endpoints on them.

use std::collections::BTreeMap;

record! {
    /// `NetworkingConfig` of a create request.
    pub struct NetworkingConfig {
        endpoints_config: Option<BTreeMap<String, EndpointSettings>>,
    }

    /// A container's place on one network, asked for or given.
    pub struct EndpointSettings {
        #[serde(rename = "IPAMConfig")]
        ipam_config: Option<EndpointIpam>,
        links: Option<Vec<String>>,
        aliases: Option<Vec<String>>,
        driver_opts: Option<BTreeMap<String, String>>,
        gw_priority: i64,
        #[serde(rename = "NetworkID")]
        network_id: String,
        #[serde(rename = "EndpointID")]
        endpoint_id: String,
        gateway: String,
        #[serde(rename = "IPAddress")]
        ip_address: String,
        mac_address: String,
        #[serde(rename = "IPPrefixLen")]
        ip_prefix_len: i64,
        #[serde(rename = "IPv6Gateway")]
        ipv6_gateway: String,
        #[serde(rename = "GlobalIPv6Address")]
        global_ipv6_address: String,
        #[serde(rename = "GlobalIPv6PrefixLen")]
        global_ipv6_prefix_len: i64,
        #[serde(rename = "DNSNames")]
        dns_names[omitempty]: Option<Vec<String>>,
    }

    /// Addresses asked for.
    pub struct EndpointIpam {
        #[serde(rename = "IPv4Address")]
        ipv4_address[omitempty]: String,
        #[serde(rename = "IPv6Address")]
        ipv6_address[omitempty]: String,
        #[serde(rename = "LinkLocalIPs")]
        link_local_ips[omitempty]: Vec<String>,
    }

    /// A network: list row and inspect.
    pub struct Network {
        name: String,
        id: String,
        created: String,
        scope: String,
        driver: String,
        #[serde(rename = "EnableIPv4")]
        enable_ipv4: bool,
        #[serde(rename = "EnableIPv6")]
        enable_ipv6: bool,
        #[serde(rename = "IPAM")]
        ipam: Ipam,
        internal: bool,
        attachable: bool,
        ingress: bool,
        config_from: ConfigReference,
        config_only: bool,
        containers: BTreeMap<String, EndpointResource>,
        options: Option<BTreeMap<String, String>>,
        labels: Option<BTreeMap<String, String>>,
    }

    pub struct ConfigReference {
        network: String,
    }

    /// Address management of a network.
    pub struct Ipam {
        driver: String,
        options: Option<BTreeMap<String, String>>,
        config: Option<Vec<IpamPool>>,
    }

    pub struct IpamPool {
        subnet[omitempty]: String,
        #[serde(rename = "IPRange")]
        ip_range[omitempty]: String,
        gateway[omitempty]: String,
        #[serde(rename = "AuxiliaryAddresses")]
        auxiliary_addresses[omitempty]: BTreeMap<String, String>,
    }

    /// A container as `network inspect` shows it.
    pub struct EndpointResource {
        name: String,
        #[serde(rename = "EndpointID")]
        endpoint_id: String,
        mac_address: String,
        #[serde(rename = "IPv4Address")]
        ipv4_address: String,
        #[serde(rename = "IPv6Address")]
        ipv6_address: String,
    }

    /// `POST /networks/create`.
    pub struct NetworkCreate {
        check_duplicate[omitempty]: bool,
        name: String,
        driver: String,
        scope: String,
        #[serde(rename = "EnableIPv4")]
        enable_ipv4[omitempty]: Option<bool>,
        #[serde(rename = "EnableIPv6")]
        enable_ipv6[omitempty]: Option<bool>,
        #[serde(rename = "IPAM")]
        ipam: Option<Ipam>,
        internal: bool,
        attachable: bool,
        ingress: bool,
        config_only: bool,
        config_from: Option<ConfigReference>,
        options: Option<BTreeMap<String, String>>,
        labels: Option<BTreeMap<String, String>>,
    }

    /// Its answer.
    pub struct NetworkCreated {
        id: String,
        warning: String,
    }

    /// `POST /networks/{id}/connect`.
    pub struct NetworkConnect {
        container: String,
        endpoint_config[omitempty]: Option<EndpointSettings>,
    }

    /// `POST /networks/{id}/disconnect`.
    pub struct NetworkDisconnect {
        container: String,
        force: bool,
    }

    /// `POST /networks/prune`.
    pub struct NetworksPruned {
        networks_deleted: Option<Vec<String>>,
    }
}
