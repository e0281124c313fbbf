// Command nodevitals serves a node's statistics as a kubelet does.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodevitals/nodevitals/logging"
)

// Exit statuses besides 0.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs a command line and returns the exit status. Whatever goes wrong is one line on stderr.
func execute(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return 0
	}
	// It ends up where the log does, and may quote a kubeconfig or an address.
	fmt.Fprintln(stderr, "nodevitals:", logging.Redact(strings.Join(strings.Fields(err.Error()), " ")))
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}

// usageError is a mistake of the command line.
type usageError struct{ err error }

// Error implements error.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *usageError) Unwrap() error { return e.err }

func newRoot() *cobra.Command {
	o := defaultOptions()
	root := &cobra.Command{
		Use:   "nodevitals",
		Short: "Serve this node's statistics as a kubelet does",
		Long: "nodevitals serves this node's statistics in the kubelet's three dialects: /stats/summary, /metrics/cadvisor and\n" +
			"/metrics/resource. Without arguments it runs the agent, which needs no configuration.",
		// The program prints its errors itself, one line each, and no usage after them.
		SilenceErrors: true, SilenceUsage: true,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return &usageError{err}
			}
			return runAgent(command.Context(), o, command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see %s --help", err, command.CommandPath())}
	})
	root.AddCommand(newSummary(), newVerify(), newVersion())
	setGroups(root, o.servingFlags(), o.secureFlags(), o.samplingFlags(), o.seriesFlags(), o.hostFlags(), o.kubernetesFlags(), o.loggingFlags())
	return root
}

// noArguments refuses words that are no flags: on the root they are commands that do not exist.
func noArguments(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	what := "argument"
	if !command.HasParent() {
		what = "command"
	}
	return &usageError{fmt.Errorf("unknown %s %q; see %s --help", what, args[0], command.CommandPath())}
}
