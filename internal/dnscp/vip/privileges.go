package vip

import "golang.org/x/sys/unix"

// Privileged tells whether this process may lease and release (CAP_NET_ADMIN), and whether it
// may probe and announce (CAP_NET_RAW): capabilities(7).
func Privileged() (admin, raw bool) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // 64 capabilities; both are among the first 32
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, false // it fails for no thread that asks of itself
	}
	has := func(c int) bool { return data[0].Effective&(1<<c) != 0 }
	return has(unix.CAP_NET_ADMIN), has(unix.CAP_NET_RAW)
}
