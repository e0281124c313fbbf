package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
)

// Rule is a recording rule or an alert, as Prometheus last evaluated it.
type Rule struct {
	// Name is that of the series or of the alert, Group that of the group which has it.
	Name, Group string
	// Type is "recording" or "alerting".
	Type string
	// Health is "unknown" before the first evaluation, then "ok" or "err", with LastError.
	Health, LastError string
	// State of an alert is "inactive", "pending" or "firing".
	State string
}

// Rules returns all rules, in the order of groups and files.
func (s *Server) Rules(ctx context.Context) ([]Rule, error) {
	text, err := s.Get(ctx, s.URL+"/api/v1/rules")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Groups []struct {
				Name  string
				Rules []Rule
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	var all []Rule
	for _, group := range answer.Data.Groups {
		for _, rule := range group.Rules {
			rule.Group = group.Name
			all = append(all, rule)
		}
	}
	return all, nil
}
