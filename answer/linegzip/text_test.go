package linegzip

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
)

// shape is what a generated text of metrics is like.
type shape struct {
	pods, families int
	// lacking is how many percent of the rows a family lacks, its own ones each.
	lacking int
	// sparse has every third family show one container of each pod alone.
	sparse bool
	// extra has every fourth family show each row with several values of another label.
	extra bool
	// timestamp ends each line.
	timestamp bool
	// open is OpenMetrics: with exemplars and an end.
	open bool
}

// shapes are those that tests go through, by name.
var shapes = map[string]shape{
	"one family":       {pods: 20, families: 1},
	"same rows":        {pods: 20, families: 8},
	"large":            {pods: 110, families: 12, sparse: true, extra: true},
	"rows are lacking": {pods: 20, families: 12, lacking: 20},
	"sparse families":  {pods: 20, families: 12, sparse: true},
	"extra labels":     {pods: 20, families: 12, extra: true},
	"timestamps":       {pods: 20, families: 8, timestamp: true},
	"OpenMetrics":      {pods: 20, families: 8, open: true, timestamp: true, sparse: true, extra: true, lacking: 5},
	"too many rows":    {pods: 600, families: 3},
}

// text generates a text of metrics, the same each time.
func (s shape) text() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for family := range s.families {
		name := fmt.Sprintf("container_%s_total", strings.Repeat("of_some_kind_", family%4)+string(rune('a'+family)))
		fmt.Fprintf(&b, "# HELP %s The help of this metric\n# TYPE %s counter\n", name, name)
		for pod := range s.pods {
			for container := range 4 {
				if random.IntN(100) < s.lacking || s.sparse && family%3 == 1 && container != 2 {
					continue
				}
				s.row(&b, random, name, family, pod, container)
			}
		}
	}
	if s.open {
		b.WriteString("# EOF\n")
	}
	return []byte(b.String())
}

// row writes the lines of one container in one family. The first container is the pod itself.
func (s shape) row(b *strings.Builder, random *rand.Rand, name string, family, pod, container int) {
	uid := sha256.Sum256([]byte{byte(pod), byte(pod >> 8)})
	id := fmt.Sprintf("/kubepods/burstable/pod%x-%x-%x-%x-%x", uid[:4], uid[4:6], uid[6:8], uid[8:10], uid[10:16])
	labels := fmt.Sprintf(`container="",id="%s",image="",name="",namespace="default",pod="load-%03d"`, id, pod)
	if container > 0 {
		own := fmt.Sprintf("%x", sha256.Sum256([]byte{byte(pod), byte(pod >> 8), byte(container)}))
		labels = fmt.Sprintf(`container="c%d",id="%s/%s",image="localhost/app:%d",name="%s",namespace="default",pod="load-%03d"`,
			container, id, own, container, own, pod)
	}
	extras := []string{""}
	if s.extra && family%4 == 3 {
		extras = []string{`,scope="container",type="pgfault"`, `,scope="container",type="pgmajfault"`, `,scope="hierarchy",type="pgfault"`}
	}
	for _, extra := range extras {
		value := random.Uint64() >> (24 + random.UintN(40)) * uint64(random.UintN(3)/2)
		fmt.Fprintf(b, "%s{%s%s} %d", name, labels, extra, value)
		if s.timestamp {
			b.WriteString(" 1795955853166")
		}
		if s.open && random.IntN(10) == 0 {
			fmt.Fprintf(b, ` # {trace_id="%x"} 1`, random.Uint32())
		}
		b.WriteByte('\n')
	}
}
