package exporter

import "github.com/munnerz/goautoneg"

// Format is a text format of Prometheus.
type Format uint8

const (
	// Text is the text format 0.0.4.
	Text Format = iota
	// OpenMetrics is OpenMetrics 1.0.0.
	OpenMetrics
)

// ContentType is the value of the header.
func (f Format) ContentType() string {
	if f == OpenMetrics {
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// Negotiate picks the format that an Accept header prefers among those we write. Whoever wants something else, such
// as the protobuf format or an OpenMetrics before 1.0.0, gets text 0.0.4, which every scraper reads.
func Negotiate(accept string) Format {
	best, quality := Text, 0.0
	for _, clause := range goautoneg.ParseAccept(accept) {
		format, ok := spoken(clause)
		// The library's order breaks when a precise type has a lower quality than a wildcard, so only q counts here.
		if ok && clause.Q > quality {
			best, quality = format, clause.Q
		}
	}
	return best
}

func spoken(clause goautoneg.Accept) (Format, bool) {
	switch clause.Type + "/" + clause.SubType {
	case "application/openmetrics-text":
		version, given := clause.Params["version"]
		return OpenMetrics, !given || version == "1.0.0"
	case "text/plain", "text/*", "*/*":
		return Text, true
	}
	return Text, false
}
