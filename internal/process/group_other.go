//go:build !unix

package process

import (
	"os"
	"syscall"
)

func stdin() *os.File { return os.Stdin }

func attributes() *syscall.SysProcAttr { return nil }

func awaitExit(int) bool { return false }

// terminate cannot ask here, so Stop waits for the grace only.
func terminate(*os.Process) {}

// kill ends p; there are no groups here.
func kill(p *os.Process) { _ = p.Kill() }
