package volume

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A hundred pods of five volumes: a reading that has nothing to measure, one that measures logs, and one that measures all.
func BenchmarkRead(b *testing.B) {
	h := newTestHost(b)
	pods := make([]Pod, 100)
	for i := range pods {
		uid := fmt.Sprintf("uid-%d", i)
		dir := podsDir + "/" + uid + "/volumes/kubernetes.io~"
		for _, place := range []string{"empty-dir/a", "empty-dir/b", "configmap/c", "configmap/d"} {
			h.write(dir+place+"/..data/file", 1)
		}
		h.mount(dir+"projected/token", fmt.Sprintf("0:%d", 100+i))
		h.write(podsDir+"/"+uid+"/etc-hosts", 1)
		h.write(DefaultLogDir+"/ns_pod_"+uid+"/app/0.log", 1)
		pods[i] = Pod{UID: uid, LogUID: uid, Namespace: "ns", Name: "pod", Containers: []string{"app"}, Volumes: []Spec{
			{Name: "a", Plugin: EmptyDir},
			{Name: "b", Plugin: EmptyDir},
			{Name: "c", Plugin: ConfigMap},
			{Name: "d", Plugin: ConfigMap},
			{Name: "token", Plugin: Projected},
		}}
	}
	for _, step := range []time.Duration{0, DefaultLogMaxAge, DefaultVolumeMaxAge} {
		b.Run("after "+step.String(), func(b *testing.B) {
			r := h.reader(Options{Inodes: 1 << 30})
			now := clock
			if _, err := r.Read(b.Context(), pods, now); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				now = now.Add(step)
				if _, err := r.Read(b.Context(), pods, now); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}

// cpu returns the nanoseconds that this process has run.
func cpu(b *testing.B) int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}
