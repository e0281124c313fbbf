package main

import (
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"
)

func TestLibrariesLogThroughZap(t *testing.T) {
	o := defaultOptions()
	var out output
	if _, err := o.newLogger(&out); err != nil {
		t.Fatal(err)
	}
	klog.Warning("from klog")
	klog.V(4).Info("too low for info")
	logrus.WithField("path", "/x").Warn("from logrus")
	logrus.Info("from logrus at info")
	for _, want := range []string{`"msg":"from klog"`, `"level":"warn"`, `"msg":"from logrus","path":"/x"`, `"msg":"from logrus at info"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "too low") {
		t.Errorf("a verbose line of klog was logged at info:\n%s", &out)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("got %d lines, want one an entry:\n%s", lines, &out)
	}
}
