package seeds

import "embed"

//go:generate sh -c "go run ../cmd/build seed schema --markdown >../docs/seed.md"

// Sources are the Go files that declare the types of a seed. Their comments are the
// descriptions in its JSON Schema and its reference.
//
//go:embed seed*.go
var Sources embed.FS

// Introduction is what a person reads in the reference before the keys, as Markdown.
//
//go:embed introduction.md
var Introduction string
