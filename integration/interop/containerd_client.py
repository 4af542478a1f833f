"""A client of the containerd API in Python, its stubs made from the contracts in proto/, on the socket argv[1]."""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

import grpc

proto = pathlib.Path(__file__).resolve().parents[2] / "proto"
stubs = tempfile.mkdtemp()
services = ["containers", "content", "namespaces", "tasks", "version"]
contracts = ["containerd/types.proto", "containerd/v1/types.proto"]
contracts += [f"containerd/services/{name}/v1.proto" for name in services]
subprocess.run(
    [sys.executable, "-m", "grpc_tools.protoc", f"-I{proto}", f"--python_out={stubs}", f"--grpc_python_out={stubs}", *contracts],
    check=True,
)
sys.path.insert(0, stubs)

from containerd.services.content import v1_pb2 as content, v1_pb2_grpc as content_grpc  # noqa: E402
from containerd.services.containers import v1_pb2 as containers, v1_pb2_grpc as containers_grpc  # noqa: E402
from containerd.services.namespaces import v1_pb2 as namespaces, v1_pb2_grpc as namespaces_grpc  # noqa: E402
from containerd.services.tasks import v1_pb2 as tasks, v1_pb2_grpc as tasks_grpc  # noqa: E402
from containerd.services.version import v1_pb2_grpc as version_grpc  # noqa: E402
from google.protobuf import empty_pb2  # noqa: E402

channel = grpc.insecure_channel(f"unix://{sys.argv[1]}")
here = (("containerd-namespace", "py"),)


def refused(code, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error.details()
    raise SystemExit(f"{call} was not refused")


assert version_grpc.VersionStub(channel).Version(empty_pb2.Empty()).version

names = namespaces_grpc.NamespacesStub(channel)
names.Create(namespaces.CreateNamespaceRequest(namespace=namespaces.Namespace(name="py", labels={"a": "b"})))
assert names.Get(namespaces.GetNamespaceRequest(name="py")).namespace.labels["a"] == "b"

store = content_grpc.ContentStub(channel)
blob = os.urandom(3 << 20)
digest = "sha256:" + hashlib.sha256(blob).hexdigest()


def write():
    yield content.WriteContentRequest(action=content.STAT, ref="r", total=len(blob), expected=digest)
    for at in range(0, len(blob), 1 << 20):
        yield content.WriteContentRequest(action=content.WRITE, offset=at, data=blob[at : at + (1 << 20)])
    yield content.WriteContentRequest(action=content.COMMIT, offset=len(blob), total=len(blob), expected=digest)


last = list(store.Write(write(), metadata=here))[-1]
assert last.digest == digest, last
read = b"".join(r.data for r in store.Read(content.ReadContentRequest(digest=digest), metadata=here))
assert read == blob
refused(grpc.StatusCode.FAILED_PRECONDITION, store.Info, content.InfoRequest(digest=digest))
refused(grpc.StatusCode.NOT_FOUND, store.Info, content.InfoRequest(digest="sha256:" + "0" * 64), metadata=here)
refused(grpc.StatusCode.INVALID_ARGUMENT, store.Info, content.InfoRequest(digest="nonsense"), metadata=here)
store.Delete(content.DeleteContentRequest(digest=digest), metadata=here)

records = containers_grpc.ContainersStub(channel)
refused(grpc.StatusCode.NOT_FOUND, records.Get, containers.GetContainerRequest(id="none"), metadata=here)
refused(grpc.StatusCode.INVALID_ARGUMENT, records.Create, containers.CreateContainerRequest(container=containers.Container(id="a b")), metadata=here)
refused(grpc.StatusCode.NOT_FOUND, tasks_grpc.TasksStub(channel).Get, tasks.GetRequest(container_id="none"), metadata=here)
names.Delete(namespaces.DeleteNamespaceRequest(name="py"))
print("the containerd client is content")
