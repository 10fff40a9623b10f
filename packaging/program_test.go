package packaging

import (
	"debug/buildinfo"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"banyan/internal/command"
)

// buildFirstboot builds the program as the Makefile does.
func buildFirstboot(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "firstboot")
	_, err := command.Command{
		Name: "go", Args: []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "banyan/cmd/firstboot"},
		Env: []string{"CGO_ENABLED=0"},
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// The scripts are made without the program, and yet are what it prints.
func TestTheCompletionsAreThoseOfTheProgram(t *testing.T) {
	binary := buildFirstboot(t)
	made, err := Options{}.generate()
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		printed, err := command.Run(t.Context(), binary, "completion", shell)
		if err != nil {
			t.Fatal(err)
		}
		if string(made[shell]) != printed {
			t.Errorf("the completion of %s is not what the program prints", shell)
		}
	}
}

// What is linked into the program is distributed with it, under its own terms.
func TestCopyrightNamesEveryModule(t *testing.T) {
	info, err := buildinfo.ReadFile(buildFirstboot(t))
	if err != nil {
		t.Fatal(err)
	}
	modules := []string{"std"}
	for _, m := range info.Deps {
		modules = append(modules, m.Path)
	}
	copyrights, err := sources.ReadFile("firstboot/copyright")
	if err != nil {
		t.Fatal(err)
	}
	patterns := filesOf(string(copyrights))
	covers := func(pattern, module string) bool {
		return strings.HasPrefix(module+"/", strings.TrimSuffix(pattern, "*"))
	}
	for _, m := range modules {
		if !slices.ContainsFunc(patterns, func(p string) bool { return covers(p, m) }) {
			t.Errorf("packaging/firstboot/copyright has nothing on %s", m)
		}
	}
	for _, p := range patterns {
		if !slices.ContainsFunc(modules, func(m string) bool { return covers(p, m) }) {
			t.Errorf("packaging/firstboot/copyright: no module of the program is in %s", p)
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
