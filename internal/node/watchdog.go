package node

import (
	"strings"

	"banyan/internal/converge"
	"banyan/seeds"
)

// watchdogDevice is the node's watchdog under one name, whichever the kernel found first:
// the hardware's, or else the kernel's own, softdog.
const watchdogDevice = "/dev/banyan-watchdog"

// watchdog lets PostgreSQL's user have the watchdog. Patroni pets it, and a leader that
// hangs restarts before another one is promoted:
// https://patroni.readthedocs.io/en/latest/watchdog.html
func watchdog(w seeds.Watchdog) []converge.Resource {
	const rules = "/etc/udev/rules.d/60-banyan-watchdog.rules"
	if w.Mode == seeds.WatchdogOff {
		return []converge.Resource{converge.Absent{Path: rules}}
	}
	name := strings.TrimPrefix(watchdogDevice, "/dev/")
	return []converge.Resource{
		file(rules, banner+`SUBSYSTEM!="watchdog|misc", GOTO="end"
KERNEL!="watchdog*", GOTO="end"
OWNER="postgres", GROUP="postgres", MODE="0600"
SUBSYSTEM!="watchdog", GOTO="end"
SYMLINK+="`+name+`", OPTIONS+="link_priority=10"
ATTR{identity}=="Software Watchdog", OPTIONS+="link_priority=0"
LABEL="end"
`),
		converge.Device{Path: WatchdogPath(w), Subsystem: "watchdog", Owner: "postgres", Mode: 0o600},
	}
}

// WatchdogPath is the device that Patroni pets: the seed's, or the link of udev to the best one.
func WatchdogPath(w seeds.Watchdog) string {
	if w.Device != "" {
		return w.Device
	}
	return watchdogDevice
}
