package node

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// ioSchedulers orders the requests to disks: by a rule of udev(7) for those that come, at
// once for those that are there. Of several items that fit, the last one counts.
func ioSchedulers(rules []seeds.IOScheduler, disks []facts.Disk) []converge.Resource {
	var text []string
	for _, r := range rules {
		text = append(text, ioRule(r))
	}
	resources := []converge.Resource{file("/etc/udev/rules.d/60-banyan-io.rules", banner+lines(text))}
	for _, d := range disks {
		for _, r := range slices.Backward(rules) {
			if fitsRule(r, d) {
				queue := "/sys/block/" + d.Name + "/queue/"
				resources = append(resources,
					converge.Setting{Path: queue + "scheduler", Value: string(r.Scheduler)},
					converge.Setting{Path: queue + "nr_requests", Value: strconv.Itoa(r.NrRequests)})
				break
			}
		}
	}
	return resources
}

// ioRule has no word of partitions, and none of what is no disk, such as loop devices and
// those of the device mapper, which have a disk below them.
func ioRule(r seeds.IOScheduler) string {
	match := []string{`ACTION=="add|change"`, `SUBSYSTEM=="block"`, `ENV{DEVTYPE}=="disk"`, `KERNEL!="loop*|ram*|zram*|dm-*|md*|sr*|fd*"`}
	if r.Device != "*" {
		match = append(match, fmt.Sprintf("KERNEL==%q", r.Device))
	}
	switch r.Class {
	case seeds.DiskClassRotational:
		match = append(match, `ATTR{queue/rotational}=="1"`)
	case seeds.DiskClassSSD:
		match = append(match, `ATTR{queue/rotational}=="0"`, `KERNEL!="nvme*"`)
	case seeds.DiskClassNVMe:
		match = append(match, `KERNEL=="nvme*"`)
	}
	return fmt.Sprintf("%s, ATTR{queue/scheduler}=%q, ATTR{queue/nr_requests}=\"%d\"", strings.Join(match, ", "), r.Scheduler, r.NrRequests)
}

func fitsRule(r seeds.IOScheduler, d facts.Disk) bool {
	named, err := path.Match(r.Device, d.Name)
	return err == nil && named && (r.Class == seeds.DiskClassAny || r.Class == d.Class)
}
