package packaging

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// generate makes the files of a package that are not packed as they stand beside
// it, by name.
func (p product) generate(o Options) (map[string][]byte, error) {
	page, err := sources.ReadFile(p.program + "/" + p.program + ".8")
	if err != nil {
		return nil, err
	}
	page, err = compress(page)
	if err != nil {
		return nil, err
	}
	changes, err := compress([]byte(p.changelog(o)))
	if err != nil {
		return nil, err
	}

	// The scripts ask the program at every key, so all that cobra needs to make them is its name.
	program := &cobra.Command{Use: p.program}
	var bash, zsh, fish bytes.Buffer
	err = errors.Join(
		program.GenBashCompletionV2(&bash, true), program.GenZshCompletion(&zsh), program.GenFishCompletion(&fish, true))
	return map[string][]byte{
		p.program + ".8.gz": page, "changelog.gz": changes,
		"bash": bash.Bytes(), "zsh": zsh.Bytes(), "fish": fish.Bytes(),
	}, err
}

// changelog is that of a package which is its own upstream: deb-changelog(5).
func (p product) changelog(o Options) string {
	return fmt.Sprintf(`%s (%s) unstable; urgency=medium

  * What changed is in the history of Banyan's git repository.

 -- %s  %s
`, p.name(), o.Version, maintainer, o.Date.UTC().Format(time.RFC1123Z))
}

// compress is gzip -9n: a header without a name and a time, as Debian's policy asks.
func compress(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}
