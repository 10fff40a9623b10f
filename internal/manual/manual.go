// Package manual compares manual pages with the programs that they are of, in tests.
package manual

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Check fails a test where the page at path has not an entry for every command and every
// option of a program that is not hidden, in its sections COMMANDS and OPTIONS, or has one
// for another. Long options that are known otherwise than by cobra it may name too.
func Check(t *testing.T, path string, root *cobra.Command, known ...string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(content), `\-`, "-")
	commands, options := described(root)
	compare(t, path+", COMMANDS", entries(page, "COMMANDS"), commands)
	compare(t, path+", OPTIONS", entries(page, "OPTIONS"), options)

	for _, option := range options {
		known = append(known, strings.Fields(option)...)
	}
	for _, named := range regexp.MustCompile(`--[a-z][a-z0-9-]*`).FindAllString(page, -1) {
		if !slices.Contains(known, named) {
			t.Errorf("%s names %s, which the program does not have", path, named)
		}
	}
}

func compare(t *testing.T, place string, got, want []string) {
	t.Helper()
	for _, entry := range want {
		if !slices.Contains(got, entry) {
			t.Errorf("%s lacks:\n.TP\n.B %s", place, strings.ReplaceAll(entry, "-", `\-`))
		}
	}
	for _, entry := range got {
		if !slices.Contains(want, entry) {
			t.Errorf("%s has %q, and the program does not", place, entry)
		}
	}
}

// entries are the tags of a section's paragraphs: man(7).
func entries(page, section string) []string {
	_, text, _ := strings.Cut(page, "\n.SH "+section+"\n")
	text, _, _ = strings.Cut(text, "\n.SH ")
	var tags []string
	for _, match := range regexp.MustCompile(`(?m)^\.TP\n\.B (.*)$`).FindAllStringSubmatch(text, -1) {
		tags = append(tags, match[1])
	}
	return tags
}

// described is what the manual has to describe: the usage of each command that
// does something, and each option.
func described(root *cobra.Command) (commands, options []string) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	common := []string{"-h, --help"}
	if root.Version != "" {
		common = append(common, "-v, --version")
	}
	options = common
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		usage := []string{strings.TrimSuffix(c.UseLine(), " [flags]")}
		for _, option := range optionsOf(c) {
			if !slices.Contains(common, option) {
				usage = append(usage, "["+option+"]")
				options = append(options, option)
			}
		}
		if c.Runnable() {
			commands = append(commands, strings.Join(usage, " "))
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(root)
	return commands, options
}

// optionsOf lists a command's options as its help shows them: "-h, --help".
func optionsOf(c *cobra.Command) []string {
	var options []string
	for line := range strings.Lines(c.LocalFlags().FlagUsages()) {
		option, _, _ := strings.Cut(strings.TrimSpace(line), "   ")
		options = append(options, option)
	}
	return options
}
