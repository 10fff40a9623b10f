package media

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/disk"
	"banyan/seeds"
)

// volume is a file system on a disk, or in an image of one.
type volume struct {
	disk         string
	filesystem   string // "" for vfat
	offset, size int64  // in bytes; size 0 is to the end
	machines     bool   // a machine's own, of an image, and so for one seed
}

// mtools runs one of the mtools on the volume. It gets the disk by its descriptor:
// a path may have an @@, which begins an offset there.
func (v volume) mtools(ctx context.Context, stdin io.Reader, name string, args ...string) error {
	to, err := os.OpenFile(v.disk, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer to.Close()
	_, err = command.Command{
		Name: name, Args: append([]string{"-i", fmt.Sprintf("/proc/%d/fd/%d@@%d", os.Getpid(), to.Fd(), v.offset)}, args...),
		Env:   []string{"TZ=UTC0", "MTOOLS_SKIP_CHECK=1"}, // FAT has local time; what is odd about a volume of Windows is not for us to judge
		Stdin: stdin,
	}.Run(ctx)
	if err != nil && strings.Contains(err.Error(), "Disk full") {
		return errors.New("no space is left on the volume: remove what is not needed there")
	}
	return err
}

// write writes files, and makes sure that they can be read. A seed at the top is the
// only one there. What else the volume holds stays.
func (v volume) write(ctx context.Context, files []File) (Report, error) {
	dir := path.Dir(files[0].Name)
	before, hasDirectory, err := v.seeds()
	if err != nil {
		return Report{}, err
	}
	var r Report
	if dir == seeds.Folder && !hasDirectory {
		if err := v.mtools(ctx, nil, "mmd", "::/"+seeds.Folder); err != nil {
			return Report{}, err
		}
	}
	if err := v.remove(ctx, path.Join(dir, unfinished)); err != nil {
		return Report{}, err
	}
	for _, f := range files {
		if err := v.put(ctx, f); err != nil {
			return Report{}, fmt.Errorf("write %s: %w", f.Name, err)
		}
		r.Files = append(r.Files, f.Name)
	}
	for _, old := range before {
		switch {
		case slices.ContainsFunc(files, func(f File) bool { return strings.EqualFold(f.Name, old) }):
			r.Replaced = append(r.Replaced, old)
		case seeds.IsSeedName(old) && seeds.IsSeedName(files[0].Name):
			if err := v.remove(ctx, old); err != nil {
				return Report{}, fmt.Errorf("remove the earlier %s: %w", old, err)
			}
			r.Replaced = append(r.Replaced, old)
		default:
			r.Others = append(r.Others, old)
		}
	}
	if err := settle(v.disk); err != nil {
		return Report{}, err
	}
	return r, v.compare(files, r.Others)
}

// unfinished is the name of a seed that is being written. No node reads it, and who writes
// the next time removes what a power cut left.
const unfinished = "banyan.new"

// put writes one file. An earlier one of its name goes when the new one has been
// read back, so that a full volume or a bad one still has it. mcopy reads from
// memory, since the file holds secrets, and not from a pipe, of which it writes as
// much as there is room for and calls that done.
func (v volume) put(ctx context.Context, f File) error {
	memory, err := unix.MemfdCreate("seed", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	source := os.NewFile(uintptr(memory), "seed")
	defer source.Close()
	if _, err := source.Write(f.Data); err != nil {
		return err
	}
	begun := path.Join(path.Dir(f.Name), unfinished)
	err = v.mtools(ctx, source, "mcopy", "/dev/stdin", "::/"+begun)
	if err == nil {
		err = settle(v.disk)
	}
	if err == nil {
		err = v.holds(File{begun, f.Data})
	}
	end := context.WithoutCancel(ctx) // an interruption leaves the earlier file or the new one
	if err != nil {
		return errors.Join(err, v.remove(end, begun))
	}
	if err := v.remove(end, f.Name); err != nil {
		return err
	}
	return v.mtools(end, nil, "mren", "::/"+begun, "::/"+f.Name)
}

// remove removes a file, if it is there. mdel would ask about one that is read-only.
func (v volume) remove(ctx context.Context, name string) error {
	there := false
	err := v.open(func(fsys fs.FS) error {
		inside, err := fs.ReadDir(fsys, path.Dir(name))
		there = slices.ContainsFunc(inside, func(e fs.DirEntry) bool { return strings.EqualFold(e.Name(), path.Base(name)) })
		return err
	})
	if err != nil || !there {
		return err
	}
	if err := v.mtools(ctx, nil, "mattrib", "-r", "::/"+name); err != nil {
		return err
	}
	return v.mtools(ctx, nil, "mdel", "::/"+name)
}

// settle puts what was written on the disk, and has it read from there.
func settle(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
}

// compare makes sure that the volume holds these seeds, and no other but these.
func (v volume) compare(files []File, others []string) error {
	now, _, err := v.seeds()
	if err != nil {
		return err
	}
	if len(now) != len(files)+len(others) {
		return fmt.Errorf("after writing, the volume holds the seeds %v: it is damaged", now)
	}
	return v.holds(files...)
}

// holds makes sure that files read as they were written.
func (v volume) holds(files ...File) error {
	return v.open(func(fsys fs.FS) error {
		for _, f := range files {
			data, err := fs.ReadFile(fsys, f.Name)
			if err != nil {
				return fmt.Errorf("read %s back: %w", f.Name, err)
			}
			if !bytes.Equal(data, f.Data) {
				return fmt.Errorf("%s reads otherwise than it was written: the medium is bad", f.Name)
			}
		}
		return nil
	})
}

// seeds lists the seeds on the volume by path, and tells whether it has a directory
// for those of several machines.
func (v volume) seeds() (names []string, hasDirectory bool, err error) {
	err = v.open(func(fsys fs.FS) error {
		top, err := fs.ReadDir(fsys, ".")
		if err != nil {
			return err
		}
		for _, e := range top {
			switch {
			case !e.IsDir() && seeds.IsSeedName(e.Name()):
				names = append(names, e.Name())
			case e.IsDir() && strings.EqualFold(e.Name(), seeds.Folder):
				hasDirectory = true
				inside, err := fs.ReadDir(fsys, e.Name())
				if err != nil {
					return err
				}
				for _, e := range inside {
					if !e.IsDir() && !strings.EqualFold(e.Name(), unfinished) {
						names = append(names, path.Join(seeds.Folder, e.Name()))
					}
				}
			}
		}
		return nil
	})
	slices.Sort(names)
	return names, hasDirectory, err
}

// open calls f with the volume's files, as a node finds them.
func (v volume) open(f func(fs.FS) error) error {
	from, err := os.Open(v.disk)
	if err != nil {
		return err
	}
	defer from.Close()
	files, err := disk.Read(from, cmp.Or(v.filesystem, "vfat"), v.offset, v.size)
	if err != nil {
		return fmt.Errorf("a node cannot read the volume: %w", err)
	}
	return f(files)
}
