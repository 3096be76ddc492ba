#!/bin/sh
# Removes what Pteropus leaves on a node, after it was uninstalled from the cluster. As root, on the node:
#   clean-node.sh          links, sockets, CNI executable and configuration, node id and address pools
#   clean-node.sh --etcd   Pteropus's etcd too: node ids and addresses of the whole cluster
# Pods that are still wired by Pteropus lose their network. Sysctls of the uplink (rp_filter, disable_ipv6) are as they were after a
# reboot. Exit code 1: the host still hears nothing by a link.
set -eu
case ${1:-} in
  '' | --etcd) ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p;}' "$0" >&2; exit 2 ;;
esac
CONF_DIR=${CONF_DIR:-/etc/cni/net.d} BIN_DIR=${BIN_DIR:-/opt/cni/bin} STATE_DIR=${STATE_DIR:-/var/lib}
RUN_DIR=${RUN_DIR:-/run/pteropus}

# The configuration first: from now on the runtime does not call us.
rm -f "$CONF_DIR/10-pteropus.conflist"

# ptero0 takes its peer ptero1 and its routes along; pods' links are "pt" and 13 hexadecimal digits.
for path in /sys/class/net/*; do
  link=${path##*/}
  if [ "$link" = ptero0 ] || { [ ${#link} -eq 15 ] && expr "$link" : 'pt[0-9a-f]\{13\}$' >/dev/null; }; then
    ip link delete "$link"
    echo "removed link $link"
  fi
done

# The kernel was kept from what comes in by the uplink: by tcx from Linux 6.6 on, which only the executable takes away.
deaf=0
if [ -x "$BIN_DIR/pteropus" ]; then
  heard=$("$BIN_DIR/pteropus" --hear) || deaf=1
  for link in $heard; do echo "$link hears again"; done
else
  echo "clean-node.sh: $BIN_DIR/pteropus is not there. If it was not this script that removed it: from Linux 6.6 on the host hears" >&2
  echo "nothing by the uplink until \`bpftool net detach tcx_ingress dev UPLINK\`, or a reboot." >&2
fi
if command -v tc >/dev/null; then
  for path in /sys/class/net/*; do
    link=${path##*/}
    if tc filter show dev "$link" ingress 2>/dev/null | grep -q pteropus; then
      tc filter delete dev "$link" ingress pref 1
      echo "removed the filter of $link"
    fi
  done
fi

if [ "$(readlink "$BIN_DIR/loopback" || :)" = pteropus ]; then rm "$BIN_DIR/loopback"; fi
rm -f "$BIN_DIR/pteropus"
rm -rf "$RUN_DIR" "$STATE_DIR/pteropus"
if [ "${1:-}" = --etcd ]; then rm -rf "$STATE_DIR/pteropus-etcd"; fi
exit $deaf
