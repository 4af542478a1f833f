//! The kernel's own cgroups: every test works in groups of its own below `/wherry-test-PID-NAME`.
//! Needs root. What a host's layout does not offer is not asked for.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use runtime_spec::{DeviceRule, Resources};
use wherry_cgroups::{Cgroup, Error, FreezerState, Host, Mode, OomEvent, UnifiedBy, default_devices};

struct Group {
    group: Cgroup,
    mode: Mode,
}

impl Group {
    fn new(name: &str) -> Group {
        let host = Host::detect().unwrap();
        let path = format!("/wherry-test-{}-{name}", std::process::id());
        let group = Cgroup::resolve(&host, &path, "").unwrap();
        group.create().unwrap();
        Group { group, mode: host.mode }
    }

    fn limits(&self, json: &str) -> Result<(), Error> {
        self.group.apply(&serde_json::from_str::<Resources>(json).unwrap())
    }

    fn dir(&self, controller: &str) -> PathBuf {
        let paths = self.group.paths();
        paths.get(controller).unwrap_or_else(|| &paths[""]).clone()
    }

    fn read(&self, controller: &str, file: &str) -> String {
        fs::read_to_string(self.dir(controller).join(file)).unwrap().trim().to_owned()
    }

    /// A shell that runs `script` once it is in the group and a line arrives on its stdin.
    fn shell(&self, script: &str) -> Child {
        let script = format!("read go; {script}");
        let child =
            Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let child = child.unwrap();
        self.group.add_process(child.id() as i32).unwrap();
        child
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.group.kill_all().unwrap();
        self.group.wait_empty(Duration::from_secs(5)).unwrap();
        self.group.remove().unwrap();
        assert!(!self.group.exists());
    }
}

fn go(child: &mut Child) {
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
}

#[test]
fn a_group_is_made_entered_and_removed() {
    let g = Group::new("life");
    g.group.create().unwrap();
    let join = g.group.join().unwrap();
    // A thread is as good as a child for v1's `tasks`; the unified hierarchy moves processes only.
    let in_group = std::thread::spawn(move || {
        join.enter(UnifiedBy::Clone).unwrap();
        fs::read_to_string("/proc/thread-self/cgroup").unwrap()
    });
    let text = in_group.join().unwrap();
    let entered = text.lines().filter(|l| l.contains("wherry-test") && l.ends_with("-life")).count();
    assert_eq!(
        entered,
        g.group.paths().values().collect::<std::collections::BTreeSet<_>>().len()
            - usize::from(g.mode != Mode::V1)
    );
    let mut child = g.shell("sleep 60");
    assert_eq!(g.group.processes().unwrap(), [child.id() as i32]);
    assert_eq!(Cgroup::of_process(child.id() as i32).unwrap(), g.group);
    assert!(g.group.stats().is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_busy_group_says_who_is_in_it() {
    let g = Group::new("busy");
    let mut child = g.shell("sleep 60");
    let Err(error) = g.group.remove() else { panic!("removed a group with a process") };
    assert!(error.to_string().contains(&format!("pids [{}]", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn removal_takes_groups_below_along() {
    let g = Group::new("nested");
    for dir in g.group.paths().values() {
        fs::create_dir_all(dir.join("a/b")).unwrap();
    }
    g.group.remove().unwrap();
    g.group.remove().unwrap();
    assert!(!g.group.exists());
}

#[test]
fn a_group_below_one_with_processes_can_be_entered() {
    let g = Group::new("above");
    let mut child = g.shell("sleep 100");
    let below = g.group.below("one/two").unwrap();
    below.create().unwrap();
    below.add_process(child.id() as i32).unwrap();
    assert_eq!(below.processes().unwrap(), [child.id() as i32]);
    assert!(g.group.processes().unwrap().is_empty());
    // Now that nobody is in it, it has controllers for the one below.
    below.create().unwrap();
    below.apply(&serde_json::from_str(r#"{"pids":{"limit":7}}"#).unwrap()).unwrap();
    go(&mut child);
    g.group.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn freezing_stops_and_thawing_continues() {
    let g = Group::new("freeze");
    let mut child = g.shell("while :; do :; done");
    go(&mut child);
    g.group.freeze().unwrap();
    assert_eq!(g.group.freezer_state().unwrap(), FreezerState::Frozen);
    let time = || fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let before = time();
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(time(), before);
    g.group.thaw().unwrap();
    assert_eq!(g.group.freezer_state().unwrap(), FreezerState::Thawed);
    g.group.thaw().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nobody_escapes_a_kill_by_forking() {
    let g = Group::new("kill");
    let mut child = g.shell("for i in 1 2 3 4 5 6; do (while :; do (:); done) & done; wait");
    go(&mut child);
    std::thread::sleep(Duration::from_millis(50));
    g.group.kill_all().unwrap();
    assert!(g.group.wait_empty(Duration::from_secs(5)).unwrap());
    child.wait().unwrap();
    assert!(g.group.all_processes().unwrap().is_empty());
}

#[test]
fn a_paused_group_can_be_killed() {
    let g = Group::new("paused-kill");
    let mut child = g.shell("sleep 60");
    g.group.freeze().unwrap();
    g.group.kill_all().unwrap();
    assert!(g.group.wait_empty(Duration::from_secs(5)).unwrap());
    child.wait().unwrap();
}

#[test]
fn limits_are_set_and_updated() {
    let g = Group::new("limits");
    let mib = 1 << 20;
    g.limits(&format!(
        r#"{{"cpu":{{"shares":512,"quota":50000,"period":100000,"cpus":"0"}},
            "memory":{{"limit":{},"swap":{}}},"pids":{{"limit":33}}}}"#,
        64 * mib,
        128 * mib
    ))
    .unwrap();
    if g.mode == Mode::V2 {
        return;
    }
    assert_eq!(g.read("cpu", "cpu.shares"), "512");
    assert_eq!(g.read("cpu", "cpu.cfs_quota_us"), "50000");
    assert_eq!(g.read("cpuset", "cpuset.cpus"), "0");
    assert_eq!(g.read("memory", "memory.memsw.limit_in_bytes"), (128 * mib).to_string());
    assert_eq!(g.read("pids", "pids.max"), "33");
    // Up and down past the old sum: either order alone would fail one of them.
    for (limit, both) in [(256, 512), (16, 32), (-1, 0), (16, 32)] {
        let bytes = |n: i64| if n > 0 { n * mib } else { n };
        g.limits(&format!(r#"{{"memory":{{"limit":{},"swap":{}}}}}"#, bytes(limit), bytes(both))).unwrap();
    }
    assert_eq!(g.read("memory", "memory.limit_in_bytes"), (16 * mib).to_string());
    // A burst above the quota is invalid until the quota is raised with it.
    g.limits(r#"{"cpu":{"quota":200000,"burst":150000}}"#).unwrap();
    assert_eq!(g.read("cpu", "cpu.cfs_burst_us"), "150000");
    let error = g.limits(r#"{"cpu":{"shares":262145}}"#).unwrap_err();
    assert!(error.to_string().contains("the maximum allowed cpu-shares is 262144"), "{error}");
    let error = g.limits(r#"{"unified":{"memory.high":"1"}}"#).unwrap_err();
    assert!(error.to_string().contains("cannot use unified on cgroup v1"), "{error}");
    let error = g.limits(r#"{"cpu":{"cpus":"4096"}}"#).unwrap_err().to_string();
    assert!(error.contains("cpuset.cpus") && error.contains("\"4096\""), "{error}");
}

#[test]
fn devices_are_denied_but_for_the_listed() {
    let g = Group::new("devices");
    let mut rules = vec![DeviceRule { allow: false, access: "rwm".into(), ..DeviceRule::default() }];
    rules.extend(default_devices());
    let limits = |devices: &[DeviceRule]| Resources { devices: devices.to_vec(), ..Resources::default() };
    g.group.apply(&limits(&rules)).unwrap();
    // /dev/kmsg is c 1:11: readable outside, not in the group. /dev/zero stays.
    let attempt = |expected: &str| {
        let script =
            "head -c1 /dev/zero >/dev/null && echo zero; { : </dev/kmsg; } 2>/dev/null && echo kmsg; exit 0";
        let mut child = g.shell(script);
        go(&mut child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    };
    attempt("zero\n");
    rules.push(DeviceRule {
        allow: true,
        kind: "c".into(),
        major: Some(1),
        minor: Some(11),
        access: "r".into(),
    });
    g.group.apply(&limits(&rules)).unwrap();
    attempt("zero\nkmsg\n");
    rules.pop();
    g.group.apply(&limits(&rules)).unwrap();
    attempt("zero\n");
    g.group.apply(&limits(&[DeviceRule { allow: true, ..DeviceRule::default() }])).unwrap();
    attempt("zero\nkmsg\n");
}

#[test]
fn an_out_of_memory_kill_is_told() {
    let g = Group::new("oom");
    let limit = 8 << 20;
    g.limits(&format!(r#"{{"memory":{{"limit":{limit},"swap":{limit}}}}}"#)).unwrap();
    let mut watch = g.group.watch_oom().unwrap();
    assert_eq!(watch.drain().unwrap(), OomEvent::Nothing);
    let mut child = g.shell("x=$(head -c 50000000 /dev/zero | tr '\\0' x); echo ${#x}");
    go(&mut child);
    let mut fds = [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&timeout)).unwrap(), 1);
    child.wait().unwrap();
    assert!(matches!(watch.drain().unwrap(), OomEvent::Killed(n) if n >= 1));
    assert!(g.group.stats().unwrap().memory.events["oom_kill"] >= 1);
    g.group.wait_empty(Duration::from_secs(5)).unwrap();
    g.group.remove().unwrap();
    assert_eq!(watch.drain().unwrap(), OomEvent::Gone);
}

#[test]
fn stats_count_what_was_used() {
    let g = Group::new("stats");
    let mut child = g.shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; read end");
    go(&mut child);
    let mut first = [0; 1];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    let stats = g.group.stats().unwrap();
    assert!(stats.cpu.total > 0);
    assert_eq!(stats.pids.current, 1);
    assert!(stats.memory.usage.usage > 0);
    assert!(!stats.memory.stat.is_empty());
    if g.mode != Mode::V2 {
        assert_eq!(stats.cpu.per_cpu.iter().sum::<u64>(), stats.cpu.total);
        assert!(!stats.cpuset.cpus.is_empty());
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn exec_joins_where_init_lives_when_the_group_is_divided() {
    let g = Group::new("divided");
    if g.mode != Mode::V2 {
        // v1 groups take processes beside groups with controllers.
        return;
    }
    let inner = g.group.subgroup(&["/init".into()]).unwrap();
    inner.create().unwrap();
    let mut init = Command::new("sleep").arg("60").spawn().unwrap();
    inner.add_process(init.id() as i32).unwrap();
    let target = || {
        let join = g.group.join_beside(init.id() as i32).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&join.clone_into().unwrap());
        fs::read_link(format!("/proc/self/fd/{fd}")).unwrap()
    };
    // `create` of the inner group has passed controllers down, which divides the outer one.
    assert!(!g.read("", "cgroup.subtree_control").is_empty());
    assert_eq!(target(), inner.paths()[""]);
    assert!(g.group.add_process(init.id() as i32).unwrap_err().to_string().contains("busy"));
    let enabled = g.read("", "cgroup.subtree_control");
    for controller in enabled.split_whitespace() {
        fs::write(g.dir("").join("cgroup.subtree_control"), format!("-{controller}")).unwrap();
    }
    assert_eq!(target(), g.dir(""));
    init.kill().unwrap();
    init.wait().unwrap();
}
