package answer

import (
	"strconv"
	"strings"
)

// encoding is a content coding.
type encoding uint8

const (
	identity encoding = iota
	gzipped
	zstandard
)

var encodingNames = [...]string{identity: "identity", gzipped: "gzip", zstandard: "zstd"}

// String returns the name that HTTP has for it.
func (e encoding) String() string { return encodingNames[e] }

// named are the words of an Accept-Encoding header; x-gzip is gzip, says RFC 9110.
var named = map[string]encoding{"identity": identity, "gzip": gzipped, "x-gzip": gzipped, "zstd": zstandard}

// unsaid is the weight of what a header does not name.
const unsaid = -1

// negotiate picks the encoding that Accept-Encoding headers like best; of those liked equally, zstd before gzip before none: it is
// the cheapest for both sides. A wildcard stands for gzip and identity alone, since not everybody who writes one reads zstd. It returns
// false if the client accepts none of ours.
func negotiate(headers []string) (encoding, bool) {
	weights := [...]float64{identity: unsaid, gzipped: unsaid, zstandard: unsaid}
	rest := float64(unsaid)
	for _, header := range headers {
		for clause := range strings.SplitSeq(header, ",") {
			name, weight, ok := parseClause(clause)
			if !ok {
				continue
			}
			if e, known := named[name]; known {
				weights[e] = max(weights[e], weight)
			} else if name == "*" {
				rest = max(rest, weight)
			}
		}
	}
	for _, e := range []encoding{identity, gzipped} {
		if weights[e] == unsaid {
			weights[e] = rest
		}
	}
	best, most := identity, weights[identity]
	if most == unsaid {
		// Accepted where nothing is said against it, but liked less than what is asked for by name.
		most = minWeight
	}
	for _, e := range []encoding{gzipped, zstandard} {
		if weights[e] > 0 && weights[e] >= most {
			best, most = e, weights[e]
		}
	}
	return best, most > 0
}

// minWeight is below every weight that can be written, which have three decimals, and above 0.
const minWeight = 0.0001

// parseClause reads one clause, "gzip;q=0.5". It returns false for what is none.
func parseClause(clause string) (name string, weight float64, ok bool) {
	name, parameters, _ := strings.Cut(clause, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	weight = 1
	for parameter := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return "", 0, false
		}
		weight = q
	}
	return name, weight, name != ""
}
