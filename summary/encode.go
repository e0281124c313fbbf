package summary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// Encode returns the summary as the kubelet prints it: JSON, one blank for each level, without a newline at the end. It errs where
// [json.Marshal] does, for a number that JSON has not.
func Encode(summary *v1alpha1.Summary) ([]byte, error) { return Append(nil, summary) }

// Append appends what Encode returns to buffer.
//
// What is printed is what [json.Encoder] prints, byte by byte, at a ninth of its cost (BenchmarkAppend, BenchmarkAppendByLibrary): that one prints
// without indentation first, and then all of it once more, and has text made of every time.
func Append(buffer []byte, summary *v1alpha1.Summary) ([]byte, error) {
	p := printer{buffer: buffer}
	printSummary(&p, reflect.ValueOf(summary).Elem())
	if p.err != nil {
		return nil, fmt.Errorf("encode the summary: %w", p.err)
	}
	return p.buffer, nil
}

// pieceSize is the length in bytes from which what is printed is handed on.
const pieceSize = 16 << 10

// handOn writes what there is, unless something went wrong.
func (p *printer) handOn() {
	if p.err == nil {
		_, p.err = p.to.Write(p.buffer)
	}
	p.buffer = p.buffer[:0]
}

// printer is one run of printing.
type printer struct {
	// to gets pieces of buffer; nil: all of it stays there.
	to     io.Writer
	buffer []byte
	// depth is the number of levels that are open.
	depth int
	// err is the first error, after which what is printed is of no use.
	err error
}

// printing prints a value of one type.
type printing func(*printer, reflect.Value)

// printSummary is made once, of the published types.
var printSummary = printingOf(reflect.TypeFor[v1alpha1.Summary]())

// printingOf is how values of a type are printed. A type that the summary does not have by now is left to [json.Marshal].
func printingOf(t reflect.Type) printing {
	switch {
	case t == reflect.TypeFor[metav1.Time]():
		return printTime
	case t.Kind() == reflect.Struct:
		return printStruct(t)
	case t.Kind() == reflect.Pointer:
		element := printingOf(t.Elem())
		return func(p *printer, v reflect.Value) {
			if v.IsNil() {
				p.buffer = append(p.buffer, "null"...)
				return
			}
			element(p, v.Elem())
		}
	case t.Kind() == reflect.Slice:
		return printSlice(t)
	case t.Kind() == reflect.String:
		return func(p *printer, v reflect.Value) { p.text(v.String()) }
	case t.Kind() == reflect.Uint64:
		return func(p *printer, v reflect.Value) { p.buffer = strconv.AppendUint(p.buffer, v.Uint(), 10) }
	case t.Kind() == reflect.Int64:
		return func(p *printer, v reflect.Value) { p.buffer = strconv.AppendInt(p.buffer, v.Int(), 10) }
	case t.Kind() == reflect.Float64:
		return func(p *printer, v reflect.Value) { p.float(v.Float()) }
	}
	return func(p *printer, v reflect.Value) { p.other(v.Interface()) }
}

// member is a field of a struct, or of one that is embedded in it.
type member struct {
	of        reflect.Type
	index     []int
	key       string // as it is printed, with what follows it
	omitEmpty bool
	print     printing
}

// membersOf are those that are printed, in order.
func membersOf(t reflect.Type, index []int) (all []member) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(append([]int(nil), index...), i)
		if f.Anonymous && name == "" {
			all = append(all, membersOf(f.Type, at)...)
			continue
		}
		all = append(all, member{f.Type, at, strconv.Quote(name) + ": ", options == "omitempty", printingOf(f.Type)})
	}
	return all
}

func printStruct(t reflect.Type) printing {
	members := membersOf(t, nil)
	return func(p *printer, v reflect.Value) {
		first := true
		for i := range members {
			m := &members[i]
			one := v.FieldByIndex(m.index)
			if m.omitEmpty && empty(one) {
				continue
			}
			p.next('{', first)
			first = false
			p.buffer = append(p.buffer, m.key...)
			m.print(p, one)
		}
		p.end('{', '}', first)
	}
}

func printSlice(t reflect.Type) printing {
	element := printingOf(t.Elem())
	return func(p *printer, v reflect.Value) {
		if v.IsNil() {
			p.buffer = append(p.buffer, "null"...)
			return
		}
		for i := range v.Len() {
			p.next('[', i == 0)
			element(p, v.Index(i))
		}
		p.end('[', ']', v.Len() == 0)
	}
}

// empty is what omitempty leaves out, of the kinds that the summary has it for.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil()
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

// next begins the next of several values, the first of which opens them.
func (p *printer) next(open byte, first bool) {
	if first {
		p.buffer = append(p.buffer, open)
		p.depth++
	} else {
		p.buffer = append(p.buffer, ',')
	}
	p.line()
}

// end closes several values, or prints that there are none.
func (p *printer) end(open, shut byte, none bool) {
	if none {
		p.buffer = append(p.buffer, open, shut)
		return
	}
	p.depth--
	p.line()
	p.buffer = append(p.buffer, shut)
}

// blanks are more than there are levels.
const blanks = "                                "

func (p *printer) line() {
	if p.to != nil && len(p.buffer) >= pieceSize {
		p.handOn()
	}
	p.buffer = append(p.buffer, '\n')
	p.buffer = append(p.buffer, blanks[:p.depth]...)
}

func printTime(p *printer, v reflect.Value) {
	t, _ := reflect.TypeAssert[*metav1.Time](v.Addr()) // of that type alone
	if t.IsZero() {
		p.buffer = append(p.buffer, "null"...)
		return
	}
	p.buffer = append(p.buffer, '"')
	p.buffer = t.UTC().AppendFormat(p.buffer, time.RFC3339)
	p.buffer = append(p.buffer, '"')
}

func (p *printer) text(text string) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			p.other(text)
			return
		}
	}
	p.buffer = append(p.buffer, '"')
	p.buffer = append(p.buffer, text...)
	p.buffer = append(p.buffer, '"')
}

func (p *printer) float(f float64) {
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) || math.IsNaN(f) {
		p.other(f)
		return
	}
	p.buffer = strconv.AppendFloat(p.buffer, f, 'f', -1, 64)
}

// other prints by the library what is rare, or never there.
func (p *printer) other(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		if p.err == nil {
			p.err = err
		}
		return
	}
	out := bytes.NewBuffer(p.buffer)
	if err := json.Indent(out, text, blanks[:p.depth], " "); err != nil && p.err == nil {
		p.err = err
	}
	p.buffer = out.Bytes()
}
