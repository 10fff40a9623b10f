package seeds

import "embed"

// Example is a commented seed of one node, as an image carries it.
//
//go:embed examples/single.yaml
var Example string

// Examples are commented cluster files, one for each kind of cluster: examples/*.yaml.
//
//go:embed examples/*.yaml
var Examples embed.FS
