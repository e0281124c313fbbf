package report

import (
	"bytes"
	"fmt"
	"math"
	"os"
)

// The plot's measures in pixels.
const (
	plotWidth  = 860
	labelWidth = 190
	barHeight  = 16
	headHeight = 44
	growHeight = 240
	margin     = 20
)

// colours of the programs: dark enough on white, light enough on black, and apart for those who see no red or green.
var colours = map[string]string{Nodevitals: "#0072b2", NodevitalsPlain: "#56b4e9", NodevitalsKernel: "#009e73", Kubelet: "#d55e00", KubeletPlain: "#cc79a7", Cadvisor: "#e69f00", Reads: "#7f7f7f"}

// bar is one of the plot's left part.
type bar struct {
	label, program string
	value          float64
	note           string
}

// WritePlot draws a result as SVG: what each answer costs, on a logarithmic scale, and how the agent's cost grows.
func (r *Result) WritePlot(path string) error { return os.WriteFile(path, r.plot(), 0o644) }

func (r *Result) plot() []byte {
	var body bytes.Buffer
	height := headHeight
	groups := []struct {
		title string
		bars  []bar
	}{
		{"CPU milliseconds an answer", r.answerBars()},
		{"CPU milliseconds a second while nobody asks", r.programBars(func(p Program) float64 { return p.Idle.Median }, "")},
		{"CPU milliseconds a minute of the realistic schedule", r.programBars(func(p Program) float64 { return p.Schedule.Median }, "")},
		{"resident memory at most", r.programBars(func(p Program) float64 { return float64(p.Resident) / 1e6 }, " MB")},
	}
	for _, g := range groups {
		if len(g.bars) > 0 {
			height = drawBars(&body, g.title, g.bars, height)
		}
	}
	if len(r.Growth) > 1 {
		height = r.drawGrowth(&body, height)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, height)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, height)
	text(&out, margin, 24, "start", "bold", "What figures of a node cost (logarithmic scales)")
	out.Write(body.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

func (r *Result) answerBars() (all []bar) {
	for _, path := range []string{CadvisorPath, ResourcePath, SummaryPath} {
		for _, p := range r.Programs {
			if e := p.Endpoint(path); e.Path != "" {
				all = append(all, bar{label: path, program: p.Name, value: e.CPU.Median})
			}
		}
	}
	for _, e := range r.Program(Reads).Endpoints {
		all = append(all, bar{label: e.Path, program: Reads, value: e.CPU.Median})
	}
	return all
}

func (r *Result) programBars(of func(Program) float64, unit string) (all []bar) {
	for _, p := range r.Programs {
		if value := of(p); value > 0 && p.isProcess() {
			all = append(all, bar{program: p.Name, value: value, note: unit})
		}
	}
	return all
}

// drawBars draws below top, and returns where it ended.
func drawBars(out *bytes.Buffer, title string, bars []bar, top int) int {
	least, most := bars[0].value, bars[0].value
	for _, b := range bars {
		least, most = min(least, b.value), max(most, b.value)
	}
	// The shortest bar is a tenth of a decade long.
	start := math.Log10(max(least, 1e-3)) - 0.1
	space := float64(plotWidth - labelWidth - margin - 210)
	scale := space / max(math.Log10(max(most, 1e-3))-start, 0.1)
	text(out, margin, top+12, "start", "bold", title)
	top += 22
	last := ""
	for _, b := range bars {
		if b.label != last {
			text(out, labelWidth-8, top+12, "end", "normal", b.label)
			last = b.label
		}
		length := (math.Log10(max(b.value, 1e-3)) - start) * scale
		fmt.Fprintf(out, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, top+2, length, barHeight-3, colours[b.program])
		text(out, labelWidth+int(length)+6, top+13, "start", "normal", decimal(b.value)+b.note+"  "+b.program)
		top += barHeight
	}
	return top + margin
}

// drawGrowth draws milliseconds over cgroups, both logarithmic.
func (r *Result) drawGrowth(out *bytes.Buffer, top int) int {
	lines := []struct {
		name, colour string
		of           func(Growth) float64
	}{
		{"/metrics/cadvisor", colours[Nodevitals], func(g Growth) float64 { return g.Cadvisor.Median }},
		{"/metrics/resource", colours[NodevitalsPlain], func(g Growth) float64 { return g.Resource.Median }},
		{"bare reads", colours[Reads], func(g Growth) float64 { return g.Reads.Median }},
	}
	first, last := r.Growth[0], r.Growth[len(r.Growth)-1]
	least, most := math.Inf(1), math.Inf(-1)
	for _, g := range r.Growth {
		for _, line := range lines {
			least, most = min(least, line.of(g)), max(most, line.of(g))
		}
	}
	text(out, margin, top+12, "start", "bold", "CPU milliseconds over cgroups: nodevitals alone")
	top += 22
	width := float64(plotWidth - labelWidth - margin - 160)
	x := func(g Growth) float64 {
		return labelWidth + width*math.Log(float64(g.Cgroups)/float64(first.Cgroups))/math.Log(float64(last.Cgroups)/float64(first.Cgroups))
	}
	y := func(value float64) float64 {
		return float64(top+growHeight) - growHeight*math.Log(value/least)/math.Log(most/least)
	}
	for power := math.Ceil(math.Log10(least)); power <= math.Log10(most); power++ {
		at := y(math.Pow(10, power))
		fmt.Fprintf(out, `<line x1="%d" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", labelWidth, at, labelWidth+width, at)
		text(out, labelWidth-8, int(at)+4, "end", "normal", fmt.Sprintf("%g ms", math.Pow(10, power)))
	}
	for _, g := range r.Growth {
		text(out, int(x(g)), top+growHeight+18, "middle", "normal", fmt.Sprint(g.Cgroups))
	}
	for i, line := range lines {
		fmt.Fprintf(out, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, line.colour)
		for _, g := range r.Growth {
			fmt.Fprintf(out, "%.1f,%.1f ", x(g), y(line.of(g)))
		}
		fmt.Fprintln(out, `"/>`)
		fmt.Fprintf(out, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/>`+"\n", labelWidth+12, top+4+i*18, line.colour)
		text(out, labelWidth+30, top+14+i*18, "start", "normal", line.name)
	}
	return top + growHeight + 18 + margin
}

// text writes words, none of which has a character that SVG takes for its own.
func text(out *bytes.Buffer, x, y int, anchor, weight, words string) {
	fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="%s" font-weight="%s">%s</text>`+"\n", x, y, anchor, weight, words)
}
