package member

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"banyan/internal/durable"
)

// course is what to do before a service is started that does not run. Data without a
// marker of ours is somebody's: it is never removed, and moved aside only where the other
// members of etcd have removed this one, or a human gives it up.
type course string

const (
	carryOn   course = "carry on"   // start on what is there
	begin     course = "begin"      // mark the birth as begun
	startOver course = "start over" // move the data aside, then begin
	adopt     course = "adopt"      // prepare the data that is there, then start on it
	wait      course = "wait"       // for others
	refuse    course = "refuse"     // a human has to say what is to become of lost data
)

// holdsData tells whether a directory holds something, in the eyes of Patroni:
// see data_directory_is_empty in patroni/utils.py. The same rule serves for etcd's.
func holdsData(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "lost+found" {
			return true, nil
		}
	}
	return false, nil
}

// moveAside renames a directory that nobody needs and nobody may lose, and says
// to what.
func moveAside(dir string, now time.Time) (string, error) {
	aside := dir + ".interrupted-" + now.UTC().Format(snapshotTime)
	if err := durable.Rename(dir, aside); err != nil {
		return "", err
	}
	return aside, nil
}
