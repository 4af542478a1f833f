// dockerode on the engine that DOCKER_HOST names: run, exec, attach, logs, files, networks, volumes, events.
"use strict";
const assert = require("node:assert");
const { PassThrough } = require("node:stream");
const Docker = require("dockerode");

const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace("unix://", "") });

// Reads a stream of frames to its end.
function demultiplexed(stream) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const text = { stdout: "", stderr: "" };
  stdout.on("data", (chunk) => (text.stdout += chunk));
  stderr.on("data", (chunk) => (text.stderr += chunk));
  docker.modem.demuxStream(stream, stdout, stderr);
  return new Promise((resolve, reject) => {
    stream.on("end", () => resolve(text)).on("close", () => resolve(text)).on("error", reject);
  });
}

async function main() {
  assert.strictEqual((await docker.ping()).toString(), "OK");
  assert.ok((await docker.version()).ApiVersion);
  assert.ok((await docker.info()).ServerVersion);
  assert.ok((await docker.listImages()).some((image) => image.RepoTags.includes("busybox:latest")));

  // Events of all that follows.
  const seen = [];
  const events = await docker.getEvents({ filters: { label: ["by=dockerode"] } });
  events.on("data", (chunk) => chunk.toString().trim().split("\n").forEach((line) => seen.push(JSON.parse(line).Action)));

  // Run to the end with the output in hand.
  const out = new PassThrough();
  let printed = "";
  out.on("data", (chunk) => (printed += chunk));
  const [ended] = await docker.run("busybox", ["sh", "-c", "echo ran; exit 3"], out, { Tty: true, HostConfig: { AutoRemove: false } });
  assert.deepStrictEqual([ended.StatusCode, printed], [3, "ran\r\n"]);

  const network = await docker.createNetwork({ Name: "rode-net", Labels: { by: "dockerode" } });
  const volume = await docker.createVolume({ Name: "rode-volume", Labels: { by: "dockerode" } });
  const container = await docker.createContainer({
    Image: "busybox", name: "rode", Cmd: ["sh", "-c", "echo up; echo err >&2; exec sleep 100"], Labels: { by: "dockerode" },
    HostConfig: { Binds: ["rode-volume:/data"], NetworkMode: "rode-net", PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } },
    ExposedPorts: { "80/tcp": {} },
  });
  await container.start();
  const state = await container.inspect();
  assert.ok(state.State.Running && state.NetworkSettings.Networks["rode-net"].IPAddress);
  assert.match(state.NetworkSettings.Ports["80/tcp"][0].HostPort, /^\d+$/);
  assert.strictEqual(state.Mounts[0].Name, "rode-volume");
  assert.strictEqual((await network.inspect()).Containers[container.id].Name, "rode");

  // Exec with both streams and stdin.
  const exec = await container.exec({ Cmd: ["sh", "-c", "cat; echo e >&2; exit 5"], AttachStdin: true, AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({ hijack: true, stdin: true });
  const text = demultiplexed(stream);
  stream.end("fed\n");
  assert.deepStrictEqual(await text, { stdout: "fed\n", stderr: "e\n" });
  assert.strictEqual((await exec.inspect()).ExitCode, 5);

  // Logs at once and followed.
  const logs = await container.logs({ stdout: true, stderr: true, follow: true });
  const followed = demultiplexed(logs);

  // Files in and out.
  const copied = await container.getArchive({ path: "/etc/passwd" });
  await container.putArchive(copied, { path: "/data" });
  const listing = await container.exec({ Cmd: ["ls", "/data"], AttachStdout: true });
  assert.strictEqual((await demultiplexed(await listing.start({}))).stdout, "passwd\n");
  assert.ok((await container.changes()).length >= 0);
  assert.ok((await container.top()).Processes.length > 0);
  assert.ok((await container.stats({ stream: false })).memory_stats.usage > 0);

  await container.pause();
  await container.unpause();
  await container.update({ Memory: 64 << 20, MemorySwap: 128 << 20 });
  assert.strictEqual((await container.inspect()).HostConfig.Memory, 64 << 20);
  await container.restart({ t: 0 });
  await container.stop({ t: 0 });
  assert.strictEqual((await container.wait()).StatusCode, 137);
  assert.ok((await followed).stdout.startsWith("up\n"));

  // Attach before the start: nothing is lost.
  const talker = await docker.createContainer({ Image: "busybox", Cmd: ["cat"], OpenStdin: true, StdinOnce: true });
  const attached = await talker.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
  const said = demultiplexed(attached);
  await talker.start();
  attached.end("through\n");
  assert.strictEqual((await said).stdout, "through\n");
  await talker.remove({ force: true });

  // An image of a container, tagged and removed.
  const image = await container.commit({ repo: "rode-image", tag: "1" });
  assert.match(image.Id, /^sha256:/);
  await docker.getImage("rode-image:1").remove();

  await container.remove();
  await assert.rejects(container.inspect(), (error) => error.statusCode === 404);
  await network.remove();
  await volume.remove();
  for (const left of await docker.listContainers({ all: true })) {
    await docker.getContainer(left.Id).remove({ force: true });
  }
  events.destroy();
  for (const action of ["create", "start", "pause", "unpause", "kill", "die", "destroy"]) {
    assert.ok(seen.includes(action), `no event ${action} in ${seen}`);
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
