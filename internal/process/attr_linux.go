package process

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes put a child into a group of its own and have the kernel kill it
// when this process dies.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit blocks until the child with that pid is dead, and leaves it to be
// collected. It reports whether it can tell.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
