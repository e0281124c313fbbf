package identity

import (
	"fmt"
	"runtime"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// BenchmarkResolve resolves the cgroups of a node with 110 pods when nothing has changed.
func BenchmarkResolve(b *testing.B) {
	x := NewIndex()
	paths := fill(x, 110)
	for _, path := range paths {
		x.Resolve(path)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		x.Resolve(paths[i%len(paths)])
	}
}

// BenchmarkMemory tells what an index keeps for each pod of two containers, their identities included.
func BenchmarkMemory(b *testing.B) {
	const pods = 1000
	for b.Loop() {
		before := heap()
		x := NewIndex()
		for _, path := range fill(x, pods) {
			x.Resolve(path)
		}
		b.ReportMetric(float64(heap()-before)/pods, "B/pod")
		runtime.KeepAlive(x)
	}
}

// fill tells an index of pods and returns the paths of their cgroups.
func fill(x *Index, pods int) []string {
	var paths []string
	for i := range pods {
		app, mesh, sandbox := fmt.Sprintf("%064x", 3*i), fmt.Sprintf("%064x", 3*i+1), fmt.Sprintf("%064x", 3*i+2)
		pod := podOf(fmt.Sprintf("web-%d", i), "app", app, "mesh", mesh)
		pod.UID = types.UID(fmt.Sprintf("%08x-0000-4000-8000-000000000000", i))
		x.put(fromAPI, fromPod(pod))
		path := "/kubepods/burstable/pod" + string(pod.UID)
		paths = append(paths, path, path+"/"+app, path+"/"+mesh, path+"/"+sandbox)
	}
	return paths
}
