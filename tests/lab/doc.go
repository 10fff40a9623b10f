//go:build lab

// Package lab boots the root of the disk image as hosts of a network on this one
// kernel: each under systemd-nspawn in a network namespace, with its own /var and the
// image's own systemd, firstboot, etcd, Patroni and PostgreSQL.
//
//	export BANYAN_IMAGE=$PWD/dist/banyan-debian-13-VERSION.img
//	go test -tags lab -timeout 30m -v ./tests/lab
//	go test -tags lab -timeout 1h -run '^$' -bench . -benchtime 1x ./tests/lab
//
// BANYAN_OTHER_IMAGES names images of other profiles, separated by colons, for TestOtherImages.
//
// The networks' servers of DNS, bind9 and Samba, are those of Debian 12, in a root tree
// that mmdebstrap makes and /var/cache/banyan-lab keeps.
//
// It needs root, systemd-container, iproute2 and mmdebstrap. All else that it makes is in
// namespaces of its own and below $TMPDIR (/var/tmp by default), and goes with the process,
// whatever ends that. In lab below BANYAN_ARTIFACTS (dist by default) the consoles are kept, and
// the journals of hosts that failed.
//
// What only a machine has is package boot's to prove: firmware, GRUB and initramfs, the
// disk, kernel modules and settings, and that what was not flushed is lost with the power.
package lab
