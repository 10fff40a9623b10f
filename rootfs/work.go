package rootfs

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"time"

	"banyan/internal/scratch"
)

// makeWork makes the directory that the image is made in, below $TMPDIR or
// /var/tmp: it takes some GiB, and /tmp may be in memory.
func makeWork() (work string, lock *os.File, err error) {
	return scratch.Make(cmp.Or(os.Getenv("TMPDIR"), "/var/tmp"), "banyan-build-")
}

// SourceDate is the time that the image carries: SOURCE_DATE_EPOCH where it is
// set (reproducible-builds.org), else now.
func SourceDate() (time.Time, error) {
	value, ok := os.LookupEnv("SOURCE_DATE_EPOCH")
	if !ok {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is not a number of seconds: %w", err)
	}
	return time.Unix(seconds, 0), nil
}
