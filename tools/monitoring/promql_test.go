package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// checker follows which labels an expression's series can have, and notes what is asked of families that lack it.
type checker struct {
	families map[string]*family
	// needs are those of all families that were asked for.
	needs map[string]bool
	wrong []string
}

func (c *checker) fault(format string, arguments ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, arguments...))
}

// check returns what is wrong with an expression, the labels that its series can have, and what its families need.
func check(families map[string]*family, expr string) (got labelSet, needs []string, wrong []string) {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil, nil, []string{err.Error()}
	}
	c := &checker{families: families, needs: map[string]bool{}}
	got = c.labels(parsed)
	return got, slices.Sorted(maps.Keys(c.needs)), c.wrong
}

// labels follows an expression from its selectors up.
func (c *checker) labels(expr parser.Expr) labelSet {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return c.labels(e.Expr)
	case *parser.UnaryExpr:
		return c.labels(e.Expr)
	case *parser.MatrixSelector:
		return c.labels(e.VectorSelector)
	case *parser.SubqueryExpr:
		return c.labels(e.Expr)
	case *parser.VectorSelector:
		return c.selected(e)
	case *parser.AggregateExpr:
		return c.aggregated(e)
	case *parser.BinaryExpr:
		return c.joined(e)
	case *parser.Call:
		got := labelSet{}
		for _, argument := range e.Args {
			maps.Copy(got, c.labels(argument))
		}
		return got
	case *parser.NumberLiteral, *parser.StringLiteral:
		return labelSet{}
	default:
		c.fault("no rule for %T", e)
		return labelSet{}
	}
}

func (c *checker) selected(e *parser.VectorSelector) labelSet {
	one := c.families[e.Name]
	if one == nil {
		c.fault("nodevitals has no family %q", e.Name)
		return labelSet{}
	}
	if one.needs != "" {
		c.needs[one.needs] = true
	}
	for _, m := range e.LabelMatchers {
		if m.Name != "__name__" && !one.labels[m.Name] {
			c.fault("%s has no label %s", e.Name, m.Name)
		}
	}
	return one.labels
}

// have notes names that a set lacks.
func (c *checker) have(set labelSet, names []string, of parser.Expr) {
	for _, name := range names {
		if !set[name] {
			c.fault("%s has no label %s", of, name)
		}
	}
}

func (c *checker) aggregated(e *parser.AggregateExpr) labelSet {
	inner := c.labels(e.Expr)
	c.have(inner, e.Grouping, e.Expr)
	if e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
		return inner
	}
	got := labelSet{}
	if e.Without {
		maps.Copy(got, inner)
	}
	for _, name := range e.Grouping {
		if e.Without {
			delete(got, name)
		} else {
			got[name] = true
		}
	}
	return got
}

func (c *checker) joined(e *parser.BinaryExpr) labelSet {
	left, right := c.labels(e.LHS), c.labels(e.RHS)
	matching := e.VectorMatching
	if matching == nil { // one side is a number
		return left.with(right)
	}
	if matching.On {
		c.have(left, matching.MatchingLabels, e.LHS)
		c.have(right, matching.MatchingLabels, e.RHS)
	} else if !maps.Equal(left, right) && e.Op != parser.LOR {
		// Without on, series match by all their labels: sides that have others never meet.
		c.fault("%s has labels %v, and %s has %v", e.LHS, left.names(), e.RHS, right.names())
	}
	many, one, oneExpr := left, right, e.RHS
	if matching.Card == parser.CardOneToMany {
		many, one, oneExpr = right, left, e.LHS
	}
	switch {
	case e.Op == parser.LOR:
		return left.with(right)
	case e.Op.IsSetOperator():
		return left
	case matching.Card == parser.CardOneToOne && matching.On:
		return setOf(matching.MatchingLabels...)
	}
	c.have(one, matching.Include, oneExpr)
	return many.with(setOf(matching.Include...))
}

// Grafana's own variables, as any query may use them.
var interval = strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1h")

var (
	legendLabel     = regexp.MustCompile(`\{\{ *(\w+) *\}\}`)
	annotationLabel = regexp.MustCompile(`\$labels\.(\w+)`)
	labelValues     = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
)

// Each panel asks for families and labels that there are, says what they need beyond the defaults, and names its series by labels that they have.
func TestPanelsAskForWhatThereIs(t *testing.T) {
	families := catalogue(t)
	for _, d := range dashboards {
		known := map[string]bool{}
		for _, v := range d.variables {
			known[v.name] = true
			match := labelValues.FindStringSubmatch(v.query)
			if match == nil {
				t.Errorf("%s: variable %s: %q is no label_values(SELECTOR, LABEL)", d.name, v.name, v.query)
				continue
			}
			got, _, wrong := check(families, match[1])
			for _, one := range wrong {
				t.Errorf("%s: variable %s: %s", d.name, v.name, one)
			}
			if !got[match[2]] {
				t.Errorf("%s: variable %s: %s has no label %s", d.name, v.name, match[1], match[2])
			}
		}
		for _, s := range d.sections {
			for _, p := range s.panels {
				checkPanel(t, families, d.name, &p, known)
			}
		}
	}
}

func checkPanel(t *testing.T, families map[string]*family, dashboard string, p *panel, variables map[string]bool) {
	for _, q := range p.queries {
		got, needs, wrong := check(families, interval.Replace(q.expr))
		for _, one := range wrong {
			t.Errorf("%s: panel %s: %s", dashboard, p, one)
		}
		for _, one := range needs {
			if !strings.Contains(p.needs, one) {
				t.Errorf("%s: panel %s uses what is there with %s only, and says that it needs %q", dashboard, p, one, p.needs)
			}
		}
		for _, match := range legendLabel.FindAllStringSubmatch(q.legend, -1) {
			if !got[match[1]] {
				t.Errorf("%s: panel %s: the legend %q names %s, and series have %v", dashboard, p, q.legend, match[1], got.names())
			}
		}
		for _, match := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(interval.Replace(q.expr), -1) {
			if !variables[match[1]] {
				t.Errorf("%s: panel %s: no variable is called $%s", dashboard, p, match[1])
			}
		}
		if p.look == graph && len(p.queries) > 1 && q.legend == "" {
			t.Errorf("%s: panel %s has lines without names", dashboard, p)
		}
	}
}

// Each rule asks for families and labels that there are, a recorded one too, and says of labels only what series have.
func TestRulesAskForWhatThereIs(t *testing.T) {
	families := catalogue(t)
	for _, r := range records {
		got, needs, wrong := check(families, r.expr)
		for _, one := range wrong {
			t.Errorf("record %s: %s", r.name, one)
		}
		if level, _, _ := strings.Cut(r.name, ":"); level != strings.Join(inOrder(got, level), "_") {
			t.Errorf("record %s has labels %v, which its level does not name", r.name, got.names())
		}
		if len(needs) > 1 {
			t.Errorf("record %s needs %v: more than one thing", r.name, needs)
		}
		families[r.name] = &family{labels: got, needs: strings.Join(needs, "")}
	}
	for _, group := range alertGroups {
		for _, a := range group.alerts {
			got, needs, wrong := check(families, a.expr)
			for _, one := range wrong {
				t.Errorf("alert %s: %s", a.name, one)
			}
			for _, one := range needs {
				if !strings.Contains(a.needs, one) {
					t.Errorf("alert %s uses what is there with %s only, and says that it needs %q", a.name, one, a.needs)
				}
			}
			for _, match := range annotationLabel.FindAllStringSubmatch(a.summary+a.description, -1) {
				if !got[match[1]] {
					t.Errorf("alert %s names label %s, and series have %v", a.name, match[1], got.names())
				}
			}
		}
	}
}

// neverZero are the families of which some can be divided by as they are.
var neverZero = regexp.MustCompile(`^(machine_cpu_cores|machine_memory_bytes|container_spec_cpu_period)$`)

// openDivisors are the divisors in an expression that may be 0, which makes NaN or Inf: a picture shows neither, and a comparison is false for NaN.
func openDivisors(t *testing.T, expr string) (open []string) {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		division, ok := node.(*parser.BinaryExpr)
		if !ok || division.Op != parser.DIV {
			return nil
		}
		divisor := division.RHS
		for paren, ok := divisor.(*parser.ParenExpr); ok; paren, ok = divisor.(*parser.ParenExpr) {
			divisor = paren.Expr
		}
		if guard, ok := divisor.(*parser.BinaryExpr); ok && guard.Op == parser.GTR && guard.RHS.String() == "0" {
			return nil
		}
		zero := false
		parser.Inspect(divisor, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok && !neverZero.MatchString(selector.Name) {
				zero = true
			}
			return nil
		})
		if zero {
			open = append(open, divisor.String())
		}
		return nil
	})
	return open
}

// Nothing is divided by what may be 0: a filesystem without a size, a container that nothing held back.
func TestDivisorsAreGuarded(t *testing.T) {
	count := 0
	judge := func(of, expr string) {
		count++
		for _, one := range openDivisors(t, interval.Replace(expr)) {
			t.Errorf("%s divides by %s, which may be 0: (… > 0)", of, one)
		}
	}
	for _, d := range dashboards {
		for _, s := range d.sections {
			for _, p := range s.panels {
				for _, q := range p.queries {
					judge(d.name+": panel "+p.title, q.expr)
				}
			}
		}
	}
	for _, r := range records {
		judge("record "+r.name, r.expr)
	}
	for _, group := range alertGroups {
		for _, a := range group.alerts {
			judge("alert "+a.name, a.expr)
		}
	}
	if count < 100 {
		t.Errorf("looked at %d expressions only", count)
	}
	for expr, want := range map[string]int{"a / b": 1, "a / (b > 0)": 0, "a / (b > 0) / c": 1, "1 - a / (max by (x) (b))": 1, "a / machine_cpu_cores": 0, "a / 5": 0} {
		if got := openDivisors(t, expr); len(got) != want {
			t.Errorf("%s: found %q, want %d", expr, got, want)
		}
	}
}

// inOrder is a set in the order in which a level, LABEL_LABEL, names it; labels that it does not name come last.
func inOrder(set labelSet, level string) []string {
	all := set.names()
	slices.SortStableFunc(all, func(a, b string) int {
		place := func(name string) int {
			if at := strings.Index("_"+level+"_", "_"+name+"_"); at >= 0 {
				return at
			}
			return len(level) + 1
		}
		return place(a) - place(b)
	})
	return all
}

// The check does find what is wrong.
func TestCheckFinds(t *testing.T) {
	families := catalogue(t)
	for expr, want := range map[string]string{
		`kube_pod_info`: "no family",
		`rate(container_cpu_usage_seconds_total{device="x"}[5m])`:                                    "no label device",
		`sum by (device) (container_memory_rss)`:                                                     "no label device",
		`max by (pod) (container_memory_rss) / on (node) max by (node) (container_memory_rss)`:       "no label node",
		`max by (pod) (container_memory_rss) / max by (namespace) (container_memory_rss)`:            "has labels",
		`container_memory_rss * on (instance) group_left (version) nodevitals_reader`:                "no label version",
		`sum by (group) (nodevitals_group_age_seconds`:                                               "parse error",
		`max by (pod) (container_memory_rss) and on (device) max by (device) (container_memory_rss)`: "no label device",
	} {
		if _, _, wrong := check(families, expr); !strings.Contains(strings.Join(wrong, "\n"), want) {
			t.Errorf("%s: found %q, want %q", expr, wrong, want)
		}
	}
	got, needs, wrong := check(families, `sum by (pod) (pod_ephemeral_storage_used_bytes) > 5`)
	if len(wrong) > 0 || !maps.Equal(got, labelSet{"pod": true}) || !slices.Equal(needs, []string{"--extra-series=ephemeral-storage"}) {
		t.Errorf("got %v, %v, %v", got, needs, wrong)
	}
}

// The rules that stand for the kubernetes-mixin's ask for what there is, too; what is of kube-state-metrics they record themselves.
func TestMixinAsksForWhatThereIs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "manifests/testdata/mixin.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file ruleFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	families := catalogue(t)
	for _, one := range families {
		one.labels = one.labels.with(setOf("cluster")) // who has several puts it on every target
	}
	for _, group := range file.Groups {
		for _, r := range group.Rules {
			got, needs, wrong := check(families, r.Expr)
			for _, one := range wrong {
				t.Errorf("%s: %s", r.Record, one)
			}
			if len(needs) > 0 {
				t.Errorf("%s needs %v", r.Record, needs)
			}
			families[r.Record] = &family{labels: got}
		}
	}
	if len(file.Groups) != 3 {
		t.Errorf("%d groups, want 3", len(file.Groups))
	}
}
