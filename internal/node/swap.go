package node

import (
	"banyan/internal/converge"
	"banyan/seeds"
)

// swap is the swap file, which belongs to this machine and not to its image.
func swap(size seeds.Size) []converge.Resource {
	const path, unit = "/var/swapfile", "var-swapfile.swap"
	swapFile := converge.SwapFile{Path: path, Size: int64(size)}
	if size == 0 {
		return []converge.Resource{
			swapFile,
			converge.Unit{Name: unit},
			converge.Absent{Path: unitDir + unit},
		}
	}
	return []converge.Resource{
		unitFile(unit, `[Unit]
Description=Swap file
# At the first boot it is yet to be made.
ConditionPathExists=`+path+`

[Swap]
What=`+path+`

[Install]
WantedBy=swap.target
`),
		swapFile,
		converge.Unit{Name: unit, Enabled: true, Running: true, RestartOn: []string{path}},
	}
}
