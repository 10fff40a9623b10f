package rootfs

import (
	"slices"
	"strings"
	"testing"
)

func TestReadRecords(t *testing.T) {
	const records = `Package: etcd-server
Architecture: amd64
Version: 3.5.16-4
Description: highly-available key value store
 with a second line
SHA256: aaaa

Package: patroni
Version: 4.0.7-1
Architecture: all
SHA256: bbbb
`
	got, err := readRecords(strings.NewReader(records))
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{{"etcd-server", "3.5.16-4", "amd64", "aaaa"}, {"patroni", "4.0.7-1", "all", "bbbb"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestReadRecordsWithoutAChecksum(t *testing.T) {
	_, err := readRecords(strings.NewReader("Package: patroni\nVersion: 1\nArchitecture: all\n"))
	if err == nil || !strings.Contains(err.Error(), "patroni") {
		t.Errorf("got %v", err)
	}
}
