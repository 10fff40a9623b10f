package cli

import (
	"errors"
	"fmt"
	"testing"
)

func TestStatus(t *testing.T) {
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"done":                   {nil, 0},
		"failed":                 {failed, 1},
		"without a word":         {Exit{Code: 3}, 3},
		"with a code":            {Exit{2, failed}, 2},
		"with a code, and where": {fmt.Errorf("here: %w", Exit{2, failed}), 2},
		"with help that failed":  {errors.Join(failed, Exit{Code: 4}), 4},
	} {
		if got := Status("test", c.err); got != c.want {
			t.Errorf("%s: the exit status is %d, want %d", name, got, c.want)
		}
	}
}
