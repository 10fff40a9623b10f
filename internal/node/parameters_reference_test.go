package node

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"banyan/internal/golden"
)

const parametersIntroduction = `# The parameters of PostgreSQL

A node computes them from what its machine is. What ` + "`postgresql.parameters`" + ` of the [seed](seed.md) gives counts instead, and
the rules that rest on it take it for theirs: who gives ` + "`max_connections`" + ` gets another ` + "`work_mem`" + `.

- **Whose**: those of the cluster are written to the DCS when it is born, and then changed with ` + "`patronictl edit-config`" + `; those of a
  node depend on its machine, stand in its own configuration, and Patroni prefers them.
- **Memory** is that of the machine, rounded down to 64MB, so that another kernel does not change it. Where the file system of the
  WAL is not known, that of the data counts, and where that is not known either, there is no limit.
- **Versions** are the major ones that know the parameter; another one is not told it.

| parameter | value or rule | versions | whose | source |
| --- | --- | --- | --- | --- |
`

// TestReferenceOfParameters: docs/parameters.md is the table, for people.
func TestReferenceOfParameters(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(parametersIntroduction)
	for _, p := range parameters {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", p.name, p.says(), p.versions(), p.whose(), p.from(t))
	}
	golden.Check(t, "../../docs/parameters.md", b.String())
}

func (p parameter) says() string {
	words := strings.ReplaceAll(p.words, "_", `\_`)
	switch {
	case p.rule != nil:
		return words
	case p.words != "":
		return fmt.Sprintf("`%v`, %s", p.value, words)
	}
	return fmt.Sprintf("`%v`", p.value)
}

func (p parameter) versions() string {
	switch {
	case p.first == 0 && p.last == 0:
		return "all"
	case p.last == 0:
		return fmt.Sprintf("from %d", p.first)
	}
	return fmt.Sprintf("to %d", p.last)
}

func (p parameter) whose() string {
	if p.own {
		return "node"
	}
	return "cluster"
}

func (p parameter) from(t *testing.T) string {
	if p.source == "" {
		return `pgsql\_cluster`
	}
	u, err := url.Parse(p.source)
	if err != nil || u.Host == "" {
		t.Fatalf("%s: %q is no address: %v", p.name, p.source, err)
	}
	return fmt.Sprintf("[%s](%s)", strings.TrimPrefix(u.Host, "www."), p.source)
}
