//! Filters in the kernel, each on a thread of its own. Needs root (no no_new_privs is set).

use std::os::fd::AsRawFd;

use runtime_spec::Seccomp;
use wherry_seccomp::profile::{Target, docker_default};
use wherry_seccomp::{Arch, Filter, is_available, known_flags, supported_flags};

fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(work).join().unwrap()
}

fn profile(json: &str) -> Seccomp {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_loaded_filter_decides() {
    assert!(is_available());
    assert!(supported_flags().all(|f| known_flags().any(|k| k == f)));
    let error = on_a_thread(|| {
        let p = profile(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                "syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":77}]}"#,
        );
        assert!(Filter::compile(&p).unwrap().load().unwrap().is_none());
        std::fs::create_dir("/tmp/wherry-seccomp-never").unwrap_err()
    });
    assert_eq!(error.raw_os_error(), Some(77));
}

#[test]
fn dockers_filter_loads_and_forbids() {
    let error = on_a_thread(|| {
        let target = Target { capabilities: &["CAP_CHOWN"], arch: Arch::native().unwrap(), kernel: (6, 1) };
        Filter::compile(&docker_default().resolve(&target).unwrap()).unwrap().load().unwrap();
        std::os::unix::fs::chroot("/").unwrap_err()
    });
    // chroot(2) needs CAP_SYS_CHROOT, which this container does not have.
    assert_eq!(error.raw_os_error(), Some(1));
}

#[test]
fn a_notify_filter_gives_a_listener() {
    on_a_thread(|| {
        let p = profile(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["acct"],"action":"SCMP_ACT_NOTIFY"}]}"#,
        );
        let listener = Filter::compile(&p).unwrap().load().unwrap().unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        assert_eq!(link.to_str(), Some("anon_inode:seccomp notify"));
        // The kernel allows one listener a thread.
        let error = Filter::compile(&p).unwrap().load().unwrap_err();
        assert!(error.to_string().starts_with("cannot load seccomp filter: "), "{error}");
    });
}
