//! Volumes that a plugin keeps.

use integration::{Story, until};
use std::path::PathBuf;

/// A plugin that keeps volumes as directories below its own, and writes down what it is asked.
const PLUGIN: &str = r#"
import json, os, socketserver, sys
from http.server import BaseHTTPRequestHandler
root, path = sys.argv[1], sys.argv[2]
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers.get('Content-Length', 0))) or '{}')
        method = self.path.strip('/')
        open(root + '/asked', 'a').write(method + ' ' + asked.get('Name', '') + '\n')
        at = os.path.join(root, asked.get('Name', ''))
        answer = {'Err': ''}
        if method == 'Plugin.Activate': answer = {'Implements': ['VolumeDriver']}
        elif method == 'VolumeDriver.Create':
            if (asked.get('Opts') or {}).get('bad'): answer = {'Err': 'no such option'}
            else: os.makedirs(at, exist_ok=True)
        elif method in ('VolumeDriver.Path', 'VolumeDriver.Mount'): answer['Mountpoint'] = at
        elif method == 'VolumeDriver.Get': answer['Volume'] = {'Name': asked['Name'], 'Mountpoint': at, 'Status': {'kept': 'well'}}
        body = json.dumps(answer).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def address_string(self): return 'engine'
    def log_message(self, *words): pass
class Server(socketserver.ThreadingUnixStreamServer): daemon_threads = True
Server(path, Handler).serve_forever()
"#;

/// A running plugin; it goes with the story, however that ends.
struct Plugin {
    process: std::process::Child,
    socket: PathBuf,
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

#[test]
fn a_plugin_keeps_volumes() {
    let story = Story::new();
    let ctl = story.ctl();
    let name = format!("wherrytest{}", std::process::id());
    std::fs::create_dir_all("/run/docker/plugins").unwrap();
    let socket = PathBuf::from(format!("/run/docker/plugins/{name}.sock"));
    let root = story.path("plugin");
    std::fs::create_dir(&root).unwrap();
    let mut command = std::process::Command::new("python3");
    let process = command.args(["-c", PLUGIN]).arg(&root).arg(&socket).spawn().unwrap();
    let plugin = Plugin { process, socket: socket.clone() };
    until("the plugin", || socket.exists().then_some(()));
    ctl.call(["volume", "create", "-d", &name, "-o", "bad=1", "kept"])
        .run()
        .unwrap()
        .expect_code(1)
        .expect_complaint("no such option");
    ctl.call(["volume", "create", "-d", &name, "kept"]).expect();
    let shown = ctl
        .call(["volume", "inspect", "-f", "{{.Driver}} {{.Mountpoint}} {{.Status.kept}}", "kept"])
        .expect();
    assert_eq!(shown, format!("{name} {}/kept well", root.display()));
    ctl.call(["run", "--rm", "-v", "kept:/d", "busybox", "sh", "-c", "echo through >/d/f"]).expect();
    assert_eq!(std::fs::read_to_string(root.join("kept/f")).unwrap(), "through\n");
    ctl.call(["run", "--rm", "--volume-driver", &name, "-v", "other:/d", "busybox", "touch", "/d/g"])
        .expect();
    assert!(root.join("other/g").exists());
    ctl.call(["volume", "rm", "kept", "other"]).expect();
    let asked = std::fs::read_to_string(root.join("asked")).unwrap();
    for method in ["Mount", "Unmount", "Remove"] {
        assert!(asked.contains(&format!("VolumeDriver.{method} kept")), "{method} in {asked}");
    }
    ctl.call(["volume", "create", "-d", "surelynot", "x"])
        .run()
        .unwrap()
        .expect_code(1)
        .expect_complaint("error looking up volume plugin");
    drop(plugin);
    story.end();
}
