package disk

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/ext4"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/strict"
	"banyan/seeds"
)

// Files reads what may be a seed, or its key, from a volume: the files at its top and
// in seeds.Folder. It reads without the kernel's file systems, whose modules a machine
// may lack. What is on a stick may be damaged, or made to do damage, and go-diskfs
// follows it into loops and into gigabytes; so it is read by a process of its own,
// this program's [Export], with limits on its time and memory.
func Files(ctx context.Context, v Volume) (fs.FS, error) {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not read within %v: it is damaged, or fails", patience))
	defer cancel()
	out, err := command.Command{
		Name: "/proc/self/exe", Args: []string{ExportCommand, v.Device, v.Filesystem},
		Env: []string{"GOTRACEBACK=none"},
	}.Run(ctx)
	exit := (*exec.ExitError)(nil)
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 1: // it has said why
		_, why, _ := strings.Cut(err.Error(), exit.Error()+": ")
		return nil, errors.New(strings.TrimPrefix(why, "firstboot: "))
	case errors.As(err, &exit):
		return nil, fmt.Errorf("the %s file system is damaged: reading it takes more memory than one can", v.Filesystem)
	case err != nil:
		return nil, errors.New(strings.TrimPrefix(err.Error(), "exe: "))
	}
	return openArchive(out)
}

// openArchive opens what export has written.
func openArchive(archive string) (fs.FS, error) {
	files, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	unread := map[string]string{}
	for _, f := range files.File {
		if f.Comment != "" {
			unread[f.Name] = f.Comment
		}
	}
	return volumeFiles{files, unread}, nil
}

// volumeFiles are the files of a volume. One that could not be read, and why, fails when
// it is opened: it may be another machine's, and never counts as empty or absent.
type volumeFiles struct {
	fs.FS
	unread map[string]string
}

func (v volumeFiles) Open(name string) (fs.File, error) {
	if why := v.unread[name]; why != "" {
		return nil, fmt.Errorf("%q: %s", name, why)
	}
	return v.FS.Open(name)
}

// ExportCommand is the command of this program that calls [Export].
const ExportCommand = "export-volume"

// What a volume may make of this process.
const (
	maxMemory  = 768 << 20
	maxEntries = 10_000
	maxFiles   = 1_000    // that are read
	maxRead    = 16 << 20 // of them together, in bytes, which the caller holds in memory
)

// Export writes the files of a volume for [Files], as a zip archive. It limits the
// memory of this process.
func Export(out io.Writer, device, filesystem string) (err error) {
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: maxMemory, Max: maxMemory}); err != nil {
		return fmt.Errorf("limit the memory: %w", err)
	}
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("the %s file system is damaged", filesystem)
		}
	}()
	f, err := os.Open(device)
	if err != nil {
		return err
	}
	defer f.Close()
	files, err := Read(f, filesystem, 0, 0)
	if err != nil {
		return err
	}
	var archive bytes.Buffer // so that a panic leaves none
	w := zip.NewWriter(&archive)
	if err := export(w, files); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err = out.Write(archive.Bytes())
	return err
}

// Read opens a file system, by the name that blkid(8) has for it, that begins at
// these bytes of a disk or a file. Size 0 is to the end.
func Read(f *os.File, filesystem string, start, size int64) (fs.ReadDirFS, error) {
	if size == 0 {
		end, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return nil, err
		}
		size = end - start
	}
	storage := file.New(f, true)
	var files fs.ReadDirFS
	var err error
	switch filesystem {
	case "vfat":
		files, err = readFAT(f, start, size)
	case "iso9660":
		files, err = iso9660.Read(storage, size, start, 0)
	case "ext4":
		files, err = ext4.Read(storage, size, start, 0)
	default:
		return nil, fmt.Errorf("%s is not read: make it FAT, ext4 or ISO 9660", filesystem)
	}
	if err != nil {
		return nil, fmt.Errorf("the %s file system is damaged: %w", filesystem, err)
	}
	return files, nil
}

// readFAT tells the three kinds of FAT apart as Microsoft's specification does
// (fatgen103, "FAT Type Determination" and "Boot Sector and BPB Structure"), and
// refuses what go-diskfs would read wrongly: another number of FATs than two, and a
// root directory of FAT32 that begins elsewhere than every formatter has it.
func readFAT(f *os.File, start, size int64) (fs.ReadDirFS, error) {
	var boot [48]byte
	if _, err := f.ReadAt(boot[:], start); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if fats := boot[16]; fats != 2 {
		return nil, fmt.Errorf("it has %d file allocation tables, and 2 are read", fats)
	}
	storage := file.New(f, true)
	if le.Uint16(boot[22:]) == 0 { // sectors of a FAT, elsewhere on FAT32
		if root := le.Uint32(boot[44:]); root != 2 {
			return nil, fmt.Errorf("its root directory begins at cluster %d, and only cluster 2 is read", root)
		}
		return fat32.Read(storage, size, start, 0)
	}
	if files, err := fat16.Read(storage, size, start, 0); err == nil {
		return files, nil
	}
	return fat12.Read(storage, size, start, 0)
}

// export writes the names at the top and in seeds.Folder, with the content of what a
// person would call a seed, or its key.
func export(w *zip.Writer, files fs.ReadDirFS) error {
	entries, read, size := 0, 0, 0
	var add func(dir string) error
	add = func(dir string) error {
		list, err := files.ReadDir(dir)
		if err != nil {
			return err
		}
		if entries += len(list); entries > maxEntries {
			return fmt.Errorf("it has more than %d files: put the seed on a medium of its own", maxEntries)
		}
		for _, e := range list {
			name := path.Join(dir, e.Name())
			if !fs.ValidPath(name) || strings.Contains(name, `\`) {
				continue
			}
			header := &zip.FileHeader{Name: name, Method: zip.Store}
			header.SetMode(e.Type().Type() | 0o600)
			if e.IsDir() {
				header.Name += "/"
			}
			var content []byte
			if e.Type().IsRegular() && (seeds.MayBeSeed(name) || strings.EqualFold(name, seeds.KeyName)) {
				if read++; read > maxFiles {
					return fmt.Errorf("it has more than %d seeds: put fewer there", maxFiles)
				}
				if content, err = readFile(files, name); err != nil {
					header.Comment = err.Error()[:min(len(err.Error()), 200)]
				}
				if size += len(content); size > maxRead {
					return fmt.Errorf("its seeds have more than %d MiB together: put fewer there", maxRead>>20)
				}
			}
			to, err := w.CreateHeader(header)
			if err != nil {
				return err
			}
			if e.IsDir() && dir == "." && strings.EqualFold(e.Name(), seeds.Folder) {
				err = add(name)
			} else if len(content) > 0 {
				_, err = to.Write(content)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return add(".")
}

// readFile reads no more of a file than tells that it is too large for a seed.
func readFile(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, err // go-diskfs cannot read a file of FAT that has no cluster
	}
	// In one piece: go-diskfs reads on behind the end where a piece begins within a
	// cluster.
	content := make([]byte, min(info.Size(), strict.MaxSize+1))
	if _, err := io.ReadFull(f, content); err != nil {
		return nil, err
	}
	return content, nil
}
