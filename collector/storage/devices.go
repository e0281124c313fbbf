package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
)

const (
	// nameLife is how long a device's name holds: numbers of removed disks go to new ones.
	nameLife = time.Minute
	// namelessLife is how long a device is known to have no name.
	namelessLife = 10 * time.Second
	// namesMost is how many names are kept; a node has some hundred devices.
	namesMost = 4096
)

// DeviceNames knows the names of block devices by number. It is safe for concurrent use.
type DeviceNames struct {
	hostRoot string
	now      func() time.Time

	mutex sync.Mutex
	names map[uint64]deviceName
}

type deviceName struct {
	name  string
	until time.Time
}

// NewDeviceNames makes a set of names, of which none is known yet.
func NewDeviceNames(hostRoot string) *DeviceNames {
	return &DeviceNames{hostRoot: hostRoot, now: time.Now, names: make(map[uint64]deviceName)}
}

// DeviceName returns the node of a block device, such as /dev/nvme0n1, from DEVNAME in /sys/dev/block/MAJOR:MINOR/uevent. It is
// empty where the kernel has no such device. Names are kept for a minute, without allocating; where the file cannot be
// read for another reason than that it is not there, the last known name stays.
func (d *DeviceNames) DeviceName(major, minor uint32) string {
	now := d.now()
	key := number(major, minor)
	d.mutex.Lock()
	defer d.mutex.Unlock()
	known, found := d.names[key]
	if found && now.Before(known.until) {
		return known.name
	}
	name, err := d.read(major, minor)
	if err != nil {
		name = known.name
	}
	life := nameLife
	if err != nil || name == "" {
		life = namelessLife
	}
	if !found && len(d.names) >= namesMost {
		clear(d.names)
	}
	d.names[key] = deviceName{name: name, until: now.Add(life)}
	return name
}

func (d *DeviceNames) read(major, minor uint32) (string, error) {
	text, err := os.ReadFile(filepath.Join(d.hostRoot, "sys/dev/block", fmt.Sprintf("%d:%d", major, minor), "uevent"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return parseDeviceName(text), nil
}

// parseDeviceName finds the device's node in a uevent file.
//
//	DEVNAME=nvme0n1
func parseDeviceName(text []byte) string {
	for len(text) > 0 {
		var line []byte
		line, text = hostfile.Line(text)
		if name, found := bytes.CutPrefix(line, []byte("DEVNAME=")); found && len(name) > 0 {
			return "/dev/" + string(name)
		}
	}
	return ""
}
