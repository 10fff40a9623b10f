package facts

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"banyan/seeds"
)

// machine makes a root directory: file contents by path; a path that ends in a
// slash is a directory.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range files {
		path, isDir := strings.CutSuffix(path, "/")
		path = filepath.Join(root, path)
		if isDir {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// bare is the least that every running machine has.
func bare() map[string]string {
	return map[string]string{
		"sys/class/net/lo/type":    "772\n",
		"sys/class/net/lo/address": "00:00:00:00:00:00\n",
		"home/":                    "",

		"proc/meminfo":                  "MemTotal:       16384 kB\n",
		"sys/devices/system/cpu/online": "0\n",
	}
}

func TestGather(t *testing.T) {
	files := bare()
	maps.Copy(files, map[string]string{
		"sys/class/net/eno2/type":                      "1\n",
		"sys/class/net/eno2/address":                   "52:54:00:00:00:02\n",
		"sys/class/net/eno2/device/":                   "",
		"sys/class/net/eno2/bonding_slave/perm_hwaddr": "52:54:00:00:00:22\n",
		"sys/class/net/eno1/type":                      "1\n",
		"sys/class/net/eno1/address":                   "52:54:00:00:00:01\n",
		"sys/class/net/eno1/device/":                   "",
		"sys/class/net/br0/type":                       "1\n",
		"sys/class/net/br0/address":                    "52:54:00:00:00:01\n",
		"sys/class/net/wlan0/type":                     "1\n",
		"sys/class/net/wlan0/address":                  "52:54:00:00:00:03\n",
		"sys/class/net/wlan0/device/":                  "",
		"sys/class/net/wlan0/phy80211/":                "",
		"sys/class/net/ib0/type":                       "32\n",
		"sys/class/net/ib0/address":                    "80:00:\n",
		"sys/class/net/bonding_masters":                "\n",

		"usr/lib/postgresql/9.6/bin/postgres":                      "",
		"usr/lib/postgresql/17/bin/postgres":                       "",
		"usr/lib/postgresql/13/bin/postgres":                       "",
		"usr/lib/postgresql/15/bin/psql":                           "", // the client alone
		"home/dba/":                                                "",
		"home/lost+found/":                                         "",
		"home/notes":                                               "a file",
		"var/lib/banyan/born":                                      "",
		"sys/class/dmi/id/product_serial":                          "CZ12345678 \n",
		"sys/class/dmi/id/product_uuid":                            "4C4C4544-0051-3510-8052-B4C04F4A3432\n",
		"proc/sys/kernel/hostname":                                 "rack3-u12\n",
		"proc/sys/kernel/osrelease":                                "6.12.41+deb13-amd64\n",
		"proc/meminfo":                                             "MemTotal:       65778824 kB\nMemFree:        60000000 kB\nHugePages_Total:    1024\n",
		"sys/devices/system/cpu/online":                            "0-3,6,8-9\n",
		"sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages": "4\n",
		"etc/ssh/sshd_config":                                      "# Port 1\nInclude /etc/ssh/sshd_config.d/*.conf\nport = 2222\n",
		"etc/ssh/sshd_config.d/50-more.conf":                       "Port 2223 # and another\n",
		SSHPortFile:                                                "Port 22\n",
		VolumeRecord("data"):                                       `{"Serial": "S1", "Size": 4096, "Class": "nvme"}`,

		"sys/block/sda/dev":              "8:0\n",
		"sys/block/sda/size":             "2048\n",
		"sys/block/sda/queue/rotational": "0\n",
		"sys/block/sda/device/model":     "QEMU HARDDISK   \n",
		"proc/self/mountinfo":            "27 1 8:0 / / rw,relatime - ext4 /dev/sda rw\n",

		"var/lib/banyan/postgresql":                 "15\n",
		"var/lib/postgresql/13/main/PG_VERSION":     "13\n",
		"var/lib/postgresql/17/":                    "", // made for a cluster to come
		"var/lib/postgresql/17/main.1/PG_VERSION":   "17\n",
		"var/lib/postgresql/9.6/main/PG_VERSION":    "9.6\n",
		"etc/passwd":                                "root:x:0:0:root:/root:/bin/bash\n+::::::\n+@admins\ndba:x:1001:1001::/home/dba:/bin/sh\n",
		"etc/group":                                 "root:x:0:\nadm:x:4:syslog,dba\n+\n",
		"etc/shells":                                "# /etc/shells: valid login shells\n/bin/sh\n/bin/bash\n/usr/bin/zsh\n",
		"bin/sh":                                    "",
		"bin/bash":                                  "",
		"usr/sbin/nologin":                          "",
		"usr/share/zoneinfo/Europe/Moscow":          "",
		"usr/share/zoneinfo/America/Indiana/Knox":   "",
		"usr/share/zoneinfo/UTC":                    "",
		"usr/share/zoneinfo/localtime":              "",
		"usr/share/zoneinfo/posixrules":             "",
		"usr/share/zoneinfo/tzdata.zi":              "",
		"usr/share/zoneinfo/posix/Asia/Vladivostok": "",
		"var/lib/dpkg/status": "Package: etcd-server\nStatus: install ok installed\nVersion: 1:3.3.25+dfsg-6+b6\nDescription: a store\n Version: 9.9\n\n" +
			"Package: haproxy\nStatus: deinstall ok config-files\nVersion: 3.0.11-1\n\nPackage: systemd\nStatus: hold ok installed\nVersion: 257-1\n\n" +
			"Package: patroni\nStatus: install ok installed\nVersion: 4.0.7-1+deb13u1\n\nPackage: nftables\nStatus: install ok installed\nVersion: 1.1.3-1\n",
		"etc/locale.gen": "# en_GB.UTF-8 UTF-8\nen_US.UTF-8 UTF-8\nru_RU.UTF-8 UTF-8\nru_RU.KOI8-R KOI8-R\n" +
			"sr_RS@latin UTF-8\nca_ES.UTF-8@valencia UTF-8\n",
	})
	root := machine(t, files)
	uid := os.Getuid()
	want := map[string]int{"dba": uid, "lost+found": uid}
	if uid == 0 { // as root, homes can be given to somebody
		if err := os.Chown(filepath.Join(root, "home/dba"), 1001, 1001); err != nil {
			t.Fatal(err)
		}
		want = map[string]int{"dba": 1001}
	}

	got, err := Gather(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Facts{
		Installed: Installed{PostgreSQL: []int{13, 17}, Systemd: Version{257, 0}, Patroni: Version{4, 0}, Etcd: Version{3, 3}, NFTables: Version{1, 1}},
		NICs: []NIC{
			{Name: "br0", MAC: "52:54:00:00:00:01"},
			{Name: "eno1", MAC: "52:54:00:00:00:01", Physical: true},
			{Name: "eno2", MAC: "52:54:00:00:00:22", Physical: true},
			{Name: "wlan0", MAC: "52:54:00:00:00:03"},
		},
		PostgreSQLData: []int{13, 15},
		Homes:          want,
		Born:           true,
		Memory:         65778824 << 10,
		CPUs:           7,
		Disks:          []Disk{{Name: "sda", Model: "QEMU HARDDISK", Size: 1 << 20, Class: seeds.DiskClassSSD, Boot: true}},
		DataSize:       sizeOf(t, root),
		Kernel:         Version{6, 12},
		GigabytePages:  4,
		SSHPorts:       []uint16{2223, 2222},
		Volumes:        map[string]Disk{"data": {Serial: "S1", Size: 4096, Class: "nvme"}},
		Serial:         "CZ12345678",
		UUID:           "4c4c4544-0051-3510-8052-b4c04f4a3432",
		Hostname:       "rack3-u12",
		Accounts:       map[string]int{"root": 0, "dba": 1001},
		Groups:         []string{"root", "adm"},
		Shells:         []string{"/bin/sh", "/bin/bash", "/usr/sbin/nologin"},
		Timezones:      []string{"America/Indiana/Knox", "Europe/Moscow", "UTC"},
		Locales:        []string{"C.UTF-8", "en_US.UTF-8", "ru_RU.UTF-8", "sr_RS.UTF-8@latin", "ca_ES.UTF-8@valencia"},
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestVersions(t *testing.T) {
	f := Facts{Installed: Installed{PostgreSQL: []int{15, 17}, Etcd: Version{3, 5}}, Kernel: Version{6, 12}}
	want := map[string]string{"postgresql": "15, 17", "etcd": "3.5", "kernel": "6.12"}
	if got := f.Versions(); !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestGatherUnborn(t *testing.T) {
	got, err := Gather(machine(t, bare()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Born || got.NICs != nil || got.PostgreSQL != nil || got.PostgreSQLData != nil ||
		got.Disks != nil || got.SSHPorts != nil || got.Volumes != nil || got.Kernel != (Version{}) || len(got.Accounts) > 0 || got.Groups != nil || got.Shells != nil || got.Timezones != nil {
		t.Errorf("a bare machine has %+v", got)
	}
}

// What cannot be read is told at once, and keeps nothing else from being read.
func TestGatherErrors(t *testing.T) {
	got, err := Gather(machine(t, map[string]string{"etc/group": "adm:x:4:\n"}))
	for _, want := range []string{"sys/class/net", "home", "proc/meminfo", "cpu/online"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if len(got.Groups) != 1 {
		t.Errorf("groups %v", got.Groups)
	}
}

// This machine is one too.
func TestGatherHere(t *testing.T) {
	got, err := Gather("/")
	if err != nil {
		t.Fatal(err)
	}
	if uid, ok := got.Accounts["root"]; !ok || uid != 0 {
		t.Errorf("this machine has the accounts %v", got.Accounts)
	}
	if got.Memory < 1<<20 || got.CPUs < runtime.NumCPU() || got.DataSize == 0 || got.Kernel == (Version{}) {
		t.Errorf("this machine has %d bytes of memory, %d CPUs, %d bytes for data, the kernel %s", got.Memory, got.CPUs, got.DataSize, got.Kernel)
	}
}
