package exporter

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

func TestExclude(t *testing.T) {
	const on = snapshot.All &^ snapshot.Everywhere &^ snapshot.Process
	askForGroups(t, on, []groupsRequest{
		{"one", "?exclude[]=memory", 200, on &^ snapshot.Volumes &^ snapshot.Memory, "container_cpu_user", "container_memory_rss"},
		{"several", "?exclude[]=core&exclude[]=storage", 200, snapshot.Network | snapshot.Limits, "container_network", "container_threads "},
		{"already off", "?exclude[]=process", 200, on &^ snapshot.Volumes, "container_memory_rss", "container_sockets"},
		{"of collected ones", "?collect[]=core&exclude[]=psi", 200, snapshot.Core&^snapshot.Pressure | snapshot.Limits, "container_threads", "container_pressure"},
		{"limits, which CPU looks at", "?exclude[]=spec", 200, on &^ snapshot.Volumes, "container_cpu_cfs", "container_spec_"},
		{"unknown", "?exclude[]=memroy", 400, 0, `exclude[]: unknown group "memroy": know cpu`, "container_"},
		{"empty", "?exclude[]=", 400, 0, `exclude[]: unknown group ""`, "container_"},
		{"all that is collected", "?collect[]=cpu&exclude[]=cpu", 400, 0, "exclude[]: nothing is left", "container_"},
		{"everything", "?exclude[]=core&exclude[]=network&exclude[]=spec&exclude[]=storage", 400, 0, "exclude[]: nothing is left", "container_"},
	})
	askResourceForCPU(t, on, "exclude[]=memory&exclude[]=psi")
}

// A group of which the node was told to show nothing is a mistake of the scrape's configuration.
func TestCollectOfWhatIsLeftOut(t *testing.T) {
	h := NewCadvisorHandler(&source{s: smallSnapshot()}, HandlerOptions{Groups: snapshot.All, Series: mustSeries(t, SeriesOptions{Profile: "kubernetes"})})
	w := get(h, "/metrics/cadvisor?collect[]=psi", "")
	if body := w.Body.String(); w.Code != http.StatusBadRequest || !strings.Contains(body, "psi") || strings.Count(body, "\n") != 1 {
		t.Errorf("status %d, want 400 and one line about psi: %s", w.Code, body)
	}
	if w := get(h, "/metrics/cadvisor?collect[]=core", ""); w.Code != http.StatusOK {
		t.Errorf("status %d of core, want 200: %s", w.Code, w.Body)
	}
}

// The choice for /metrics/cadvisor leaves /metrics/resource alone.
func TestResourceIsWholeWhateverIsChosen(t *testing.T) {
	o := HandlerOptions{Groups: snapshot.All, Now: fixedNow}
	want := get(NewResourceHandler(&source{s: smallSnapshot()}, o), "/x", "").Body.String()
	o.Series = mustSeries(t, SeriesOptions{Allow: []string{"container_last_seen"}, Labels: []string{"id=drop"}, Slices: "none", MaxSeries: 1})
	if got := get(NewResourceHandler(&source{s: smallSnapshot()}, o), "/x", "").Body.String(); got != want {
		t.Errorf("differs:\n%s", got)
	}
}
