//go:build unix && !linux

package process

import "syscall"

// attributes put a child into a group of its own. When this process dies, the
// child has to notice by itself, see [Lifeline].
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit cannot tell here, so what a dead child leaves in its group lives on.
func awaitExit(int) bool { return false }
