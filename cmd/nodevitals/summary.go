package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/snapshot"
	"github.com/nodevitals/nodevitals/summary"
)

func newSummary() *cobra.Command {
	o := defaultOptions()
	o.logLevel = "error" // what is absent shows in the output; the agent's log is the place to ask why
	output, window := "json", time.Second
	command := &cobra.Command{
		Use:   "summary [flags]",
		Short: "Print one sample of this host, as JSON or as a table",
		Long: "summary samples this host twice, a window apart so that there are rates, and prints what /stats/summary would\n" +
			"answer then.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := firstOf(o.validateSampling, o.validateHost, o.validateKubernetes, o.validateLogging, func() error {
				if window <= 0 {
					return bad("--window", window, "more than 0")
				}
				if output != "json" && output != "table" {
					return bad("--output", output, "json or table")
				}
				return nil
			}); err != nil {
				return &usageError{err}
			}
			return printSummary(command.Context(), o, window, output, command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	group := newGroup("Output")
	group.flags.StringVarP(&output, "output", "o", output, "`format`: json or table")
	group.flags.DurationVar(&window, "window", window, "time between the two samples, over which rates are taken")
	setGroups(command, group, o.hostFlags(), o.kubernetesFlags(), o.loggingFlags())
	return command
}

// printSummary takes a base sample, waits, and prints a second one.
func printSummary(ctx context.Context, o *options, window time.Duration, output string, stdout, stderr io.Writer) error {
	log, err := o.newLogger(stderr)
	if err != nil {
		return err
	}
	defer log.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	o.maxAge, o.tick = 0, 0
	sources, err := o.openSources(log.Logger)
	if err != nil {
		return err
	}
	go func() { _ = sources.Run(ctx) }() // ends with the program
	c, err := o.newCollector(log.Logger, sources)
	if err != nil {
		return err
	}
	defer c.Close()
	awaitNames(ctx, sources)
	if _, err := c.Snapshot(ctx, snapshot.All); err != nil {
		return err
	}
	select {
	case <-time.After(window):
	case <-ctx.Done():
		return fmt.Errorf("wait for the second sample: %w", context.Cause(ctx))
	}
	sample, err := c.Snapshot(ctx, snapshot.All)
	if err != nil {
		return err
	}
	return render(stdout, sample, o.summary(), output)
}

// namesPatience is how long a single sample waits for names: then the sources that have not answered are away.
const namesPatience = 3 * time.Second

// awaitNames waits until every source of names has answered once, or is known to be away.
func awaitNames(ctx context.Context, sources *identity.Sources) {
	ctx, cancel := context.WithTimeout(ctx, namesPatience)
	defer cancel()
	for {
		waiting := false
		for _, source := range sources.Index().Sources() {
			waiting = waiting || !source.Connected && source.Err == ""
		}
		if !waiting {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// render prints the summary of a sample in one of the forms of --output.
func render(out io.Writer, sample *snapshot.Snapshot, named summary.Options, output string) error {
	rendered := summary.Render(sample, named, false)
	if output == "table" {
		return summary.Table(out, rendered, sample)
	}
	text, err := summary.Encode(rendered)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", bytes.TrimSuffix(text, []byte("\n")))
	return err
}

// summary names the cgroups of system containers.
func (o *options) summary() summary.Options {
	return summary.Options{
		KubeletCgroups: o.kubeletCgroups, RuntimeCgroups: o.runtimeCgroups, SystemCgroups: o.systemCgroups,
		PodsCgroup: o.cgroupRoot,
	}
}
