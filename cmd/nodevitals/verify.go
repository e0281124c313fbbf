package main

import (
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nodevitals/nodevitals/collector/reference"
)

func newVerify() *cobra.Command {
	o := defaultOptions()
	command := &cobra.Command{
		Use:   "verify [CGROUP...] [flags]",
		Short: "Read this host's cgroups every way, ours and cAdvisor's, and print what differs",
		Long: "verify reads every cgroup of this host with the agent's reader of files, with cAdvisor's, and with the reader in the\n" +
			"kernel if there can be one here, back to back, and prints each number that differs and did not just move. CGROUP,\n" +
			"such as /system.slice, keeps to that cgroup and those below it.\n" +
			"The exit status is 1 if anything differs.",
		Args: cobra.ArbitraryArgs,
		RunE: func(command *cobra.Command, args []string) error {
			if err := o.validateLogging(); err != nil {
				return &usageError{err}
			}
			log, err := o.newLogger(command.ErrOrStderr()) // for what cAdvisor's libraries log
			if err != nil {
				return err
			}
			defer log.Close()
			ctx, stop := signal.NotifyContext(command.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			walker, why := verifiedWalker()
			if why != nil {
				fmt.Fprintf(command.OutOrStdout(), "not compared: the reader in the kernel: %v\n", why)
			}
			report, err := reference.Verify(ctx, walker, below(args))
			if err != nil {
				return err
			}
			if err := report.Print(command.OutOrStdout()); err != nil {
				return fmt.Errorf("print what differs: %w", err)
			}
			if n := len(report.Findings); n > 0 {
				return fmt.Errorf("verify: %d of %d numbers differ", n, report.Numbers)
			}
			return nil
		},
	}
	o.logLevel = "error" // the libraries' lesser words would stand between the rows
	setGroups(command, o.loggingFlags())
	return command
}

// below returns whether a cgroup is one of ids or lies below one; nil if there are no ids.
func below(ids []string) func(id string) bool {
	if len(ids) == 0 {
		return nil
	}
	return func(id string) bool {
		for _, one := range ids {
			if id == one || strings.HasPrefix(id, strings.TrimSuffix(one, "/")+"/") {
				return true
			}
		}
		return false
	}
}
