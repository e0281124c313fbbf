package summary

import (
	"bytes"
	"encoding/json"
	"fmt"

	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// Encode returns the summary as the kubelet prints it: JSON, one blank for each level, without a newline at the end.
func Encode(summary *v1alpha1.Summary) ([]byte, error) { return Append(nil, summary) }

// Append appends what Encode returns to buffer.
func Append(buffer []byte, summary *v1alpha1.Summary) ([]byte, error) {
	out := bytes.NewBuffer(buffer)
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(summary); err != nil {
		return nil, fmt.Errorf("encode the summary: %w", err)
	}
	// The encoder ends with a newline, unlike the kubelet.
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), nil
}
