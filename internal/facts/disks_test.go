package facts

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"banyan/seeds"
)

// block is a whole device of a made-up machine, with its partitions by name.
func block(name, number, size string, partitions map[string]string) map[string]string {
	dir := "sys/block/" + name
	files := map[string]string{dir + "/dev": number + "\n", dir + "/size": size + "\n", dir + "/queue/rotational": "0\n", dir + "/hidden": "0\n", dir + "/holders/": "", dir + "/slaves/": ""}
	for part, number := range partitions {
		files[dir+"/"+part+"/dev"], files[dir+"/"+part+"/partition"] = number+"\n", "1\n"
	}
	return files
}

// disk is one that has hardware behind it.
func disk(name, number, size string, partitions map[string]string) map[string]string {
	files := block(name, number, size, partitions)
	files["sys/block/"+name+"/device/"] = ""
	return files
}

// made is a device that is made of others.
func made(name, number string, of ...string) map[string]string {
	files := block(name, number, "2048", nil)
	for _, part := range of {
		files["sys/block/"+name+"/slaves/"+part+"/"] = ""
	}
	return files
}

func merge(all ...map[string]string) map[string]string {
	files := map[string]string{"proc/self/mountinfo": ""}
	for _, m := range all {
		maps.Copy(files, m)
	}
	return files
}

const gigabyte = "2097152" // of sectors

func TestDisks(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []Disk
	}{
		"a container without /sys/block": {map[string]string{}, nil},
		"what is no disk": {merge(
			block("loop0", "7:0", gigabyte, map[string]string{"loop0p1": "259:0"}), block("ram0", "1:0", gigabyte, nil), block("zram0", "253:0", gigabyte, nil),
			made("dm-0", "254:0"), made("md0", "9:0"), disk("sr0", "11:0", gigabyte, nil), disk("fd0", "2:0", gigabyte, nil),
			disk("sdh", "8:112", "0", nil), // a card reader without a card
			map[string]string{"sys/block/sdi/uevent": ""},
		), nil},
		"an image": {merge(
			disk("vda", "254:0", gigabyte, map[string]string{"vda4": "254:4", "vda6": "254:6"}), disk("vdb", "254:16", gigabyte, nil), disk("vdc", "254:32", gigabyte, nil),
			map[string]string{
				"sys/block/vda/queue/rotational": "1\n",
				"sys/block/vda/serial":           "overlayblk",
				"run/banyan/boot.json":           `{"disk":"/dev/vda","slot":"a"}`,
				"proc/self/mountinfo": "21 1 0:20 / /proc rw - proc proc rw\n" +
					"26 1 254:4 / / ro,relatime shared:1 - squashfs /dev/vda4 ro\n" +
					"27 26 254:6 /var /var rw,noatime shared:2 master:3 - ext4 /dev/vda6 rw\n" +
					"28 27 254:16 / /var/lib/postgresql\\040old rw,noatime shared:4 - ext4 /dev/vdb rw\n",
			},
		), []Disk{
			{Name: "vda", Serial: "overlayblk", Size: 1 << 30, Class: seeds.DiskClassRotational, Boot: true},
			{Name: "vdb", Size: 1 << 30, Class: seeds.DiskClassSSD},
			{Name: "vdc", Size: 1 << 30, Class: seeds.DiskClassSSD},
		}},
		// The root in the initramfs is mounted already, and state is not.
		"an image's initramfs": {merge(
			disk("sda", "8:0", gigabyte, map[string]string{"sda4": "8:4"}), disk("sdb", "8:16", gigabyte, nil),
			map[string]string{"run/banyan/boot.json": `{"disk":"/dev/sdb","slot":"b"}`},
		), []Disk{
			{Name: "sda", Size: 1 << 30, Class: seeds.DiskClassSSD},
			{Name: "sdb", Size: 1 << 30, Class: seeds.DiskClassSSD, Boot: true},
		}},
		"LVM on RAID": {merge(
			disk("sda", "8:0", gigabyte, map[string]string{"sda1": "8:1", "sda2": "8:2"}), disk("sdb", "8:16", gigabyte, map[string]string{"sdb2": "8:18"}),
			disk("sdc", "8:32", gigabyte, nil), disk("sdd", "8:48", gigabyte, map[string]string{"sdd1": "8:49"}), disk("sde", "8:64", gigabyte, nil),
			made("md0", "9:0", "sda2", "sdb2"), made("dm-0", "253:0", "md0"), made("dm-1", "253:1", "sdc"), made("dm-2", "253:2", "md0"),
			map[string]string{
				"proc/self/mountinfo": "26 1 253:0 / / rw - ext4 /dev/mapper/vg-root rw\n27 26 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n" +
					"28 26 253:1 / /srv rw - xfs /dev/mapper/vg2-srv rw\n",
			},
		), []Disk{
			{Name: "sda", Size: 1 << 30, Class: seeds.DiskClassSSD, Boot: true},
			{Name: "sdb", Size: 1 << 30, Class: seeds.DiskClassSSD, Boot: true},
			{Name: "sdc", Size: 1 << 30, Class: seeds.DiskClassSSD},
			{Name: "sdd", Size: 1 << 30, Class: seeds.DiskClassSSD},
			{Name: "sde", Size: 1 << 30, Class: seeds.DiskClassSSD},
		}},
		"a host of many disks": {merge(
			disk("sda", "8:0", gigabyte, map[string]string{"sda1": "8:1"}), disk("sdb", "8:16", gigabyte, nil), disk("sdc", "8:32", gigabyte, nil), disk("sdd", "8:48", gigabyte, nil),
			map[string]string{
				"proc/self/mountinfo": "26 1 0:31 / / rw - zfs rpool/ROOT rw\n27 26 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n28 26 8:16 / /var rw - ext4 /dev/sdb rw\n" +
					"29 26 8:32 / /usr rw - ext4 /dev/sdc rw\n30 26 8:48 / /var/lib/postgresql rw - ext4 /dev/sdd rw\n31 26 8:48 /17 /srv/17 rw - ext4 /dev/sdd rw\n",
			},
		), []Disk{
			{Name: "sda", Size: 1 << 30, Class: seeds.DiskClassSSD, Boot: true},
			{Name: "sdb", Size: 1 << 30, Class: seeds.DiskClassSSD, Boot: true},
			{Name: "sdc", Size: 1 << 30, Class: seeds.DiskClassSSD, Boot: true},
			{Name: "sdd", Size: 1 << 30, Class: seeds.DiskClassSSD},
		}},
		"a multipath NVMe": {merge(
			disk("nvme0n1", "259:1", gigabyte, map[string]string{"nvme0n1p1": "259:2"}), disk("nvme0c0n1", "259:0", gigabyte, nil),
			map[string]string{
				"sys/block/nvme0c0n1/hidden":     "1\n",
				"sys/block/nvme0n1/device/":      "",
				"sys/block/nvme0n1/device/model": "SAMSUNG MZQL23T8HCLS-00A07              \n", "sys/block/nvme0n1/device/serial": "S64HNE0R000000      \n",
				"proc/self/mountinfo": "26 1 259:2 / /data rw - ext4 /dev/nvme0n1p1 rw\n",
			},
		), []Disk{
			{Name: "nvme0n1", Serial: "S64HNE0R000000", Model: "SAMSUNG MZQL23T8HCLS-00A07", Size: 1 << 30, Class: seeds.DiskClassNVMe},
		}},
		"udev": {merge(
			disk("sda", "8:0", gigabyte, nil), disk("sdb", "8:16", gigabyte, nil), disk("vda", "254:0", gigabyte, nil),
			map[string]string{
				"sys/block/sda/device/model": "SAMSUNG MZ7LH960",
				"run/udev/data/b8:0": "S:disk/by-path/pci-0000:00:17.0-ata-1\nS:disk/by-id/wwn-0x5002538e40a0b1c2\nS:disk/by-id/ata-SAMSUNG_MZ7LH960HAJR-00005_S45NNA0N123456\n" +
					"I:2534214\nE:ID_ATA=1\nE:ID_MODEL=SAMSUNG_MZ7LH960HAJR-00005\nE:ID_MODEL_ENC=SAMSUNG\\x20MZ7LH960HAJR-00005\\x20\\x20\\x20\n" +
					"E:ID_SERIAL=SAMSUNG_MZ7LH960HAJR-00005_S45NNA0N123456\nE:ID_SERIAL_SHORT=S45NNA0N123456\nG:systemd\nQ:systemd\nV:1\n",
				"run/udev/data/b8:16":  "E:ID_MODEL=PX05SMB040\nE:ID_MODEL_ENC=\\x1b[2J\\x07PX05\\x5cxg\nE:ID_SERIAL_SHORT=35000039\nE:ID_SCSI_SERIAL=Y7  0A\n",
				"run/udev/data/b254:0": "E:ID_SERIAL=pgdata\nS:disk/by-id/virtio-pgdata\n",
			},
		), []Disk{
			{Name: "sda", ByID: []string{"ata-SAMSUNG_MZ7LH960HAJR-00005_S45NNA0N123456", "wwn-0x5002538e40a0b1c2"}, Serial: "S45NNA0N123456", Model: "SAMSUNG MZ7LH960HAJR-00005", Size: 1 << 30, Class: seeds.DiskClassSSD},
			{Name: "sdb", Serial: "Y7 0A", Model: `?[2J?PX05\xg`, Size: 1 << 30, Class: seeds.DiskClassSSD},
			{Name: "vda", ByID: []string{"virtio-pgdata"}, Serial: "pgdata", Size: 1 << 30, Class: seeds.DiskClassSSD},
		}},
	} {
		files := bare()
		maps.Copy(files, c.files)
		if got, err := Gather(machine(t, files)); err != nil || !reflect.DeepEqual(got.Disks, c.want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got.Disks, c.want)
		}
	}
}

// A file system of several devices has a number of its own, and names one of them.
func TestDisksOfBtrfs(t *testing.T) {
	root := machine(t, merge(disk("sda", "8:0", gigabyte, map[string]string{"sda2": "8:2"}), made("dm-0", "253:0", "sda2"),
		map[string]string{"proc/self/mountinfo": "26 1 0:31 /@rootfs / rw - btrfs /dev/mapper/root rw,subvol=/@rootfs\n", "dev/dm-0": "", "dev/mapper/": ""}))
	if err := os.Symlink("../dm-0", filepath.Join(root, "dev/mapper/root")); err != nil {
		t.Fatal(err)
	}
	got, err := disks(root)
	if want := []Disk{{Name: "sda", Size: 1 << 30, Class: seeds.DiskClassSSD, Boot: true}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// One sick disk keeps nothing else from being known, and is known by its name.
func TestDisksThatCannotBeRead(t *testing.T) {
	got, err := disks(machine(t, merge(disk("sda", "8:0", gigabyte, nil), disk("sdb", "8:16", gigabyte, nil),
		map[string]string{"sys/block/sda/size": "much\n", "proc/self/mountinfo": ""})))
	if err != nil || len(got) != 2 || got[0].Name != "sda" || got[0].Size != 0 || !strings.Contains(got[0].String(), "/dev/sda, which cannot be read: ") || got[1].Wrong != "" {
		t.Errorf("%v, %v", got, err)
	}
}

// Whether a disk may be taken must not be guessed.
func TestDisksRefuse(t *testing.T) {
	sda := disk("sda", "8:0", gigabyte, nil)
	for want, files := range map[string]map[string]string{
		"boot.json": merge(sda, map[string]string{"run/banyan/boot.json": "{"}),
		"no mount":  merge(sda, map[string]string{"proc/self/mountinfo": "rootfs / rootfs rw\n"}),
		"mountinfo": sda,
	} {
		if got, err := disks(machine(t, files)); got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, got, err)
		}
	}
}
