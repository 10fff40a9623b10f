package converge

import (
	"slices"
	"strings"
	"testing"
)

func TestKernelArguments(t *testing.T) {
	own := []string{"default_hugepagesz", "hugepagesz", "hugepages"}
	for now, want := range map[string][]string{
		"":                              {"hugepagesz=1G", "hugepages=8"},
		"quiet hugepages":               {"quiet", "hugepagesz=1G", "hugepages=8"},
		"hugepages=2 quiet hugepages=4": {"quiet", "hugepagesz=1G", "hugepages=8"},
		"hugepages_x=1 console=ttyS0":   {"hugepages_x=1", "console=ttyS0", "hugepagesz=1G", "hugepages=8"},
	} {
		k := KernelArguments{Own: own, Arguments: []string{"hugepagesz=1G", "hugepages=8"}}
		given := strings.Fields(now)
		got := k.in(given)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q", now, got)
		}
		if again := k.in(got); !slices.Equal(again, got) {
			t.Errorf("%q, a second time: %q", now, again)
		}
		if !slices.Equal(given, strings.Fields(now)) {
			t.Errorf("%q became %q", now, given)
		}
		if none := (KernelArguments{Own: own}).in(got); !slices.Equal(none, want[:len(want)-2]) {
			t.Errorf("%q, when none are wanted: %q", now, none)
		}
	}
}

// A host that is not booted from an image is told what to do, unless it is done.
func TestKernelArgumentsOfAnotherHost(t *testing.T) {
	m := liveMachine(t)
	write(t, m.path("/proc/cmdline"), "root=/dev/sda1 hugepagesz=1G quiet\n")
	for want, arguments := range map[string][]string{
		"step:": {"hugepagesz=1G", "quiet"},
		"step: skipped kernel arguments (this host was not booted from an image: have its own boot loader give the kernel hugepagesz=1G hugepages=8)": {"hugepagesz=1G", "hugepages=8"},
	} {
		if got := summary(apply(t, m, KernelArguments{Own: []string{"hugepages"}, Arguments: arguments})); got[0] != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := summary(apply(t, Machine{Root: t.TempDir()}, KernelArguments{Arguments: []string{"x"}})); got[0] != "step:" {
		t.Errorf("off line: %q", got)
	}
}
