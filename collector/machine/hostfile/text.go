package hostfile

import "bytes"

// Line splits off the first line, without its newline.
func Line(text []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(text, newline)
	return line, rest
}

var newline = []byte{'\n'}

// Word splits off the first word: what stands between blanks or tabs. It is empty where there is none.
func Word(text []byte) (word, rest []byte) {
	for len(text) > 0 && isBlank(text[0]) {
		text = text[1:]
	}
	for at, c := range text {
		if isBlank(c) {
			return text[:at], text[at:]
		}
	}
	return text, nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// Uint reads a decimal number below 2^64 that fills the whole word.
func Uint(word []byte) (number uint64, ok bool) {
	if len(word) == 0 {
		return 0, false
	}
	for _, c := range word {
		digit := uint64(c - '0')
		if c < '0' || c > '9' || number > (^uint64(0)-digit)/10 {
			return 0, false
		}
		number = number*10 + digit
	}
	return number, true
}
