package e2e

import (
	"context"
	"fmt"
	"net/http"
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

// steppedAgent starts an agent with a secure port for the length of a test, and returns how two ask it whom it knows by then: one by a certificate,
// one by a token that was reviewed.
func steppedAgent(t *testing.T) map[string]func(context.Context) (answer, error) {
	t.Helper()
	const name, port = "nodevitals-stepped", "20452"
	p, err := node.Start(t.Context(), secureAgent(name, port, "http://127.0.0.1:20446/healthz"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.End(p); err != nil {
			t.Error(err)
		}
	})
	administrator, scraping := admin(t), sender{token: tokenOf(t, scraper(t, "e2e-stepped"))}
	known := map[string]func(context.Context) (answer, error){
		"the administrator's certificate": func(ctx context.Context) (answer, error) { return administrator.at(ctx, name, port, "/stats/summary") },
		"a kept token":                    func(ctx context.Context) (answer, error) { return scraping.at(ctx, name, port, "/metrics/resource") },
	}
	for who, ask := range known {
		err := cluster.Await(t.Context(), weatherLimit, "status 200 for "+who, func(ctx context.Context) error {
			got, err := ask(ctx)
			if err == nil && got.status != http.StatusOK {
				err = fmt.Errorf("answered %d %.200s", got.status, got.body)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return known
}

// A clock that is set, forth and back, moves timestamps and nothing else: counters go on, rates stay true, health stays well. It is the last
// test, as a cluster is not made for that.
func TestClockStep(t *testing.T) {
	needAgent(t)
	awaitPods(t)
	if os.Getenv(machineVariable) == "" {
		t.Skip("sets the machine's clock, and so runs in the emulated machine alone")
	}
	known := steppedAgent(t)
	const burns = "pods[default/guaranteed].containers[first].cpu."
	for _, by := range []time.Duration{30 * time.Minute, -30 * time.Minute} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			before := apiAlone.mustSummary(t)
			stepClock(t, by)
			stepped := time.Now().Round(0)
			err := cluster.Await(t.Context(), weatherLimit, "a sample of now", func(ctx context.Context) error {
				// A certificate is as valid as before, and so is what is kept of a token.
				for name, ask := range known {
					got, err := ask(ctx)
					if err != nil {
						return cluster.Stop(fmt.Errorf("the secure port, asked with %s: %w", name, err))
					}
					if got.status != http.StatusOK {
						return cluster.Stop(fmt.Errorf("the secure port answers %d %.200s to %s, want 200", got.status, got.body, name))
					}
				}
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
