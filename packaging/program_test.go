package packaging

import (
	"debug/buildinfo"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"banyan/internal/command"
)

// build builds the program of a package as the Makefile does.
func build(t *testing.T, p product) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), p.program)
	_, err := command.Command{
		Name: "go", Args: []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "banyan/cmd/" + p.program},
		Env: []string{"CGO_ENABLED=0"},
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// The scripts are made without the program, and yet are what it prints.
func TestTheCompletionsAreThoseOfTheProgram(t *testing.T) {
	for _, p := range products {
		binary := build(t, p)
		made, err := p.generate(Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, shell := range []string{"bash", "zsh", "fish"} {
			printed, err := command.Run(t.Context(), binary, "completion", shell)
			if err != nil {
				t.Fatal(err)
			}
			if string(made[shell]) != printed {
				t.Errorf("the completion of %s in %s is not what the program prints", p.program, shell)
			}
		}
	}
}

// What is linked into the programs is distributed with them, under its own terms.
func TestCopyrightNamesEveryModule(t *testing.T) {
	modules := []string{"std"}
	for _, p := range products {
		info, err := buildinfo.ReadFile(build(t, p))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range info.Deps {
			modules = append(modules, m.Path)
		}
	}
	copyrights, err := sources.ReadFile("copyright")
	if err != nil {
		t.Fatal(err)
	}
	patterns := filesOf(string(copyrights))
	covers := func(pattern, module string) bool {
		return strings.HasPrefix(module+"/", strings.TrimSuffix(pattern, "*"))
	}
	for _, m := range modules {
		if !slices.ContainsFunc(patterns, func(p string) bool { return covers(p, m) }) {
			t.Errorf("packaging/copyright has nothing on %s", m)
		}
	}
	for _, p := range patterns {
		if !slices.ContainsFunc(modules, func(m string) bool { return covers(p, m) }) {
			t.Errorf("packaging/copyright: no module of a program is in %s", p)
		}
	}
}

// filesOf lists the patterns of every Files field but that of the project's own files.
func filesOf(copyrights string) []string {
	var patterns []string
	for paragraph := range strings.SplitSeq(copyrights, "\n\n") {
		files, found := strings.CutPrefix(paragraph, "Files: ")
		files, _, _ = strings.Cut(files, "\nCopyright: ")
		if found && files != "*" {
			patterns = append(patterns, strings.Fields(files)...)
		}
	}
	return patterns
}
