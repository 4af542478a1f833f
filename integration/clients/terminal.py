"""A terminal under ctl: raw while it runs, as it was after every end; its size is the container's."""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

CTL = sys.argv[1]


class Terminal:
    def __init__(self, *words):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.seen = ""
        self.child = subprocess.Popen([CTL, *words], stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.set_blocking(self.master, False)

    def until(self, pattern):
        end = time.monotonic() + 20
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, f"{pattern!r} is not in {self.seen!r}"
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except (BlockingIOError, OSError):
                time.sleep(0.01)
        self.seen = ""

    def type(self, keys):
        os.write(self.master, keys.encode())

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ECHO

    def ends(self, *codes):
        code = self.child.wait(20)
        assert code in codes, (code, codes)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"


RUN = ["run", "--rm", "-it", "--network", "none", "busybox", "sh"]

# A shell: its size, a new size, its end.
shell = Terminal(*RUN)
shell.until(r"# ")
assert shell.is_raw()
shell.type("stty size\r")
shell.until(r"33 99")
fcntl.ioctl(shell.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 111, 0, 0))
os.kill(shell.child.pid, signal.SIGWINCH)
end = time.monotonic() + 20
while True:
    shell.type("stty size\r")
    try:
        shell.until(r"(\d+ \d+)\r\n")
    except AssertionError:
        pass
    shell.type("stty size\r")
    try:
        shell.until(r"44 111")
        break
    except AssertionError:
        assert time.monotonic() < end, "the new size did not arrive"
shell.type("exit 5\r")
shell.ends(5)

# Detach keys leave it running.
boat = Terminal("run", "-it", "--name", "boat", "--network", "none", "busybox", "sh")
boat.until(r"# ")
boat.type("\x10\x11")
boat.ends(0)
assert subprocess.run([CTL, "inspect", "-f", "{{.State.Running}}", "boat"], capture_output=True, text=True).stdout == "true\n"

# The same for an exec and an attach, by keys of the flag, of the configuration, or the usual ones.
config = os.path.join(tempfile.mkdtemp(), "config.json")
with open(config, "w") as file:
    file.write('{"detachKeys": "ctrl-x,z"}')
for words, keys in (
    (["exec", "-it", "boat", "sh"], "\x10\x11"),
    (["exec", "-it", "--detach-keys", "ctrl-a", "boat", "sh"], "\x01"),
    (["--config", os.path.dirname(config), "exec", "-it", "boat", "sh"], "\x18z"),
    (["attach", "--detach-keys", "a,b", "boat"], "ab"),
    (["--config", os.path.dirname(config), "attach", "boat"], "\x18z"),
):
    left = Terminal(*words)
    left.type("\r" if "attach" in words else "")
    left.until(r"# ")
    left.type(keys)
    left.until(r"read escape sequence")
    left.ends(1)
shutil.rmtree(os.path.dirname(config))

# Killed by a signal, and with its terminal gone.
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    attached = Terminal("exec", "-it", "boat", "sh")
    attached.until(r"# ")
    assert attached.is_raw()
    os.kill(attached.child.pid, number)
    attached.ends(128 + number, -number)
# A copy tells how much it was; lists and streams end with their terminal, however narrow.
copy = Terminal("cp", "boat:/etc/passwd", "/tmp/" + "copied-by-terminal-test")
copy.until(r"Successfully copied 2\.05kB to /tmp/copied-by-terminal-test")
copy.ends(0)
os.unlink("/tmp/copied-by-terminal-test")
for words in (["events"], ["stats"], ["logs", "-f", "boat"]):
    for columns in (0, 20):
        left = Terminal(*words)
        fcntl.ioctl(left.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 5, columns, 0, 0))
        os.close(left.slave)
        os.close(left.master)
        left.child.wait(20)
gone = Terminal("attach", "boat")
gone.type("\r")
gone.until(r"# ")
os.close(gone.slave)
os.close(gone.master)
gone.child.wait(20)
subprocess.run([CTL, "rm", "-f", "boat"], check=True, capture_output=True)

# A password is not shown, and whoever gives up gets the echo back.
asked = Terminal("login", "-u", "me", "localhost:1")
asked.until(r"Password: ")
assert asked.is_raw()
os.kill(asked.child.pid, signal.SIGINT)
asked.ends(130, -2)
