package summary

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// byLibrary is what the kubelet's own encoder prints.
func byLibrary(t testing.TB, summary *v1alpha1.Summary) (string, error) {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", " ")
	err := encoder.Encode(summary)
	return string(bytes.TrimSuffix(out.Bytes(), []byte{'\n'})), err
}

// fill sets a value and all below it to something, or leaves it as it is.
func fill(random *rand.Rand, v reflect.Value) {
	if random.IntN(4) == 0 {
		return
	}
	if at, ok := reflect.TypeAssert[*metav1.Time](v.Addr()); ok {
		*at = metav1.Unix(random.Int64N(1<<33), random.Int64N(1e9))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(random, field)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(random, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), random.IntN(3), 3))
		for i := range v.Len() {
			fill(random, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": "<b>", "c": ""}))
	case reflect.String:
		v.SetString([]string{"web-0", "a b", `"quoted"`, "<&>", "ü\u2028\x01", "back\\slash", "\xff"}[random.IntN(7)])
	case reflect.Uint64:
		v.SetUint(random.Uint64() >> random.IntN(64))
	case reflect.Int64:
		v.SetInt(int64(random.Uint64()))
	case reflect.Float64:
		v.SetFloat([]float64{0, 1, -1.5, 0.25, 1e-7, 1e21, 123456789.125, math.MaxFloat64, math.SmallestNonzeroFloat64}[random.IntN(9)])
	default:
		panic("the summary has a kind that this test does not fill: " + v.Type().String())
	}
}

// Whatever a summary holds is printed as the library prints it.
func TestAppendPrintsWhatTheLibraryPrints(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var summary v1alpha1.Summary
		fill(random, reflect.ValueOf(&summary).Elem())
		want, err := byLibrary(t, &summary)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Append([]byte("before"), &summary)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff("before"+want, string(got)); diff != "" {
			t.Fatalf("(-library +ours):\n%s", diff)
		}
	}
}

// A number that JSON has not is an error, as the library has it.
func TestAppendErrsWhereTheLibraryDoes(t *testing.T) {
	for _, number := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		summary := v1alpha1.Summary{Node: v1alpha1.NodeStats{CPU: &v1alpha1.CPUStats{
			Time: metav1.Time{Time: time.Unix(1, 0)}, PSI: &v1alpha1.PSIStats{Full: v1alpha1.PSIData{Avg10: number}},
		}}}
		if _, err := byLibrary(t, &summary); err == nil {
			t.Fatalf("the library prints %v", number)
		}
		if text, err := Append(nil, &summary); err == nil {
			t.Errorf("%v: got %s, want an error", number, text)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	rendered := Render(manyPods(110), Options{}, false)
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buffer, err = Append(buffer[:0], rendered); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendByLibrary(b *testing.B) {
	rendered := Render(manyPods(110), Options{}, false)
	for b.Loop() {
		if _, err := byLibrary(b, rendered); err != nil {
			b.Fatal(err)
		}
	}
}
