package prometheus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec" //nolint:depguard // promtool is a program
	"slices"
	"strings"
)

// Complaints returns what `promtool check metrics` has to say about an answer in text format, sorted: nothing, if it is in order. An answer that
// cannot be read is an error.
func Complaints(ctx context.Context, promtool string, answer []byte) ([]string, error) {
	check := exec.CommandContext(ctx, promtool, "check", "metrics")
	check.Stdin = bytes.NewReader(answer)
	said, err := check.CombinedOutput()
	// 3 tells of complaints about names, 1 of a text that is none of the format.
	const complains = 3
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != complains) {
		return nil, fmt.Errorf("promtool check metrics: %w: %s", err, bytes.TrimSpace(said))
	}
	lines := strings.FieldsFunc(string(said), func(r rune) bool { return r == '\n' })
	slices.Sort(lines)
	return slices.Compact(lines), nil
}
