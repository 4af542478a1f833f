//! Containers: config, create, list row, inspect and the small answers.

use std::collections::BTreeMap;

use crate::host_config::{HostConfig, PortMap};
use crate::image::Descriptor;
use crate::mount::MountPoint;
use crate::network::{EndpointSettings, NetworkingConfig};
use crate::{Empty, Words};

record! {
    /// The portable part of a container, also kept in images.
    pub struct Config {
        hostname: String,
        domainname: String,
        user: String,
        attach_stdin: bool,
        attach_stdout: bool,
        attach_stderr: bool,
        exposed_ports[omitempty]: BTreeMap<String, Empty>,
        tty: bool,
        open_stdin: bool,
        stdin_once: bool,
        env: Option<Vec<String>>,
        cmd: Option<Words>,
        healthcheck[omitempty]: Option<HealthConfig>,
        args_escaped[omitempty]: bool,
        image: String,
        volumes: Option<BTreeMap<String, Empty>>,
        working_dir: String,
        entrypoint: Option<Words>,
        network_disabled[omitempty]: bool,
        mac_address[omitempty]: String,
        on_build: Option<Vec<String>>,
        labels: Option<BTreeMap<String, String>>,
        stop_signal[omitempty]: String,
        /// Seconds.
        stop_timeout[omitempty]: Option<i64>,
        shell[omitempty]: Option<Words>,
    }

    /// Times in nanoseconds.
    pub struct HealthConfig {
        /// `NONE`, or `CMD`/`CMD-SHELL` with the words after it.
        test[omitempty]: Vec<String>,
        interval[omitempty]: i64,
        timeout[omitempty]: i64,
        start_period[omitempty]: i64,
        start_interval[omitempty]: i64,
        retries[omitempty]: i64,
    }

    /// `POST /containers/create`.
    pub struct CreateRequest {
        host_config: Option<HostConfig>,
        networking_config: Option<NetworkingConfig>;
        flatten config: Config
    }

    /// Its answer.
    pub struct Created {
        id: String,
        warnings: Vec<String>,
    }

    /// A row of `GET /containers/json`.
    pub struct Summary {
        id: String,
        names: Vec<String>,
        image: String,
        #[serde(rename = "ImageID")]
        image_id: String,
        command: String,
        /// Unix seconds.
        created: i64,
        ports: Vec<Port>,
        size_rw[omitempty]: i64,
        size_root_fs[omitempty]: i64,
        labels: BTreeMap<String, String>,
        state: String,
        status: String,
        host_config: SummaryHostConfig,
        network_settings: SummaryNetworks,
        mounts: Vec<MountPoint>,
        /// Since 1.48.
        image_manifest_descriptor[omitempty]: Option<Descriptor>,
        /// Since 1.52.
        health[omitempty]: Option<HealthSummary>,
    }

    pub struct HealthSummary {
        status: String,
        failing_streak: i64,
    }

    pub struct Port {
        #[serde(rename = "IP")]
        ip[omitempty]: String,
        private_port: u16,
        public_port[omitempty]: u16,
        #[serde(rename = "Type")]
        kind: String,
    }

    pub struct SummaryHostConfig {
        network_mode[omitempty]: String,
        annotations[omitempty]: BTreeMap<String, String>,
    }

    pub struct SummaryNetworks {
        networks: BTreeMap<String, EndpointSettings>,
    }

    /// `GET /containers/{id}/json`.
    pub struct Inspect {
        id: String,
        /// RFC 3339 with nanoseconds.
        created: String,
        path: String,
        args: Vec<String>,
        state: State,
        image: String,
        /// Since 1.48.
        image_manifest_descriptor[omitempty]: Option<Descriptor>,
        resolv_conf_path: String,
        hostname_path: String,
        hosts_path: String,
        log_path: String,
        /// With a leading slash.
        name: String,
        restart_count: i64,
        driver: String,
        platform: String,
        mount_label: String,
        process_label: String,
        app_armor_profile: String,
        #[serde(rename = "ExecIDs")]
        exec_ids: Option<Vec<String>>,
        host_config: HostConfig,
        graph_driver: GraphDriver,
        size_rw[omitempty]: Option<i64>,
        size_root_fs[omitempty]: Option<i64>,
        mounts: Vec<MountPoint>,
        config: Config,
        network_settings: NetworkSettings,
    }

    pub struct State {
        /// `created running paused restarting removing exited dead`.
        status: String,
        running: bool,
        paused: bool,
        restarting: bool,
        #[serde(rename = "OOMKilled")]
        oom_killed: bool,
        dead: bool,
        pid: i64,
        exit_code: i64,
        error: String,
        started_at: String,
        finished_at: String,
        health[omitempty]: Option<Health>,
    }

    pub struct Health {
        status: String,
        failing_streak: i64,
        log: Option<Vec<HealthProbe>>,
    }

    pub struct HealthProbe {
        start: String,
        end: String,
        exit_code: i64,
        output: String,
    }

    pub struct GraphDriver {
        data: Option<BTreeMap<String, String>>,
        name: String,
    }

    pub struct NetworkSettings {
        bridge: String,
        #[serde(rename = "SandboxID")]
        sandbox_id: String,
        sandbox_key: String,
        ports: PortMap,
        #[serde(rename = "HairpinMode")]
        hairpin_mode: bool,
        #[serde(rename = "LinkLocalIPv6Address")]
        link_local_ipv6_address: String,
        #[serde(rename = "LinkLocalIPv6PrefixLen")]
        link_local_ipv6_prefix_len: i64,
        #[serde(rename = "SecondaryIPAddresses")]
        secondary_ip_addresses: Option<Vec<String>>,
        #[serde(rename = "SecondaryIPv6Addresses")]
        secondary_ipv6_addresses: Option<Vec<String>>,
        #[serde(rename = "EndpointID")]
        endpoint_id: String,
        gateway: String,
        #[serde(rename = "GlobalIPv6Address")]
        global_ipv6_address: String,
        #[serde(rename = "GlobalIPv6PrefixLen")]
        global_ipv6_prefix_len: i64,
        #[serde(rename = "IPAddress")]
        ip_address: String,
        #[serde(rename = "IPPrefixLen")]
        ip_prefix_len: i64,
        #[serde(rename = "IPv6Gateway")]
        ipv6_gateway: String,
        mac_address: String,
        networks: BTreeMap<String, EndpointSettings>,
    }

    /// `POST /containers/{id}/wait`.
    pub struct WaitResponse {
        error[omitempty]: Option<WaitError>,
        status_code: i64,
    }

    pub struct WaitError {
        message: String,
    }

    /// `GET /containers/{id}/top`.
    pub struct Top {
        processes: Vec<Vec<String>>,
        titles: Vec<String>,
    }

    /// A row of `GET /containers/{id}/changes`.
    pub struct Change {
        path: String,
        /// 0 modified, 1 added, 2 deleted.
        kind: u8,
    }

    /// `POST /containers/prune`.
    pub struct ContainersPruned {
        containers_deleted: Option<Vec<String>>,
        space_reclaimed: u64,
    }

    /// `X-Docker-Container-Path-Stat`, base64 of its JSON.
    pub struct PathStat {
        #[serde(rename = "name")]
        name: String,
        #[serde(rename = "size")]
        size: i64,
        /// Go's os.FileMode: permission bits, directory 1<<31, symbolic link 1<<27.
        #[serde(rename = "mode")]
        mode: u32,
        #[serde(rename = "mtime")]
        mtime: String,
        #[serde(rename = "linkTarget")]
        link_target: String,
    }
}
