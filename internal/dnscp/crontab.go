package dnscp

import (
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"banyan/internal/command"
)

// schedule has cron refresh the record once a day, or not, as dnscp.sh does: in the crontab of
// the user who calls. Where there is a guard, that does it.
func schedule(ctx context.Context, c Call, wanted bool) error {
	program := os.Args[0]
	if !filepath.IsAbs(program) {
		var err error
		if program, err = os.Executable(); err != nil {
			return err
		}
	}
	if _, err := exec.LookPath("crontab"); err != nil && !wanted {
		return nil // without the program there is no line
	}
	old, err := command.Run(ctx, "crontab", "-l")
	if err != nil && !strings.Contains(err.Error(), "no crontab for") { // as it says where there is none yet
		return err
	}
	var line string
	if wanted {
		if line, err = c.cronLine(program); err != nil {
			return err
		}
	}
	changed := withLine(old, program, line)
	if changed == old {
		return nil
	}
	_, err = command.Command{Name: "crontab", Args: []string{"-"}, Stdin: strings.NewReader(changed)}.Run(ctx)
	return err
}

// withLine is a crontab in which the program stands in that line alone, or, where it is
// empty, in none.
func withLine(crontab, program, line string) string {
	var b strings.Builder
	for l := range strings.Lines(crontab) {
		if words := strings.Fields(l); len(words) < 6 || words[5] != program {
			b.WriteString(strings.TrimSuffix(l, "\n") + "\n")
		}
	}
	if line != "" {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// cronLine is the line for the same options, at a minute of the night that is the cluster's
// own: crontab(5).
func (c Call) cronLine(program string) (string, error) {
	file := c.PasswordFile
	if file != "" {
		var err error
		if file, err = filepath.Abs(file); err != nil {
			return "", err
		}
	}
	var vips []string
	for _, a := range c.VIPs {
		vips = append(vips, a.String())
	}
	words := []string{program}
	for _, o := range [][2]string{
		{"-vips", strings.Join(vips, ",")}, {"-pwdfile", file}, {"-dnszonefqdn", c.Zone}, {"-dnsserver", c.Server}, {"-ttl", fmt.Sprint(c.TTL)},
	} {
		words = append(words, o[0], quoteWord(o[1]))
	}
	words = append(words, "--", "on_schedule", registerRole, quoteWord(c.Scope))
	line := strings.Join(words, " ")
	if strings.ContainsAny(line, "\n\r") {
		return "", fmt.Errorf("a line of a crontab has no line breaks in it: %q", line)
	}
	return fmt.Sprintf("%d 0 * * * %s", crc32.ChecksumIEEE([]byte(c.Scope))%60, strings.ReplaceAll(line, "%", `\%`)), nil
}

// quoteWord is a word of sh.
func quoteWord(s string) string {
	if s != "" && !slices.ContainsFunc([]rune(s), func(r rune) bool { return !strings.ContainsRune(plain, r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// plain is what sh takes as it stands.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:,@"
