package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and revision are set by the linker: see the Makefile.
var version, revision string

// buildVersion returns the release and the commit, from the linker's values or else from what the Go tool noted.
func buildVersion() (release, commit string) {
	release, commit = version, revision
	info, ok := debug.ReadBuildInfo()
	if ok && release == "" {
		release = info.Main.Version
	}
	if ok && commit == "" {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				commit = setting.Value
			}
		}
	}
	if release == "" {
		release = "unknown"
	}
	if commit == "" {
		commit = "unknown"
	}
	return release, commit
}

func newVersion() *cobra.Command {
	command := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			release, commit := buildVersion()
			_, err := fmt.Fprintf(command.OutOrStdout(), "nodevitals %s, revision %s, %s %s/%s\n",
				release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
	setGroups(command)
	return command
}
