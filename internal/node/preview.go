package node

import (
	"cmp"
	"fmt"
	"io/fs"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// Shown is a resource of a node as it may be shown to anybody: its secrets are masked.
type Shown struct {
	Step string `json:"step"`
	Kind string `json:"kind"` // file, directory, symlink, hostname, user, unit, setting and so on
	// Name is the path of what has one.
	Name    string `json:"name"`
	Mode    Mode   `json:"mode,omitempty"`
	Owner   string `json:"owner,omitempty"`
	Target  string `json:"target,omitempty"`  // of a symbolic link
	Content string `json:"content,omitempty"` // of a file
	Secret  bool   `json:"secret,omitempty"`  // the content holds secrets, which are masked here
	Detail  string `json:"detail,omitempty"`  // of what has no content
}

// IsFile tells whether Content is all that there is to read at Name.
func (s Shown) IsFile() bool { return s.Kind == "file" || s.Kind == "nftables" }

// Mode is permission bits, written in octal as chmod(1) has them.
type Mode fs.FileMode

// MarshalText writes them as in 0644.
func (m Mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// Preview is what Desired makes of the node of that name in s, to be shown.
func Preview(s *seeds.Seed, name string, f facts.Facts) ([]Shown, error) {
	s = s.Masked()
	self, ok := s.ByName(name)
	if !ok {
		return nil, fmt.Errorf("the seed has no node %s; there are %s", name, seeds.Words(s.Names()))
	}
	state, err := Desired(*s, self, f)
	return show(state), err
}

func show(state converge.State) []Shown {
	var all []Shown
	for _, step := range state.Steps {
		for _, r := range step.Resources {
			if f, ok := r.(converge.TableFile); ok {
				r = f.File
			}
			shown := Shown{Step: step.Name, Name: r.ID()}
			switch r := r.(type) {
			case converge.File:
				shown.Kind, shown.Mode, shown.Owner, shown.Content, shown.Secret = "file", Mode(r.Mode), cmp.Or(r.Owner, "root"), r.Content, r.Secret
			case converge.Directory:
				shown.Kind, shown.Mode, shown.Owner = "directory", Mode(r.Mode), cmp.Or(r.Owner, "root")
			case converge.Symlink:
				shown.Kind, shown.Target = "symlink", r.Target
			case converge.Hostname:
				shown.Kind, shown.Name = "hostname", r.Name
			case converge.User:
				shown.Kind, shown.Name = "user", r.Name
				shown.Detail = fmt.Sprintf("uid %d home %s shell %s groups %v password %q", r.UID, r.Home, r.Shell, r.Groups, r.PasswordHash)
			case converge.Unit:
				shown.Kind = "unit"
				shown.Detail = fmt.Sprintf("enabled=%t running=%t reload on %v restart on %v", r.Enabled, r.Running, r.ReloadOn, r.RestartOn)
				if r.Masked {
					shown.Detail = "masked"
				}
			case converge.Absent:
				shown.Kind = "absent"
			case converge.Setting:
				shown.Kind, shown.Name, shown.Detail = "setting", r.Path, "= "+r.Value
			case converge.KernelArguments:
				shown.Kind, shown.Name, shown.Detail = "kernel", "arguments", fmt.Sprint(r.Arguments)
			case converge.SwapFile:
				shown.Kind, shown.Detail = "swap", seeds.Size(r.Size).String()
			case converge.Filesystem:
				shown.Kind, shown.Name = "volume", r.Volume
				shown.Detail = cmp.Or(r.Wrong, fmt.Sprintf("%s: %s UUID=%s LABEL=%s adopt=%t wipe=%q", r.Disk, r.Type, r.UUID, r.Label, r.Adopt, r.Wipe))
			case converge.MountedFrom:
				shown.Kind, shown.Name, shown.Detail = "mounted", r.Path, "from "+r.Device
			case converge.MountPoint:
				shown.Kind, shown.Name = "mount", r.Path
			case converge.Device:
				shown.Kind, shown.Mode, shown.Owner = "device", Mode(r.Mode), r.Owner
			case converge.TrustStore:
				shown.Kind, shown.Detail = "trust", r.Dir
			case converge.NFTable:
				shown.Kind, shown.Mode, shown.Owner, shown.Content = "nftables", 0o644, "root", r.Content
			default:
				panic(fmt.Sprintf("node: %T has no preview", r))
			}
			all = append(all, shown)
		}
	}
	return all
}

// String is the resource on a line, and a file's content below it, indented.
func (s Shown) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", s.Kind, s.Name)
	if s.Owner != "" {
		fmt.Fprintf(&b, " %04o %s", uint32(s.Mode), s.Owner)
	}
	if s.Secret {
		b.WriteString(" secret")
	}
	if s.Target != "" {
		fmt.Fprintf(&b, " -> %s", s.Target)
	}
	if s.Detail != "" {
		b.WriteString(" " + s.Detail)
	}
	b.WriteString("\n")
	for line := range strings.Lines(s.Content) {
		b.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}

// Text is all resources under the names of their steps.
func Text(shown []Shown) string {
	var b strings.Builder
	step := ""
	for _, s := range shown {
		if s.Step != step {
			step = s.Step
			fmt.Fprintf(&b, "== %s\n", step)
		}
		b.WriteString(s.String())
	}
	return b.String()
}
