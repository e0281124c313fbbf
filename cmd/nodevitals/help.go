package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the width that help is wrapped to, in characters.
const helpWidth = 110

// flagGroup is a part of a command's flags under one title of its help.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

func newGroup(title string) flagGroup {
	flags := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.SortFlags = false // the order in the program is the order in which a reader wants them
	return flagGroup{title: title, flags: flags}
}

// setGroups gives a command its flags, and a help text that shows them by group.
func setGroups(command *cobra.Command, groups ...flagGroup) {
	for _, group := range groups {
		command.Flags().AddFlagSet(group.flags)
	}
	command.SetHelpFunc(func(command *cobra.Command, _ []string) {
		fmt.Fprint(command.OutOrStdout(), helpText(command, groups))
	})
}

func helpText(command *cobra.Command, groups []flagGroup) string {
	var b strings.Builder
	about := command.Long
	if about == "" {
		about = command.Short
	}
	fmt.Fprintf(&b, "%s\n\nUsage:\n  %s\n", about, command.UseLine())
	if command.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s COMMAND [flags]\n\nCommands:\n", command.CommandPath())
		for _, sub := range command.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-10s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	for _, group := range groups {
		fmt.Fprintf(&b, "\n%s:\n%s", group.title, group.flags.FlagUsagesWrapped(helpWidth))
	}
	if command.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n%s COMMAND --help shows a command's own flags.\n", command.CommandPath())
	}
	return b.String()
}
