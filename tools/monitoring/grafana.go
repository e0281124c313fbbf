package main

import (
	"encoding/json"
	"strconv"
)

// The types of Grafana's JSON, as far as it is used here. Fields are in the order of the alphabet, as Grafana writes them.

type grafanaDashboard struct {
	Annotations   grafanaList[struct{}]        `json:"annotations"`
	Description   string                       `json:"description"`
	Editable      bool                         `json:"editable"`
	GraphTooltip  int                          `json:"graphTooltip"`
	Links         []grafanaLink                `json:"links"`
	Panels        []grafanaPanel               `json:"panels"`
	Refresh       string                       `json:"refresh"`
	SchemaVersion int                          `json:"schemaVersion"`
	Tags          []string                     `json:"tags"`
	Templating    grafanaList[grafanaVariable] `json:"templating"`
	Time          grafanaTime                  `json:"time"`
	Timezone      string                       `json:"timezone"`
	Title         string                       `json:"title"`
	UID           string                       `json:"uid"`
}

type grafanaList[T any] struct {
	List []T `json:"list"`
}

type grafanaTime struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type grafanaLink struct {
	AsDropdown  bool     `json:"asDropdown"`
	IncludeVars bool     `json:"includeVars"`
	KeepTime    bool     `json:"keepTime"`
	Tags        []string `json:"tags"`
	Title       string   `json:"title"`
	Type        string   `json:"type"`
}

type grafanaSource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type grafanaVariable struct {
	AllValue   string         `json:"allValue,omitempty"`
	Datasource *grafanaSource `json:"datasource,omitempty"`
	Definition string         `json:"definition,omitempty"`
	IncludeAll bool           `json:"includeAll"`
	Label      string         `json:"label"`
	Multi      bool           `json:"multi"`
	Name       string         `json:"name"`
	Query      any            `json:"query"`
	Refresh    int            `json:"refresh"`
	Sort       int            `json:"sort,omitempty"`
	Type       string         `json:"type"`
}

type grafanaPlace struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type grafanaPanel struct {
	Collapsed   *bool           `json:"collapsed,omitempty"`
	Datasource  *grafanaSource  `json:"datasource,omitempty"`
	Description string          `json:"description,omitempty"`
	FieldConfig *grafanaFields  `json:"fieldConfig,omitempty"`
	GridPos     grafanaPlace    `json:"gridPos"`
	ID          int             `json:"id"`
	Options     json.RawMessage `json:"options,omitempty"`
	Targets     []grafanaTarget `json:"targets,omitempty"`
	Title       string          `json:"title"`
	Transforms  json.RawMessage `json:"transformations,omitempty"`
	Type        string          `json:"type"`
}

type grafanaFields struct {
	Defaults  grafanaDefaults `json:"defaults"`
	Overrides []struct{}      `json:"overrides"`
}

type grafanaDefaults struct {
	Custom json.RawMessage `json:"custom,omitempty"`
	Min    *int            `json:"min,omitempty"`
	Unit   unit            `json:"unit"`
}

type grafanaTarget struct {
	Datasource   grafanaSource `json:"datasource"`
	EditorMode   string        `json:"editorMode"`
	Expr         string        `json:"expr"`
	Format       string        `json:"format,omitempty"`
	Instant      bool          `json:"instant"`
	LegendFormat string        `json:"legendFormat"`
	Range        bool          `json:"range"`
	RefID        string        `json:"refId"`
}

// source is the data source that the user picks.
var source = grafanaSource{Type: "prometheus", UID: "${datasource}"}

// What Grafana's plugin of each look is called, how it is set up, and how high its panels are.
var looks = [...]struct {
	plugin, options, transforms string
	height                      int
}{
	graph: {
		plugin: "timeseries", height: 8,
		options: `{"legend":{"calcs":[],"displayMode":"list","placement":"bottom","showLegend":true},"tooltip":{"mode":"multi","sort":"desc"}}`,
	},
	number: {
		plugin: "stat", height: 4,
		options: `{"colorMode":"none","graphMode":"none","justifyMode":"auto","orientation":"auto",` +
			`"reduceOptions":{"calcs":["lastNotNull"],"fields":"","values":false},"textMode":"auto"}`,
	},
	table: {
		plugin: "table", height: 8,
		options:    `{"cellHeight":"sm","showHeader":true}`,
		transforms: `[{"id":"organize","options":{"excludeByName":{"Time":true}}}]`,
	},
}

const (
	lines = `{"fillOpacity":10,"lineWidth":1,"showPoints":"never","stacking":{"group":"A","mode":"none"}}`
	stack = `{"fillOpacity":40,"lineWidth":1,"showPoints":"never","stacking":{"group":"A","mode":"normal"}}`
)

// pageWidth is Grafana's number of columns.
const pageWidth = 24

// grafana is the dashboard as Grafana reads it.
func (d *dashboard) grafana() *grafanaDashboard {
	g := &grafanaDashboard{
		Annotations: grafanaList[struct{}]{List: []struct{}{}}, Description: d.about, Editable: true, GraphTooltip: 1,
		Links: []grafanaLink{{
			AsDropdown: true, IncludeVars: true, KeepTime: true, Tags: []string{"nodevitals"}, Title: "nodevitals", Type: "dashboards",
		}},
		Refresh: "1m", SchemaVersion: 39, Tags: []string{"nodevitals"},
		Time: grafanaTime{"now-1h", "now"}, Timezone: "browser", Title: "nodevitals / " + d.title, UID: "nodevitals-" + d.name,
	}
	g.Templating.List = append(g.Templating.List, grafanaVariable{
		Label: "Data source", Name: "datasource", Query: "prometheus", Refresh: 1, Type: "datasource",
	})
	for _, v := range d.variables {
		g.Templating.List = append(g.Templating.List, v.grafana())
	}
	y := 0
	for _, s := range d.sections {
		g.Panels = append(g.Panels, grafanaPanel{
			Collapsed: new(bool), GridPos: grafanaPlace{H: 1, W: pageWidth, Y: y}, ID: len(g.Panels) + 1, Title: s.title, Type: "row",
		})
		y++
		x, height := 0, 0
		for _, p := range s.panels {
			if x+p.width > pageWidth {
				x, y, height = 0, y+height, 0
			}
			shown := p.grafana()
			shown.ID = len(g.Panels) + 1
			shown.GridPos = grafanaPlace{H: looks[p.look].height, W: p.width, X: x, Y: y}
			g.Panels = append(g.Panels, shown)
			x, height = x+p.width, max(height, looks[p.look].height)
		}
		y += height
	}
	return g
}

func (v *variable) grafana() grafanaVariable {
	g := grafanaVariable{
		Datasource: &source, Definition: v.query, Label: v.label, Name: v.name, Refresh: 2, Sort: 1, Type: "query",
		Query: map[string]string{"query": v.query, "refId": "variable-" + v.name},
	}
	if v.several {
		// What is picked when all are: also those without the label, and faster than a list of all names.
		g.AllValue, g.IncludeAll, g.Multi = ".*", true, true
	}
	return g
}

func (p *panel) grafana() grafanaPanel {
	look := looks[p.look]
	g := grafanaPanel{
		Datasource: &source, Description: p.about, Title: p.title, Type: look.plugin, Options: json.RawMessage(look.options),
		FieldConfig: &grafanaFields{Defaults: grafanaDefaults{Unit: p.unit}, Overrides: []struct{}{}},
	}
	if p.needs != "" {
		g.Description += " " + p.needs
	}
	if look.transforms != "" {
		g.Transforms = json.RawMessage(look.transforms)
	}
	if p.look == graph {
		g.FieldConfig.Defaults.Min = new(int)
		g.FieldConfig.Defaults.Custom = json.RawMessage(lines)
		if p.stack {
			g.FieldConfig.Defaults.Custom = json.RawMessage(stack)
		}
	}
	for i, q := range p.queries {
		target := grafanaTarget{
			Datasource: source, EditorMode: "code", Expr: q.expr, LegendFormat: q.legend, Range: p.look == graph, Instant: p.look != graph,
			RefID: string(rune('A' + i)),
		}
		if p.look == table {
			target.Format = "table"
		}
		g.Targets = append(g.Targets, target)
	}
	return g
}

// String is for messages of tests.
func (p *panel) String() string { return strconv.Quote(p.title) }
