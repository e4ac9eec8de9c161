//go:build unix

package process

import (
	"os"
	"syscall"
)

// stdin returns standard input such that a read of a pipe can be interrupted.
func stdin() *os.File {
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		if syscall.SetNonblock(0, true) == nil {
			return os.NewFile(0, "lifeline")
		}
	}
	return os.Stdin
}

// terminate asks the group of p to end.
func terminate(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGTERM) }

// kill ends the group of p.
func kill(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
