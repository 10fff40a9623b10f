package seeds

import _ "embed"

// Example is a commented seed of one node.
//
//go:embed examples/single.yaml
var Example string
