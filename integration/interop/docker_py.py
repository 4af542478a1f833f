"""docker-py on the engine that DOCKER_HOST names: what a program does with a Docker it takes for granted."""

import docker

client = docker.from_env()
assert client.ping()
assert client.version()["ApiVersion"]
assert client.info()["ServerVersion"]

assert client.containers.run("busybox", ["echo", "hello"], remove=True) == b"hello\n"
try:
    client.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 4"], remove=True)
    raise SystemExit("an exit code was lost")
except docker.errors.ContainerError as error:
    assert error.exit_status == 4 and error.stderr == b"no\n", error

boat = client.containers.run(
    "busybox", ["sh", "-c", "echo up; exec sleep 100"], detach=True, name="py-boat",
    environment={"A": "b"}, labels={"kind": "boat"}, mem_limit="64m", ports={"80/tcp": ("127.0.0.1", None)},
)
boat.reload()
assert boat.status == "running"
assert boat.attrs["Config"]["Labels"]["kind"] == "boat"
assert boat.ports["80/tcp"][0]["HostPort"].isdigit(), boat.ports
assert [c.name for c in client.containers.list(filters={"label": "kind=boat"})] == ["py-boat"]
code, output = boat.exec_run(["sh", "-c", "echo $A; exit 3"])
assert (code, output) == (3, b"b\n"), (code, output)
stdout, stderr = boat.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True).output
assert (stdout, stderr) == (b"o\n", b"e\n")
assert next(boat.logs(stream=True)) == b"up\n"
assert "sleep 100" in str(boat.top()["Processes"])
stats = boat.stats(stream=False)
assert stats["memory_stats"]["limit"] == 64 << 20, stats["memory_stats"]
boat.pause()
boat.reload()
assert boat.status == "paused"
boat.unpause()
boat.rename("py-renamed")
boat.stop(timeout=0)
assert boat.wait()["StatusCode"] == 137
boat.remove()
try:
    client.containers.get("py-renamed")
    raise SystemExit("a removed container was found")
except docker.errors.NotFound:
    pass

socket = None
talk = client.containers.create("busybox", "cat", stdin_open=True)
socket = talk.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
talk.start()
socket._sock.sendall(b"echo\n")
frame = b""
while len(frame) < 13:
    frame += socket._sock.recv(64)
assert frame == b"\x01\0\0\0\0\0\0\x05echo\n", frame
socket.close()
talk.remove(force=True)

image = client.images.get("busybox")
assert image.tag("py/busybox", "v2")
assert "py/busybox:v2" in client.images.get("py/busybox:v2").tags
client.images.remove("py/busybox:v2")
assert {n.name for n in client.networks.list()} >= {"bridge", "host", "none"}
volume = client.volumes.create("py-volume")
client.containers.run("busybox", "sh -c 'echo kept > /v/f'", volumes={"py-volume": {"bind": "/v"}}, remove=True)
assert client.containers.run("busybox", "cat /v/f", volumes={"py-volume": {"bind": "/v"}}, remove=True) == b"kept\n"
volume.remove()
print("docker-py", docker.__version__, "is content")
