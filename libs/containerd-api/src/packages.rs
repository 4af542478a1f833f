//! The generated modules, nested as their packages are.

/// Package `containerd`.
pub mod containerd {
    /// Package `containerd.events`.
    pub mod events {
        include!("generated/containerd.events.rs");
    }
    /// Package `containerd.runc`.
    pub mod runc {
        /// Package `containerd.runc.v1`.
        pub mod v1 {
            include!("generated/containerd.runc.v1.rs");
        }
    }
    /// Package `containerd.runtime`.
    pub mod runtime {
        /// Package `containerd.runtime.bootstrap`.
        pub mod bootstrap {
            /// Package `containerd.runtime.bootstrap.v1`.
            pub mod v1 {
                include!("generated/containerd.runtime.bootstrap.v1.rs");
            }
        }
        /// Package `containerd.runtime.sandbox`.
        pub mod sandbox {
            /// Package `containerd.runtime.sandbox.v1`.
            pub mod v1 {
                include!("generated/containerd.runtime.sandbox.v1.rs");
            }
        }
    }
    /// Package `containerd.services`.
    pub mod services {
        /// Package `containerd.services.containers`.
        pub mod containers {
            /// Package `containerd.services.containers.v1`.
            pub mod v1 {
                include!("generated/containerd.services.containers.v1.rs");
            }
        }
        /// Package `containerd.services.content`.
        pub mod content {
            /// Package `containerd.services.content.v1`.
            pub mod v1 {
                include!("generated/containerd.services.content.v1.rs");
            }
        }
        /// Package `containerd.services.diff`.
        pub mod diff {
            /// Package `containerd.services.diff.v1`.
            pub mod v1 {
                include!("generated/containerd.services.diff.v1.rs");
            }
        }
        /// Package `containerd.services.events`.
        pub mod events {
            /// Package `containerd.services.events.ttrpc`.
            pub mod ttrpc {
                /// Package `containerd.services.events.ttrpc.v1`.
                pub mod v1 {
                    include!("generated/containerd.services.events.ttrpc.v1.rs");
                }
            }
            /// Package `containerd.services.events.v1`.
            pub mod v1 {
                include!("generated/containerd.services.events.v1.rs");
            }
        }
        /// Package `containerd.services.images`.
        pub mod images {
            /// Package `containerd.services.images.v1`.
            pub mod v1 {
                include!("generated/containerd.services.images.v1.rs");
            }
        }
        /// Package `containerd.services.introspection`.
        pub mod introspection {
            /// Package `containerd.services.introspection.v1`.
            pub mod v1 {
                include!("generated/containerd.services.introspection.v1.rs");
            }
        }
        /// Package `containerd.services.leases`.
        pub mod leases {
            /// Package `containerd.services.leases.v1`.
            pub mod v1 {
                include!("generated/containerd.services.leases.v1.rs");
            }
        }
        /// Package `containerd.services.mounts`.
        pub mod mounts {
            /// Package `containerd.services.mounts.v1`.
            pub mod v1 {
                include!("generated/containerd.services.mounts.v1.rs");
            }
        }
        /// Package `containerd.services.namespaces`.
        pub mod namespaces {
            /// Package `containerd.services.namespaces.v1`.
            pub mod v1 {
                include!("generated/containerd.services.namespaces.v1.rs");
            }
        }
        /// Package `containerd.services.sandbox`.
        pub mod sandbox {
            /// Package `containerd.services.sandbox.v1`.
            pub mod v1 {
                include!("generated/containerd.services.sandbox.v1.rs");
            }
        }
        /// Package `containerd.services.snapshots`.
        pub mod snapshots {
            /// Package `containerd.services.snapshots.v1`.
            pub mod v1 {
                include!("generated/containerd.services.snapshots.v1.rs");
            }
        }
        /// Package `containerd.services.streaming`.
        pub mod streaming {
            /// Package `containerd.services.streaming.v1`.
            pub mod v1 {
                include!("generated/containerd.services.streaming.v1.rs");
            }
        }
        /// Package `containerd.services.tasks`.
        pub mod tasks {
            /// Package `containerd.services.tasks.v1`.
            pub mod v1 {
                include!("generated/containerd.services.tasks.v1.rs");
            }
        }
        /// Package `containerd.services.transfer`.
        pub mod transfer {
            /// Package `containerd.services.transfer.v1`.
            pub mod v1 {
                include!("generated/containerd.services.transfer.v1.rs");
            }
        }
        /// Package `containerd.services.version`.
        pub mod version {
            /// Package `containerd.services.version.v1`.
            pub mod v1 {
                include!("generated/containerd.services.version.v1.rs");
            }
        }
    }
    /// Package `containerd.task`.
    pub mod task {
        /// Package `containerd.task.v2`.
        pub mod v2 {
            include!("generated/containerd.task.v2.rs");
        }
        /// Package `containerd.task.v3`.
        pub mod v3 {
            include!("generated/containerd.task.v3.rs");
        }
    }
    /// Package `containerd.types`.
    pub mod types {
        include!("generated/containerd.types.rs");
        /// Package `containerd.types.transfer`.
        pub mod transfer {
            include!("generated/containerd.types.transfer.rs");
        }
    }
    /// Package `containerd.v1`.
    pub mod v1 {
        /// Package `containerd.v1.types`.
        pub mod types {
            include!("generated/containerd.v1.types.rs");
        }
    }
}
/// Package `google`.
pub mod google {
    /// Package `google.rpc`.
    pub mod rpc {
        include!("generated/google.rpc.rs");
    }
}
/// Package `grpc`.
pub mod grpc {
    /// Package `grpc.health`.
    pub mod health {
        /// Package `grpc.health.v1`.
        pub mod v1 {
            include!("generated/grpc.health.v1.rs");
        }
    }
}
/// Package `io`.
pub mod io {
    /// Package `io.containerd`.
    pub mod containerd {
        /// Package `io.containerd.cgroups`.
        pub mod cgroups {
            /// Package `io.containerd.cgroups.v1`.
            pub mod v1 {
                include!("generated/io.containerd.cgroups.v1.rs");
            }
            /// Package `io.containerd.cgroups.v2`.
            pub mod v2 {
                include!("generated/io.containerd.cgroups.v2.rs");
            }
        }
    }
}
/// Package `runtimeoptions`.
pub mod runtimeoptions {
    /// Package `runtimeoptions.v1`.
    pub mod v1 {
        include!("generated/runtimeoptions.v1.rs");
    }
}
