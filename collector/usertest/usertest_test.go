package usertest

import (
	"os"
	"testing"
)

// TestRunAsTellsWhatBecameOfIt: passed by the other user alone, which it sees by its own user.
func TestRunAsTellsWhatBecameOfIt(t *testing.T) {
	switch os.Geteuid() {
	case 0:
		RunAs(t, Nobody)
	case int(Nobody.Uid):
		if _, err := os.ReadDir("/root"); err == nil {
			t.Error("it reads root's folder")
		}
	default:
		t.Skip("needs root")
	}
}

func TestOutcome(t *testing.T) {
	for _, test := range []struct {
		name, output, skipped string
		wrong                 bool
	}{
		{"passed", "=== RUN   TestX\n--- PASS: TestX (0.00s)\nPASS\n", "", false},
		{"skipped", "=== RUN   TestX\n    x_test.go:7: hides nothing: really\n--- SKIP: TestX (0.00s)\nPASS\n", "hides nothing: really", false},
		{"another", "=== RUN   TestXY\n--- PASS: TestXY (0.00s)\nPASS\n", "", true},
		{"none", "testing: warning: no tests to run\nPASS\n", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			skipped, err := outcome("TestX", test.output)
			if skipped != test.skipped || (err != nil) != test.wrong {
				t.Errorf("got %q and %v, want %q and an error: %t", skipped, err, test.skipped, test.wrong)
			}
		})
	}
}
