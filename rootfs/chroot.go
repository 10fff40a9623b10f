package rootfs

import (
	"context"
	"fmt"

	"banyan/internal/command"
)

// bind is a directory that a program in a tree sees in the place of one of the tree's own.
type bind struct{ from, to string }

// enter binds what a program in a tree needs of the machine, and what it is to see in the place of the tree's own
// directories, and runs it. A device node cannot be made in a user namespace, so the machine's are borrowed.
const enter = `set -e
root=$1; shift
for node in full null random tty urandom zero; do
	[ -e "$root/dev/$node" ] || : >"$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done
shift
exec chroot "$root" "$@"`

// inChroot runs a program of the tree in it, in mount and process namespaces of
// its own: whatever happens, nothing stays mounted and nothing keeps running.
func inChroot(ctx context.Context, root string, binds []bind, name string, args ...string) (string, error) {
	all := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc=" + root + "/proc", "--", "sh", "-c", enter, "sh", root}
	for _, b := range binds {
		all = append(all, b.from, b.to)
	}
	out, err := command.Command{
		Name: "unshare",
		Args: append(append(all, "--", name), args...),
		Env:  []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TMPDIR=/tmp", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"},
	}.Run(ctx)
	if err != nil {
		return "", fmt.Errorf("%s in the tree: %w", name, err)
	}
	return out, nil
}
