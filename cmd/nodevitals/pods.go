package main

import (
	"errors"
	"net/http"

	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/podlist"
	"github.com/nodevitals/nodevitals/server"
)

func (o *options) podsFlag(group flagGroup) {
	group.flags.BoolVar(&o.servePods, "serve-pods", o.servePods, "serve the specs and states of this node's pods at /pods too, as a kubelet does, on the secure port alone; each answer is asked of the API server")
}

// checkPods tells whether /pods can be served if it is wanted.
func (o *options) checkPods(secure bool, sources *identity.Sources) error {
	switch {
	case !o.servePods:
		return nil
	case !secure:
		return wrong(errors.New("--serve-pods is for the secure port, which is off: it needs --secure-port, and --kubeconfig, a pod's account or --client-ca-file"))
	case sources.API() == nil:
		return wrong(errors.New("--serve-pods asks the API server for them: give --kubeconfig, and --pod-source=auto or api"))
	}
	return nil
}

// securedRoutes are those of the secure port alone. To be called once.
func (a *agent) securedRoutes() []server.Route {
	if !a.options.servePods {
		return nil
	}
	return []server.Route{{
		Path: podlist.Path, Methods: []string{http.MethodGet, http.MethodHead}, Title: "this node's pods as JSON, as the API server has them",
		Handler: a.counted(podlist.Path, podlist.Handler(a.answers, a.sources.API())),
	}}
}
