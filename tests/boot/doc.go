//go:build boot

// Package boot proves the disk image from outside: it boots the image itself in
// QEMU, with UEFI and Secure Boot and with BIOS, and looks at it as an operator
// does, on the console, over SSH and SQL, with a USB stick and by pulling the plug.
//
//	export BANYAN_IMAGE=$PWD/dist/banyan-debian-13-VERSION.img
//	go test -tags boot -timeout 40m -v ./tests/boot
//	go test -tags boot -timeout 40m -run '^$' -bench '^BenchmarkBoot$' -benchtime 1x ./tests/boot
//
// It needs qemu-system-x86, ovmf, mtools and dosfstools. Without KVM a machine
// keeps a core busy, so let -parallel not exceed the number of cores. The
// environment may also say:
//
//	BANYAN_OTHER_IMAGES  the images of TestOtherImages, separated by colons
//	BANYAN_ARTIFACTS     below which, in boot, the consoles are kept, and a failed machine's screen; dist by default
//	BANYAN_CUT_AFTER     the number that a failed TestPowerCut printed, to cut the power at the same point again
//	BANYAN_CUT_SEED      the number that a failed TestPowerCutReplayed printed, to draw the same cuts again
package boot
