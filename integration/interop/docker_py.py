"""docker-py on the engine that DOCKER_HOST names: what a program does with a Docker it takes for granted."""

import time

import docker

client = docker.from_env()
began = int(time.time()) - 1
live = client.events(decode=True, filters={"label": "kind=boat"})
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

# Events as they came, and all of one container told again.
told = []
for event in live:
    told.append(event["Action"])
    if event["Action"] == "destroy":
        break
live.close()
again = client.events(decode=True, since=began, until=int(time.time()) + 1, filters={"container": boat.id, "type": "container"})
again = [event["Action"] for event in again]
for actions in (told, again):
    order = [action for action in actions if action in ("create", "start", "pause", "unpause", "rename", "die", "destroy")]
    assert order == ["create", "start", "pause", "unpause", "rename", "die", "destroy"], actions

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

# A network with addresses of its own, names on it, and a container that joins and leaves it while it runs.
pool = docker.types.IPAMPool(subnet="10.213.0.0/24", gateway="10.213.0.254")
crew = client.networks.create("py-crew", driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={"kind": "crew"})
served = client.containers.create("busybox", ["nc", "-ll", "-p", "80", "-e", "echo", "served"])
client.networks.get("bridge").disconnect(served)
crew.connect(served, aliases=["db"], ipv4_address="10.213.0.7")
served.start()
crew.reload()
assert [c.id for c in crew.containers] == [served.id], crew.attrs["Containers"]
assert crew.attrs["Containers"][served.id]["IPv4Address"] == "10.213.0.7/24"
asker = client.containers.run("busybox", ["sleep", "100"], detach=True, name="py-asker")
assert asker.exec_run(["nc", "-w", "1", "10.213.0.7", "80"]).output != b"served\n", "bridges are apart"
crew.connect(asker, aliases=["client"])
code, output = asker.exec_run(["sh", "-c", "nc -w 5 db 80 </dev/null"])
assert (code, output) == (0, b"served\n"), (code, output)
asker.reload()
assert set(asker.attrs["NetworkSettings"]["Networks"]) == {"bridge", "py-crew"}
crew.disconnect(asker)
asker.reload()
assert set(asker.attrs["NetworkSettings"]["Networks"]) == {"bridge"}
try:
    crew.remove()
    raise SystemExit("a network in use was removed")
except docker.errors.APIError as error:
    assert error.status_code in (403, 409), error
for container in (served, asker):
    container.remove(force=True)
assert client.networks.prune(filters={"label": "kind=crew"})["NetworksDeleted"] == ["py-crew"]

volume = client.volumes.create("py-volume", labels={"kind": "hold"})
assert [v.name for v in client.volumes.list(filters={"label": "kind=hold"})] == ["py-volume"]
client.containers.run("busybox", "sh -c 'echo kept > /v/f'", volumes={"py-volume": {"bind": "/v"}}, remove=True)
assert client.containers.run("busybox", "cat /v/f", volumes={"py-volume": {"bind": "/v"}}, remove=True) == b"kept\n"
assert volume.attrs["Mountpoint"].startswith("/") and volume.attrs["Labels"] == {"kind": "hold"}
user = client.containers.create("busybox", volumes={"py-volume": {"bind": "/v", "mode": "ro"}})
try:
    volume.remove()
    raise SystemExit("a volume in use was removed")
except docker.errors.APIError as error:
    assert error.status_code == 409, error
user.remove()
volume.remove()
seen = {(event["Type"], event["Action"]) for event in client.events(decode=True, since=began, until=int(time.time()) + 1)}
wanted = {("network", "create"), ("network", "connect"), ("network", "disconnect"), ("network", "destroy")}
wanted |= {("volume", "create"), ("volume", "mount"), ("volume", "unmount"), ("volume", "destroy"), ("image", "tag")}
assert wanted <= seen, wanted - seen
print("docker-py", docker.__version__, "is content")
