// Package compare holds answers of nodevitals against those of a kubelet: what there is, and whether its figures can be true at the same moment.
//
// Both take their samples when they like, and a kubelet's are up to twenty seconds old. So a figure is never held against one
// of the other's alone: the kubelet is asked before and after, until its samples are older and newer than ours, and ours must lie between.
package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Document is one answer laid flat: each figure by its path. Elements of lists go by what they are called, so that an order says nothing:
//
//	pods[default/web].containers[app].cpu.usageNanoCores
type Document map[string]Figure

// Figure is one number or text of an answer.
type Figure struct {
	// Number is set if it is one, Text else.
	Number float64
	Text   string
	// Taken is when it was sampled, as far as the answer tells: some only to the second.
	Taken Moment
	// Since is the start of what it belongs to: a counter of another start is another counter. It may be empty.
	Since string
	// Asked says that the sample may have been taken for this very answer, as far as its time tells. See [Document.MarkAsked].
	Asked bool
}

// Moment is the span in which something happened.
type Moment struct{ From, To time.Time }

// Before tells whether a moment had passed before another began.
func (m Moment) Before(other Moment) bool { return m.To.Before(other.From) }

// ParseSummary lays the answer of /stats/summary flat.
func ParseSummary(text []byte) (Document, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var root map[string]any
	if err := decoder.Decode(&root); err != nil {
		return nil, fmt.Errorf("read a summary: %w", err)
	}
	d := Document{}
	if err := d.add("", root, Figure{}); err != nil {
		return nil, fmt.Errorf("read a summary: %w", err)
	}
	return d, nil
}

// add puts what lies below a path into the document. What is known of it from above comes in context.
func (d Document) add(path string, value any, context Figure) error {
	switch value := value.(type) {
	case map[string]any:
		if err := context.learn(value); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			below := key
			if path != "" {
				below = path + "." + key
			}
			if err := d.add(below, value[key], context); err != nil {
				return err
			}
		}
	case []any:
		for i, element := range value {
			name := path + "[" + nameOf(element, i) + "]"
			if err := d.add(name, element, context); err != nil {
				return err
			}
		}
	case json.Number:
		number, err := value.Float64()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		context.Number = number
		d[path] = context
	default:
		context.Text = fmt.Sprint(value)
		d[path] = context
	}
	return nil
}

// learn takes what an object says of all that lies in it.
func (f *Figure) learn(object map[string]any) error {
	if start, ok := object["startTime"].(string); ok {
		f.Since = start
	}
	text, ok := object["time"].(string)
	if !ok {
		return nil
	}
	taken, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return err
	}
	// Written to the second, cut off.
	f.Taken = Moment{taken, taken.Add(time.Second - 1)}
	return nil
}

// nameOf is what an element of a list is called.
func nameOf(element any, index int) string {
	object, _ := element.(map[string]any)
	if ref, ok := object["podRef"].(map[string]any); ok {
		return fmt.Sprint(ref["namespace"], "/", ref["name"])
	}
	if name, ok := object["name"].(string); ok {
		return name
	}
	return strconv.Itoa(index)
}

// Only returns what of the document lies below a prefix.
func (d Document) Only(prefix string) Document {
	part := Document{}
	for path, figure := range d {
		if strings.HasPrefix(path, prefix) {
			part[path] = figure
		}
	}
	return part
}

// MarkAsked marks the figures that were sampled while the answer was made, from the moment of asking to that of the answer.
func (d Document) MarkAsked(during Moment) {
	for path, figure := range d {
		figure.Asked = !figure.Taken.Before(during) && !during.Before(figure.Taken)
		d[path] = figure
	}
}

// PressureSince says that totals of pressure may have been added up by the kernel so much earlier than they were sampled, as those are that
// the reader in the kernel takes: see docs/fidelity.md.
func (d Document) PressureSince(earlier time.Duration) {
	for path, figure := range d {
		if totalOfPressure.MatchString(path) {
			figure.Taken.From = figure.Taken.From.Add(-earlier)
			d[path] = figure
		}
	}
}

var totalOfPressure = regexp.MustCompile(`\.psi\.(some|full)\.total$|^container_pressure_`)

// leaf is the last name of a path.
func leaf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
