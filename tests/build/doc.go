// Package build proves the builder's promises on the real one: what it makes for
// others' tools, that nobody need be root, and what bad input leaves behind. It
// needs root, the network and the image that `make image` has built.
package build
