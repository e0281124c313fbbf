package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec" //nolint:depguard // kubectl is a program
	"path/filepath"
	"strings"
	"time"
)

// Kubectl runs kubectl on the node with an administrator's rights and a deadline of a minute, and returns what it printed. The text is its
// standard input, for "-f -".
func (c *Cluster) Kubectl(ctx context.Context, text string, arguments ...string) (string, error) {
	return c.administer(ctx, time.Minute, c.program("kubectl"), text, arguments...)
}

// Administer runs another program on the node in the same way, by its path. It may take ten minutes.
func (c *Cluster) Administer(ctx context.Context, program string, arguments ...string) (string, error) {
	return c.administer(ctx, 10*time.Minute, program, "", arguments...)
}

func (c *Cluster) administer(ctx context.Context, limit time.Duration, program, text string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig("admin"), "KUBECACHEDIR="+c.options.State+"/kubectl")
	cmd.Stdin = strings.NewReader(text)
	var said, complained bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &complained
	what := filepath.Base(program) + " " + strings.Join(arguments, " ")
	if err := c.network.do(cmd.Start); err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if err := cmd.Wait(); err != nil {
		return said.String(), fmt.Errorf("%s: %w: %s", what, err, bytes.TrimSpace(complained.Bytes()))
	}
	return said.String(), nil
}
