package main
import (
 _ "github.com/nodevitals/nodevitals/exporter"
 _ "github.com/prometheus/prometheus/promql/parser"
 _ "github.com/prometheus/client_golang/prometheus"
)
