package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const manual = "packaging/firstboot/firstboot.8"

// The manual page has an entry for every command and every option of the
// program that is not hidden, and for no other.
func TestManual(t *testing.T) {
	content, err := os.ReadFile("../../" + manual)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(content), `\-`, "-")
	commands, options := described(rootCommand())
	compare(t, "COMMANDS", entries(page, "COMMANDS"), commands)
	compare(t, "OPTIONS", entries(page, "OPTIONS"), options)

	all := strings.Join(options, " ")
	for _, named := range regexp.MustCompile(`--[a-z][a-z0-9-]*`).FindAllString(page, -1) {
		if !slices.Contains(strings.Fields(all), named) {
			t.Errorf("%s names %s, which the program does not have", manual, named)
		}
	}
}

func compare(t *testing.T, section string, got, want []string) {
	t.Helper()
	for _, entry := range want {
		if !slices.Contains(got, entry) {
			t.Errorf("%s, %s lacks:\n.TP\n.B %s", manual, section, strings.ReplaceAll(entry, "-", `\-`))
		}
	}
	for _, entry := range got {
		if !slices.Contains(want, entry) {
			t.Errorf("%s, %s has %q, and the program does not", manual, section, entry)
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
	common := []string{"-h, --help", "-v, --version"}
	options = common
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		usage := strings.TrimSuffix(c.UseLine(), " [flags]")
		for _, option := range optionsOf(c) {
			if !slices.Contains(common, option) {
				usage += " [" + option + "]"
				options = append(options, option)
			}
		}
		if c.Runnable() {
			commands = append(commands, usage)
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
