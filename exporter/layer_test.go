package exporter

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
)

// A kubelet gives network rows to sandboxes and the root alone: the containers share their sandbox's namespace.
func TestNetworkRowsAreTheSandboxes(t *testing.T) {
	var r Renderer
	got := parse(t, r.Cadvisor(smallSnapshot(), Options{Groups: snapshot.All, Now: time.Unix(1, 0)}), Text)
	ids := map[string]string{}
	for _, sample := range got.samples {
		if sample.name == "container_network_receive_bytes_total" {
			ids[sample.labels["id"]] = sample.labels["namespace"] + "/" + sample.labels["pod"] + "/" + sample.labels["container"]
		}
	}
	if diff := cmp.Diff(map[string]string{"/": "//", "/kubepods/pod1/c0": "default/web/"}, ids); diff != "" {
		t.Errorf("rows by id (-want +got):\n%s", diff)
	}
}

func TestContainerFilesystemsCanBeLeftOut(t *testing.T) {
	for _, without := range []bool{false, true} {
		o := HandlerOptions{Groups: snapshot.All, Now: fixedNow, NoContainerFilesystems: without}
		src := &source{s: smallSnapshot()}
		w := get(NewCadvisorHandler(src, o), "/x", "")
		if asked := src.wanted.Has(snapshot.Layers); asked == without {
			t.Errorf("without %v: the source was asked for layers: %v", without, asked)
		}
		got := parse(t, w.Body.Bytes(), Text)
		for name, want := range map[string]float64{
			"container_fs_usage_bytes": 28672, "container_fs_limit_bytes": 100 << 30,
			"container_fs_inodes_total": 1000, "container_fs_inodes_free": 900,
		} {
			key := name + ` container="app" device="/dev/vda" id="/kubepods/pod1/c1" image="registry/app:1" name="c1" namespace="default" pod="web"`
			if sample, ok := got.samples[key]; ok == without || ok && sample.value != want {
				t.Errorf("without %v: %s is there %v with %v, want %v", without, name, ok, sample.value, want)
			}
		}
	}
}

// A kept renderer must not show one node's pods to the next, nor keep them alive.
func TestRendererForgetsPods(t *testing.T) {
	var r Renderer
	bare := func() *snapshot.Snapshot {
		s := smallSnapshot()
		s.Pods = nil
		return s
	}
	for name, render := range map[string]func(*Renderer, *snapshot.Snapshot, Options) []byte{
		"cadvisor": (*Renderer).Cadvisor, "resource": (*Renderer).Resource,
	} {
		o := Options{Groups: snapshot.All, Now: time.Unix(1, 0)}
		render(&r, nodeOf(20), o)
		if len(r.encoder.layers) != 0 || len(r.pods) != 0 || len(r.containers) != 0 {
			t.Errorf("%s: the renderer keeps %d layers, %d pods, %d containers", name, len(r.encoder.layers), len(r.pods), len(r.containers))
		}
		for _, row := range r.pods[:cap(r.pods)] {
			if row.pod != nil {
				t.Errorf("%s: a used renderer still points to pod %s", name, row.pod.Name)
			}
		}
		for _, row := range r.containers[:cap(r.containers)] {
			if row.container != nil {
				t.Errorf("%s: a used renderer still points to container %s", name, row.container.Name)
			}
		}
		got := bytes.Clone(render(&r, bare(), o))
		if want := render(new(Renderer), bare(), o); !bytes.Equal(got, want) {
			t.Errorf("%s: a used renderer differs from a new one:\n%s", name, cmp.Diff(string(want), string(got)))
		}
	}
}
