#!/bin/bash
# The whole stack on the guest's own cgroups: limits, statistics, freezing, published ports, the OOM killer, a clean end.
set -eu
cd "$(dirname "$0")/programs"
cp -a . /usr/local/bin/
export WHERRY_PROGRAMS=/usr/local/bin
stack up /tmp/s
export DOCKER_HOST=unix:///tmp/s/run/engined.sock
ctl import -c 'CMD ["sh"]' ../busybox.tar boat
[ "$(ctl run --rm boat echo hello)" = hello ]
ctl run -d --name limited -m 64m --cpus 0.5 --pids-limit 40 -p 8080:80 boat nc -ll -p 80 -e echo ahoy
pid=$(ctl inspect -f '{{.State.Pid}}' limited)
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  group=/sys/fs/cgroup$(sed 's/^0:://' "/proc/$pid/cgroup")
  [ "$(cat "$group/memory.max" "$group/cpu.max" "$group/pids.max" | tr '\n' ' ')" = "67108864 50000 100000 40 " ]
fi
ctl stats --no-stream limited | grep '64MiB'
ctl pause limited
ctl ps | grep Paused
ctl unpause limited
[ "$(busybox nc -w 5 127.0.0.1 8080 </dev/null)" = ahoy ]
status=0
ctl run --name hog -m 16m --memory-swap 16m boat sh -c 'x=$(head -c 33554432 /dev/zero | tr "\0" x)' || status=$?
[ "$status $(ctl inspect -f '{{.State.OOMKilled}}' hog)" = "137 true" ]
stack down /tmp/s
echo "the stack is content"
