#!/bin/bash
# A walk through overlay networks: three hosts on one switch, a real Consul, and the
# configuration beside this file. Run it with `make demo-overlay`, as root.
#
# The hosts are namespaces of this machine, and all of it is in a machine of its own made
# of namespaces, which is gone when this script ends: nothing here touches yours. Each
# command is shown before it runs, with the host that it runs on, and what it says after.
# `says` is what it has to say; if it does not, the walk ends there and fails.
set -euo pipefail
cd "$(dirname "$0")"

if [ "${1-}" != apart ]; then
	exec unshare --net --mount --uts --pid --fork --kill-child --mount-proc bash "./$(basename "$0")" apart
fi

## The words of this script

step() { printf '\n=== %s\n' "$*"; }

# on HOST COMMAND: the command works.
on() {
	show "$@" || fail 'the command ended with an error'
}

# refused HOST COMMAND: the command fails.
refused() {
	if show "$@"; then fail 'the command did not fail'; fi
}

show() {
	printf '\n%s$ %s\n' "$1" "$2"
	ended=0
	enter "$1" "$2" >"$work/said" 2>&1 || ended=$?
	cat "$work/said"
	return "$ended"
}

# says PATTERN: the last command said so; says_not PATTERN: it did not.
says() { grep -Eq -e "$1" "$work/said" || fail "it does not say: $1"; }
says_not() { if grep -Eq -e "$1" "$work/said"; then fail "it says: $1"; fi; }

fail() {
	printf '\nNot as it should be: %s\n' "$1" >&2
	exit 1
}

# enter HOST COMMAND: run a command on a host.
enter() {
	nsenter --target "$(cat "$work/$1.pid")" --net --mount --uts bash -o pipefail -c "cd '$PWD' && $2"
}

# await COMMAND: wait for something that needs a moment.
await() {
	tries=0
	until eval "$1" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 6000 ] || fail "waited in vain: $1"
		sleep 0.01
	done
}

# watch HOST PACKETS FILTER: see that many packets on a host's wire, until `seen` shows them.
watch() {
	printf '\n%s$ tcpdump -n -c %s -i eth0 %s &\n' "$1" "$2" "$3"
	: >"$work/tcpdump" # what an earlier one said does not count
	enter "$1" "exec tcpdump -n -t -l -c $2 -i eth0 $3" >"$work/packets" 2>"$work/tcpdump" &
	watcher=$!
	await "grep -q listening '$work/tcpdump'"
}

seen() {
	await "! kill -0 $watcher"
	printf '\n(tcpdump)\n'
	cp "$work/packets" "$work/said"
	cat "$work/said"
}

## The machine: a switch, three hosts, somebody outside, and Consul

# new_host NAME ADDRESS: a host has a network, a name and directories of its own.
new_host() {
	unshare --net --mount --uts sh -c "
		echo $1 >/proc/sys/kernel/hostname
		mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /etc/netns && mount -t sysfs sysfs /sys
		echo \$\$ >'$work/$1.pid' && exec sleep infinity" &
	await "[ -s '$work/$1.pid' ]"
	ip link add "port-$1" type veth peer name eth0 netns "$(cat "$work/$1.pid")"
	ip link set "port-$1" master switch up
	enter "$1" "ip link set lo up && ip link set eth0 up && ip address add $2/24 dev eth0"
}

build() {
	umask 022
	work=$(mktemp -d)
	trap 'umount -l "$work" && rmdir "$work"' EXIT
	mount -t tmpfs tmpfs "$work"
	# The hosts may write to /etc/netns, but not to yours.
	mkdir "$work/etc" && cp -a /etc/. "$work/etc" && mount --bind "$work/etc" /etc
	rm -rf /etc/netns && mkdir /etc/netns

	ip link set lo up
	ip link add switch type bridge mcast_snooping 0
	ip link set switch up
	ip address add 10.99.0.5/24 dev switch # where Consul is
	echo $$ >"$work/switch.pid"
	new_host outside 10.99.0.1
	enter outside 'ip address add 203.0.113.1/32 dev lo'
	for host in a.10 b.11 c.12; do
		new_host "${host%.*}" "10.99.0.${host#*.}"
		enter "${host%.*}" 'ip route add default via 10.99.0.1'
	done

	consul agent -server -bootstrap-expect=1 -data-dir="$work/consul" -bind=10.99.0.5 -client=10.99.0.5 \
		-log-level=warn -hcl 'ports { dns = -1 grpc = -1 grpc_tls = -1 serf_wan = -1 } performance { raft_multiplier = 1 }' \
		>"$work/consul.log" 2>&1 &
	export CONSUL_HTTP_ADDR=10.99.0.5:8500 CNMCTL_IN_AUTOMATION=1 NO_COLOR=1
	await 'consul operator raft list-peers | grep leader'
}

# agents keep the hosts as the records in Consul say.
agents() {
	for host in a b c; do
		printf '\n%s$ cnmctl agent -stack=demo -store=consul &\n' "$host"
		enter "$host" 'exec cnmctl agent -stack=demo -store=consul' >"$work/agent-$host" 2>&1 &
	done
	await 'test "$(consul kv get -keys cnm/demo/alive/ | wc -l)" = 3'
}

## The walk

printf 'Making three hosts on one switch, and a Consul...\n'
build
agents

step '1. One network on three hosts'
on a 'cnmctl plan | grep "^  # network"'
says 'network.demonet will be created'
on a 'cnmctl apply -auto-approve -wait | grep -e "^host .: " -e complete!'
says 'host b: converged'
says 'Apply complete!'
on b 'cnmctl exec C1 -- ping -c 2 192.168.0.100'
says ' 0% packet loss'
on b 'cnmctl exec C1 -- ping -c 1 C0'
says ' 0% packet loss'
on a 'cnmctl exec C0 -- ping -c 1 C1.demonet'
says ' 0% packet loss'
echo; echo 'The hosts themselves are not on the network.'
refused b 'ping -c 1 -W 1 192.168.0.100'
says '100% packet loss'
refused a 'ping -c 1 -W 1 192.168.0.100'

step '2. Underneath'
on a 'ip netns'
says 'demo-demonet.overlay'
on b 'ip -n demo-demonet.overlay -br link'
says '^br0 .*UP'
on b 'ip -n demo-demonet.overlay -d link show vxlan0 | grep -o "vxlan id.*ttl"'
says 'vxlan id 256 local 10.99.0.11 .*dstport 4789'
on b 'bridge -n demo-demonet.overlay fdb show dev vxlan0 | grep dst'
says '02:42:c0:a8:00:64 dst 10.99.0.10 .*static'
on b 'ip -n demo-demonet.overlay neighbor show'
says '192.168.0.100 dev br0 lladdr 02:42:c0:a8:00:64 PERMANENT'
echo; echo 'A second network is apart from the first.'
on a 'ip -n demo-second.overlay -d link show vxlan0 | grep -o "vxlan id [0-9]*"'
says 'vxlan id 257'
on a 'cnmctl exec C2 -- ping -c 1 C3'
says ' 0% packet loss'
refused a 'cnmctl exec C2 -- ping -c 1 -W 1 192.168.0.100'
says '100% packet loss'
echo; echo 'Sandboxes get out by a bridge of their host, on which they do not reach each other.'
on a 'ip -n demo-C0 -4 -br address show eth1; ip -n demo-C2 -4 -br address show eth1; ip -n demo-C0 route show default'
says 'default via [0-9.]+ dev eth1'
gateway_address=$(enter a "ip -n demo-C2 -4 -o address show eth1 | sed 's:.* inet \\([0-9.]*\\)/.*:\\1:'")
refused a "cnmctl exec C0 -- ping -c 1 -W 1 $gateway_address"
says '100% packet loss'
watch outside 2 icmp
on a 'cnmctl exec C0 -- ping -c 1 203.0.113.1'
says ' 0% packet loss'
seen
says 'IP 10.99.0.10 > 203.0.113.1: ICMP echo request'
echo; echo 'An internal network has no way out.'
on a 'cnmctl exec V0 -- ping -c 1 V1'
says ' 0% packet loss'
refused a 'cnmctl exec V0 -- ping -c 1 -W 1 203.0.113.1'
says 'Network is unreachable'

step '3. On the wire, and in Consul'
watch b 2 'udp port 4789'
on a 'cnmctl exec C0 -- ping -c 1 C1'
seen
says 'IP 10.99.0.10.[0-9]+ > 10.99.0.11.4789: VXLAN, flags .*, vni 256'
says 'IP 192.168.0.100 > 192.168.0.[0-9]+: ICMP echo request'
on c 'consul kv get -keys -separator= cnm/'
says '^cnm/claim/vni/256$'
says '^cnm/demo/claim/demonet/192.168.0.100$'
on c 'consul kv get -recurse cnm/demo/endpoint/demonet/'
says '"IPv4":"192.168.0.100/24"'
echo; echo 'An export has the values in base64, as Consul takes them back.'
on c 'consul kv export cnm/demo/claim/demonet/192.168.0.100'
says '"key": "cnm/demo/claim/demonet/192.168.0.100"'
on c 'consul kv export cnm/demo/claim/demonet/192.168.0.100 | sed -n "s/.*value.: .\([^\"]*\).*/\1/p" | base64 -d'
says 'endpoint.box\[..C0..\]'
on c 'cnmctl network inspect demonet'
says '^C0 +demonet +192.168.0.100'
on c 'cnmctl host ls'
says '^b .*converged'

step '4. Published here, attached there'
echo; echo 'mailbox is published: it holds its name and address, and nobody has it.'
on a 'cnmctl endpoint ls | grep -e NAME -e mailbox'
says 'mailbox +demonet +192.168.0.50'
refused b 'cnmctl exec C1 -- ping -c 1 -W 1 192.168.0.50'
echo; echo 'On host b it is attached to C1, which answers for it from then on.'
on b 'cnmctl plan -var mailbox_in=C1 | grep -A4 "^  # endpoint"'
says 'endpoint.mailbox will be updated in-place'
on b 'cnmctl apply -auto-approve -wait -var mailbox_in=C1 | grep -e "^host .: " -e complete!'
on a 'cnmctl exec C0 -- ping -c 1 mailbox'
says '192.168.0.50.* 0% packet loss|from mailbox'
echo; echo 'Somebody on host c wants it too.'
mkdir "$work/again" && cp main.hcl "$work/again" && cat >"$work/again/again.hcl" <<END
endpoint "again" {
  network = network.demonet
  sandbox = sandbox.box["C3"]
  name    = "mailbox"
  ipv4    = "192.168.0.50"
}
END
on c "cat $work/again/again.hcl"
refused c "cnmctl -chdir=$work/again apply -auto-approve -var mailbox_in=C1"
says 'attached to sandbox.box\["C1"\] on host b'
echo; echo 'Detached, it keeps its name and address.'
on b 'cnmctl apply -auto-approve -wait | grep -e "^host .: " -e complete!'
refused a 'cnmctl exec C0 -- ping -c 1 -W 1 192.168.0.50'
on c 'consul kv get cnm/demo/claim/demonet/192.168.0.50'
says '"Endpoint":"endpoint.mailbox"|endpoint.mailbox'
echo; echo 'What was made on host a is removed from host c.'
on c 'cnmctl destroy -auto-approve -wait | grep -e "^host .: " -e complete!'
says 'Destroy complete!'
for host in a b c; do
	on "$host" 'ip netns; ip -br link; nft list ruleset'
	says_not 'demo|veth|vxlan|cnm'
done
on c 'consul kv get -keys -separator= cnm/demo/'
says_not 'network|endpoint|sandbox|claim'

printf '\nAll was as it should be.\n'
