#!/bin/bash
# The systemd units: socket activation, readiness, and containers that outlive a restart and a crash.
set -eu
cd "$(dirname "$0")"
cp -a programs/. /usr/local/bin/
ln -sf shim /usr/local/bin/containerd-shim-wherry-v1
for unit in engined.service engined.socket supervisord.service; do
  sed 's|@bindir@|/usr/local/bin|g' "deploy/systemd/$unit" >"/usr/lib/systemd/system/wherry-$unit"
done
mkdir -p /etc/wherry
cp deploy/daemon.json /etc/wherry/
supervisord config default >/etc/wherry/supervisord.toml
groupadd -f wherry
systemctl daemon-reload
systemctl start wherry-engined.socket
[ "$(stat -c '%a %G' /run/wherry/engined.sock)" = "660 wherry" ]
ctl version >/dev/null
systemctl is-active wherry-engined.service wherry-supervisord.service
ctl import -c 'CMD ["sh"]' busybox.tar boat
ctl run -d --name long boat sh -c 'while :; do echo line; sleep 0.1; done'
systemctl restart wherry-supervisord wherry-engined
[ "$(ctl exec long echo alive)" = alive ]
systemctl kill -s KILL wherry-engined
ctl ps | grep long
ctl rm -f long
systemctl stop wherry-engined.socket wherry-engined wherry-supervisord
echo "the units are content"
