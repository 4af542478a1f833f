"""A pod's life by Kubernetes' runtime interface, on the socket argv[1]: its pods use the cgroup argv[2], its logs go
to the directory argv[3], its image is argv[4]."""

import pathlib
import subprocess
import sys
import tempfile
import time

import grpc

here = pathlib.Path(__file__).resolve().parent
stubs = tempfile.mkdtemp()
subprocess.run(
    [sys.executable, "-m", "grpc_tools.protoc", f"-I{here}", f"--python_out={stubs}", f"--grpc_python_out={stubs}", "cri.proto"],
    check=True,
)
sys.path.insert(0, stubs)

import cri_pb2 as cri  # noqa: E402
import cri_pb2_grpc as cri_grpc  # noqa: E402

socket, cgroup, logs, image = sys.argv[1:]
runtime = cri_grpc.RuntimeServiceStub(grpc.insecure_channel(f"unix://{socket}"))
assert runtime.Version(cri.VersionRequest()).runtime_api_version == "v1"

NODE = 2
pod_config = cri.PodSandboxConfig(
    metadata=cri.PodSandboxMetadata(name="pod", uid="uid", namespace="default"),
    log_directory=logs,
    linux=cri.LinuxPodSandboxConfig(
        cgroup_parent=cgroup,
        security_context=cri.LinuxSandboxSecurityContext(namespace_options=cri.NamespaceOption(network=NODE)),
    ),
)
pod = runtime.RunPodSandbox(cri.RunPodSandboxRequest(config=pod_config)).pod_sandbox_id


def container(name, command):
    config = cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=name),
        image=cri.ImageSpec(image=image),
        command=command,
        log_path=f"{name}.log",
        linux=cri.LinuxContainerConfig(
            security_context=cri.LinuxContainerSecurityContext(namespace_options=cri.NamespaceOption(network=NODE))
        ),
    )
    request = cri.CreateContainerRequest(pod_sandbox_id=pod, config=config, sandbox_config=pod_config)
    made = runtime.CreateContainer(request).container_id
    runtime.StartContainer(cri.ContainerRequest(container_id=made))
    return made


def status(of):
    return runtime.ContainerStatus(cri.ContainerRequest(container_id=of)).status


def ended(of):
    end = time.monotonic() + 30
    while status(of).state != 2:
        assert time.monotonic() < end, status(of)
        time.sleep(0.01)
    return status(of).exit_code


long = container("long", ["sleep", "1000"])
assert status(long).state == 1
run = runtime.ExecSync(cri.ExecSyncRequest(container_id=long, cmd=["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10))
assert (run.stdout, run.stderr, run.exit_code) == (b"out\n", b"err\n", 3), run
short = container("short", ["sh", "-c", "echo logged; exit 4"])
assert ended(short) == 4
log = pathlib.Path(logs, "short.log").read_text()
assert log.endswith(" stdout F logged\n"), log
runtime.StopContainer(cri.StopContainerRequest(container_id=long, timeout=1))
# The pod shares its pid namespace: no container has an init, which signals would pass by.
assert ended(long) == 143, status(long)
for name in (short, long):
    runtime.RemoveContainer(cri.ContainerRequest(container_id=name))
runtime.StopPodSandbox(cri.PodSandboxRequest(pod_sandbox_id=pod))
runtime.RemovePodSandbox(cri.PodSandboxRequest(pod_sandbox_id=pod))
