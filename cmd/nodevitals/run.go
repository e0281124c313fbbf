package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/answer"
	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/server"
	"github.com/nodevitals/nodevitals/server/certificate"
	"github.com/nodevitals/nodevitals/snapshot"
)

// runAgent runs the agent until SIGTERM, SIGINT or ctx's end, and then drains. The options are valid.
func runAgent(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	out, err := o.newLogger(stderr)
	if err != nil {
		return err
	}
	defer out.Close()
	log := out.Logger
	saveMemory()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// A second signal ends the program at once, as it would any other.
	context.AfterFunc(ctx, stop)

	secureOn, api, err := o.planSecure(log)
	if err != nil {
		return err
	}
	// Ports first: that they are taken is the likeliest trouble, and the quickest to find out.
	listeners, err := o.listen(ctx, secureOn)
	if err != nil {
		return err
	}
	defer listeners.close()
	sources, err := o.openSources(log)
	if err != nil {
		return err
	}
	if err := o.checkPods(secureOn, sources); err != nil {
		return err
	}
	var secure *secureServing
	if secureOn {
		if secure, err = o.openSecure(log, api); err != nil {
			return err
		}
	}
	c, err := o.newCollector(log, sources)
	if err != nil {
		return err
	}
	defer c.Close()
	// Everything is open, and nobody has asked a filesystem yet.
	o.giveUpRights(log)
	// One pass of everything: a base for the first scrape's rates, and the knowledge of what is out of reach here.
	first, err := c.Snapshot(ctx, snapshot.All)
	if err != nil {
		log.Warn("the first sample failed; health says so until one works", zap.Error(err))
	}

	serving := server.New(log, o.limits())
	a := &agent{
		options: o, log: log, lines: out.Lines, secure: secure, collector: c, sources: sources, server: serving,
		answers: answer.NewStore(answer.Options{Log: log.Named("answer")}),
	}
	listeners.endpoints(serving, a, secure)
	dropProgramPages() // what making all this touched; the lists that are read now need the memory
	err = a.banner(stdout, listeners, first)
	first.Done()
	if err != nil {
		return fmt.Errorf("say what is served: %w", err)
	}
	return serve(ctx, serving, c, sources, secure)
}

// serve runs the server, the light tick, the sources of names and the watch of certificates until ctx ends or the server breaks. Meanwhile it
// gives back the memory that the start took.
func serve(ctx context.Context, serving *server.Server, c *collector.Collector, sources *identity.Sources, secure *secureServing) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching sync.WaitGroup
	if secure != nil {
		watching.Go(func() { certificate.Run(ctx, certificate.Period, secure.watched...) })
	}
	watching.Go(func() { giveBackStart(ctx) })
	ticked := make(chan error, 1)
	go func() { ticked <- c.Run(ctx) }()
	named := make(chan struct{})
	go func() {
		defer close(named)
		_ = sources.Run(ctx) // it ends with ctx, and with nothing else
	}()
	err := serving.Run(ctx)
	cancel()
	watching.Wait()
	<-named
	return errors.Join(err, <-ticked)
}

// listeners are the bound ports and the socket; one that is off is nil.
type listeners struct{ healthz, readOnly, socket, secure net.Listener }

// listen binds what is on. Health that shares the read-only port has no listener of its own.
func (o *options) listen(ctx context.Context, secure bool) (listeners, error) {
	var l listeners
	for _, one := range []struct {
		on      bool
		address server.Address
		into    *net.Listener
	}{{secure, o.secure.address, &l.secure}, {true, o.readOnly, &l.readOnly}, {!o.sharesHealthz(), o.healthz, &l.healthz}} {
		if !one.on || one.address.Port == 0 {
			continue
		}
		listener, err := server.Listen(ctx, one.address)
		if err != nil {
			l.close()
			return listeners{}, err
		}
		*one.into = listener
	}
	if o.readOnlySocket != "" {
		var err error
		if l.socket, err = server.ListenUnix(ctx, o.readOnlySocket, "--read-only-socket"); err != nil {
			l.close()
			return listeners{}, err
		}
	}
	if l == (listeners{}) {
		return l, &usageError{errors.New("nothing to serve: --healthz-port and --read-only-port are both 0, --read-only-socket is not set, and the secure " +
			"port is off: it needs --secure-port, and --kubeconfig, a pod's account or --client-ca-file")}
	}
	return l, nil
}

// close gives the ports back. The server does so too, once it runs.
func (l listeners) close() {
	for _, listener := range []net.Listener{l.healthz, l.readOnly, l.socket, l.secure} {
		if listener != nil {
			_ = listener.Close() // closed already, if the server ran
		}
	}
}

func (l listeners) endpoints(serving *server.Server, a *agent, secure *secureServing) {
	routes := a.routes()
	mux := server.NewMux(a.index(), routes)
	if l.secure != nil {
		secured := server.NewMux(a.index(), slices.Concat(routes, a.securedRoutes()))
		serving.Add(server.Endpoint{Name: "secure", Listener: l.secure, Handler: secure.guard(secured), TLS: secure.tls})
	}
	if l.readOnly != nil {
		serving.Add(server.Endpoint{Name: "read-only", Listener: l.readOnly, Handler: mux})
	}
	if l.socket != nil {
		serving.Add(server.Endpoint{Name: "read-only socket", Listener: l.socket, Handler: mux})
	}
	if l.healthz != nil {
		serving.Add(server.Endpoint{Name: "healthz", Listener: l.healthz, Handler: server.NewMux(server.Index{}, a.probes()), Last: true})
	}
}
