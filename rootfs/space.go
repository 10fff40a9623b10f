package rootfs

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// space is a directory that something is made in, and how another is chosen: a
// flag or a variable of the environment.
type space struct{ dir, choice string }

// explain says in one line that the space is full, where that is what err is.
func (s space) explain(err error) error {
	if err == nil || !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "No space left on device") {
		return err
	}
	return fmt.Errorf("no space is left in %s: free some, or choose another place with %s", s.dir, s.choice)
}
