package cli

import (
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/spf13/cobra"
)

// A Version says what a binary was built from.
type Version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// ReadVersion returns the version of the running binary.
func ReadVersion() Version {
	v := Version{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// Table lists the fields, one per line.
func (v Version) Table() Table {
	return Table{Rows: [][]string{
		{"version", v.Version},
		{"revision", v.Revision},
		{"modified", strconv.FormatBool(v.Modified)},
		{"go", v.Go},
		{"platform", v.Platform},
	}}
}

// VersionCommand returns the command that prints the version.
func VersionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print what this binary was built from"}
	out := AddOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return out.Print(cmd.OutOrStdout(), ReadVersion())
	}
	return cmd
}
