"""testcontainers on the engine that DOCKER_HOST names: containers of a test, ready when they say so, gone at its end."""

import socket
import time

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy
from testcontainers.core.waiting_utils import wait_for_logs

import docker

began = int(time.time()) - 1
SERVER = ["sh", "-c", "echo ready to serve; while true; do echo served | nc -l -p 8000; done"]

with DockerContainer("busybox").with_command(SERVER).with_exposed_ports(8000).with_env("MODE", "test") as server:
    wait_for_logs(server, "ready to serve", timeout=20)
    address = (server.get_container_host_ip(), int(server.get_exposed_port(8000)))
    with socket.create_connection(address, timeout=10) as connection:
        assert connection.recv(64) == b"served\n"
    code, output = server.exec(["sh", "-c", "echo $MODE; exit 4"])
    assert (code, output) == (4, b"test\n"), (code, output)
    stdout, stderr = server.get_logs()
    assert stdout.startswith(b"ready to serve\n") and stderr == b"", (stdout, stderr)
    name = server.get_wrapped_container().name

assert name not in [c.name for c in docker.from_env().containers.list(all=True)], "a container outlived its test"

with Network() as network:
    web = DockerContainer("busybox").with_network(network).with_network_aliases("web").with_command(SERVER)
    with web.waiting_for(LogMessageWaitStrategy("ready")):
        asker = DockerContainer("busybox").with_network(network).with_command(["sleep", "100"])
        with asker:
            code, output = asker.exec(["sh", "-c", "nc -w 5 web 8000 < /dev/null"])
            assert (code, output) == (0, b"served\n"), (code, output)

with DockerContainer("busybox").with_command(["sh", "-c", "cat /given/file; sleep 100"]).with_volume_mapping("/etc", "/given") as reader:
    assert reader.exec(["ls", "/given/passwd"]).exit_code == 0

# What one container writes into a volume, another reads; the one that it is given to is asked by its own streams.
client = docker.from_env()
volume = client.volumes.create("tc-volume")
with DockerContainer("busybox").with_command(["sh", "-c", "echo kept > /v/f; echo done; sleep 100"]).with_volume_mapping("tc-volume", "/v", "rw") as writer:
    wait_for_logs(writer, "done", timeout=20)
reader = DockerContainer("busybox").with_command(["cat"]).with_kwargs(stdin_open=True)
with reader.with_volume_mapping("tc-volume", "/v", "ro") as given:
    assert given.exec(["cat", "/v/f"]).output == b"kept\n"
    assert given.exec(["touch", "/v/g"]).exit_code != 0
    attached = given.get_wrapped_container().attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    attached._sock.sendall(b"through\n")
    frame = b""
    while len(frame) < 16:
        frame += attached._sock.recv(64)
    assert frame == b"\x01\0\0\0\0\0\0\x08through\n", frame
    attached.close()
volume.remove()

# Everything that was done has been told.
seen = {(event["Type"], event["Action"].split(":")[0]) for event in client.events(decode=True, since=began, until=int(time.time()) + 1)}
wanted = {("container", action) for action in ("create", "start", "exec_create", "attach", "die", "destroy")}
wanted |= {("network", "create"), ("network", "destroy"), ("volume", "create"), ("volume", "destroy")}
assert wanted <= seen, wanted - seen
assert not [n for n in client.networks.list() if n.name not in ("bridge", "host", "none")], "a network outlived its test"
