// Package version holds the version of this build.
package version

// Version is set by the linker (-X banyan/internal/version.Version).
var Version = "0.0.0-dev"
