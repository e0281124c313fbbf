package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// stepClock moves the machine's clock.
func stepClock(t *testing.T, by time.Duration) {
	t.Helper()
	now := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	if err := unix.Settimeofday(&now); err != nil {
		t.Fatalf("step the clock: %v", err)
	}
}

// A clock that is set, forth and back, moves timestamps and nothing else: counters go on, rates stay true, health stays well. It is the last
// test, as a cluster is not made for that.
func TestClockStep(t *testing.T) {
	needAgent(t)
	awaitPods(t)
	if os.Getenv(machineVariable) == "" {
		t.Skip("sets the machine's clock, and so runs in the emulated machine alone")
	}
	const burns = "pods[default/guaranteed].containers[first].cpu."
	for _, by := range []time.Duration{30 * time.Minute, -30 * time.Minute} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			before := apiAlone.mustSummary(t)
			stepClock(t, by)
			stepped := time.Now().Round(0)
			err := cluster.Await(t.Context(), weatherLimit, "a sample of now", func(ctx context.Context) error {
				now, err := apiAlone.summary(ctx)
				if err != nil {
					return err
				}
				total, rate := now[burns+"usageCoreNanoSeconds"], now[burns+"usageNanoCores"]
				if away := total.Taken.From.Sub(stepped).Abs(); away > 10*time.Minute {
					return fmt.Errorf("the newest sample is of %s, and it is %s", total.Taken.From, stepped)
				}
				if total.Number <= before[burns+"usageCoreNanoSeconds"].Number {
					return fmt.Errorf("the counter is %v after %v", total.Number, before[burns+"usageCoreNanoSeconds"].Number)
				}
				// It burns a fiftieth of a processor and may use a tenth.
				if rate.Number < 1e6 || rate.Number > 2e8 {
					return cluster.Stop(fmt.Errorf("the rate over the step is %v nanocores", rate.Number))
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			apiAlone.stillServes(t, before)
			apiAlone.readies(t)
			apiAlone.awaitHealth(t, "[+]collector")
		})
	}
}
