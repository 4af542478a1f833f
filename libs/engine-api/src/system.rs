//! `GET /info`, `/version` and `/system/df`.

use std::collections::BTreeMap;

use crate::container::Summary;
use crate::image::ImageSummary;
use crate::volume::Volume;

record! {
    /// `GET /version`.
    pub struct Version {
        platform[omitempty]: Platform,
        components[omitempty]: Vec<Component>,
        version: String,
        api_version: String,
        #[serde(rename = "MinAPIVersion")]
        min_api_version[omitempty]: String,
        git_commit: String,
        go_version: String,
        os: String,
        arch: String,
        kernel_version[omitempty]: String,
        experimental[omitempty]: bool,
        build_time[omitempty]: String,
    }

    pub struct Platform {
        name: String,
    }

    /// A program of the engine.
    pub struct Component {
        name: String,
        version: String,
        details[omitempty]: BTreeMap<String, String>,
    }

    /// `GET /info`.
    pub struct Info {
        #[serde(rename = "ID")]
        id: String,
        containers: i64,
        containers_running: i64,
        containers_paused: i64,
        containers_stopped: i64,
        images: i64,
        driver: String,
        driver_status: Vec<[String; 2]>,
        system_status[omitempty]: Vec<[String; 2]>,
        plugins: Plugins,
        memory_limit: bool,
        swap_limit: bool,
        kernel_memory[omitempty]: bool,
        #[serde(rename = "KernelMemoryTCP")]
        kernel_memory_tcp[omitempty]: bool,
        #[serde(rename = "CpuCfsPeriod")]
        cpu_cfs_period: bool,
        #[serde(rename = "CpuCfsQuota")]
        cpu_cfs_quota: bool,
        #[serde(rename = "CPUShares")]
        cpu_shares: bool,
        #[serde(rename = "CPUSet")]
        cpu_set: bool,
        pids_limit: bool,
        #[serde(rename = "IPv4Forwarding")]
        ipv4_forwarding: bool,
        /// Until 1.50.
        bridge_nf_iptables[omitempty]: Option<bool>,
        /// Until 1.50.
        #[serde(rename = "BridgeNfIp6tables")]
        bridge_nf_ip6tables[omitempty]: Option<bool>,
        debug: bool,
        n_fd: i64,
        oom_kill_disable: bool,
        n_goroutines: i64,
        system_time: String,
        logging_driver: String,
        cgroup_driver: String,
        cgroup_version[omitempty]: String,
        n_events_listener: i64,
        kernel_version: String,
        operating_system: String,
        #[serde(rename = "OSVersion")]
        os_version: String,
        #[serde(rename = "OSType")]
        os_type: String,
        architecture: String,
        index_server_address: String,
        registry_config: Option<RegistryConfig>,
        #[serde(rename = "NCPU")]
        ncpu: i64,
        /// Bytes.
        mem_total: i64,
        generic_resources: Option<Vec<String>>,
        docker_root_dir: String,
        http_proxy: String,
        https_proxy: String,
        no_proxy: String,
        name: String,
        labels: Vec<String>,
        experimental_build: bool,
        server_version: String,
        runtimes: BTreeMap<String, Runtime>,
        default_runtime: String,
        swarm: Swarm,
        live_restore_enabled: bool,
        isolation: String,
        init_binary: String,
        containerd_commit: Commit,
        runc_commit: Commit,
        init_commit: Commit,
        security_options: Vec<String>,
        product_license[omitempty]: String,
        default_address_pools[omitempty]: Vec<AddressPool>,
        #[serde(rename = "CDISpecDirs")]
        cdi_spec_dirs: Vec<String>,
        /// Since 1.46.
        containerd[omitempty]: Option<Containerd>,
        /// Since 1.49.
        firewall_backend[omitempty]: Option<FirewallBackend>,
        /// Since 1.50.
        discovered_devices[omitempty]: Vec<DiscoveredDevice>,
        warnings: Option<Vec<String>>,
    }

    pub struct Plugins {
        volume: Vec<String>,
        network: Vec<String>,
        authorization: Option<Vec<String>>,
        log: Vec<String>,
    }

    pub struct RegistryConfig {
        #[serde(rename = "InsecureRegistryCIDRs")]
        insecure_registry_cidrs: Vec<String>,
        index_configs: BTreeMap<String, IndexConfig>,
        mirrors: Option<Vec<String>>,
    }

    pub struct IndexConfig {
        name: String,
        mirrors: Vec<String>,
        secure: bool,
        official: bool,
    }

    pub struct Runtime {
        #[serde(rename = "path")]
        path[omitempty]: String,
        #[serde(rename = "runtimeArgs")]
        runtime_args[omitempty]: Vec<String>,
        #[serde(rename = "runtimeType")]
        runtime_type[omitempty]: String,
        #[serde(rename = "status")]
        status[omitempty]: BTreeMap<String, String>,
    }

    pub struct Swarm {
        #[serde(rename = "NodeID")]
        node_id: String,
        node_addr: String,
        local_node_state: String,
        control_available: bool,
        error: String,
        remote_managers: Option<Vec<crate::Empty>>,
    }

    pub struct Commit {
        #[serde(rename = "ID")]
        id: String,
        expected[omitempty]: String,
    }

    pub struct AddressPool {
        base: String,
        size: i64,
    }

    /// Whose containerd API the engine speaks to.
    pub struct Containerd {
        address: String,
        namespaces: Namespaces,
    }

    /// Namespaces of that API.
    pub struct Namespaces {
        containers: String,
        plugins: String,
    }

    pub struct FirewallBackend {
        driver: String,
        info[omitempty]: Vec<[String; 2]>,
    }

    /// A device that a container may ask for by this name.
    pub struct DiscoveredDevice {
        source: String,
        #[serde(rename = "ID")]
        id: String,
    }

    /// `GET /system/df`, as it was until 1.52.
    pub struct DiskUsage {
        layers_size: i64,
        images: Option<Vec<ImageSummary>>,
        containers: Option<Vec<Summary>>,
        volumes: Option<Vec<Volume>>,
        build_cache: Option<Vec<BuildCache>>,
        builder_size[omitempty]: i64,
    }

    /// `GET /system/df` since 1.52.
    pub struct DiskUsages {
        image_usage[omitempty]: Option<ImageUsage>,
        container_usage[omitempty]: Option<ContainerUsage>,
        volume_usage[omitempty]: Option<VolumeUsage>,
        build_cache_usage[omitempty]: Option<BuildCacheUsage>,
    }

    /// How many there are, how many are in use; sizes in bytes.
    pub struct ImageUsage {
        active_count: i64,
        total_count: i64,
        reclaimable: i64,
        total_size: i64,
        items[omitempty]: Vec<ImageSummary>,
    }

    /// How many there are, how many run; sizes in bytes.
    pub struct ContainerUsage {
        active_count: i64,
        total_count: i64,
        reclaimable: i64,
        total_size: i64,
        items[omitempty]: Vec<Summary>,
    }

    /// How many there are, how many are in use; sizes in bytes.
    pub struct VolumeUsage {
        active_count: i64,
        total_count: i64,
        reclaimable: i64,
        total_size: i64,
        items[omitempty]: Vec<Volume>,
    }

    /// How many there are, how many are in use; sizes in bytes.
    pub struct BuildCacheUsage {
        active_count: i64,
        total_count: i64,
        reclaimable: i64,
        total_size: i64,
        items[omitempty]: Vec<BuildCache>,
    }

    pub struct BuildCache {
        #[serde(rename = "ID")]
        id: String,
        parent[omitempty]: String,
        parents[omitempty]: Vec<String>,
        #[serde(rename = "Type")]
        kind: String,
        description: String,
        in_use: bool,
        shared: bool,
        size: i64,
        created_at: String,
        last_used_at: Option<String>,
        usage_count: i64,
    }

    /// `POST /build/prune`.
    pub struct CachePruned {
        caches_deleted: Option<Vec<String>>,
        space_reclaimed: u64,
    }
}
