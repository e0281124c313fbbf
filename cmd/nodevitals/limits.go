package main

import "github.com/nodevitals/nodevitals/server"

func (o *options) limitFlags(group flagGroup) {
	group.flags.IntVar(&o.maxConnections, "max-connections", o.maxConnections, "`number` of connections that a port keeps at a time; beyond it the longest idle one is closed, or else the new one")
}

func (o *options) validateLimits() error {
	if o.maxConnections < 1 {
		return bad("--max-connections", o.maxConnections, "at least 1")
	}
	return nil
}

// limits are those of every port.
func (o *options) limits() server.Limits {
	limits := server.DefaultLimits()
	limits.Connections = o.maxConnections
	return limits
}
