package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec" //nolint:depguard // kubectl is a program
	"strings"
	"time"
)

// Kubectl runs kubectl on the node with an administrator's rights and a deadline of a minute, and returns what it printed. The text is its
// standard input, for "-f -".
func (c *Cluster) Kubectl(ctx context.Context, text string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program("kubectl"), arguments...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig("admin"), "KUBECACHEDIR="+c.options.State+"/kubectl")
	cmd.Stdin = strings.NewReader(text)
	var said, complained bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &complained
	if err := c.network.do(cmd.Start); err != nil {
		return "", fmt.Errorf("kubectl %s: %w", strings.Join(arguments, " "), err)
	}
	if err := cmd.Wait(); err != nil {
		return said.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(arguments, " "), err, bytes.TrimSpace(complained.Bytes()))
	}
	return said.String(), nil
}
