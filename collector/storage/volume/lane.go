package volume

import (
	"slices"
	"sync"
	"time"
)

const (
	// slice is how many entries a walk looks at before another one has its turn.
	slice = 500
	// maxBegun is how many walks may wait in the middle of their tree. Each has up to 9 folders open.
	maxBegun = 8
	// maxStuck is how many workers of a lane may wait for filesystems that hang; each is a thread of the process. Since a
	// filesystem that hangs is not asked again, it is also the number of such filesystems.
	maxStuck = 64
)

// task is something that is measured again and again.
type task struct {
	lane *lane
	// device is the filesystem that it asks, what is for errors: such as the path.
	device, what string
	// make makes the job.
	make func() job
	// asked is the time of the reading that last asked for it.
	asked time.Time
	// busy: it is in the queue or with a worker.
	busy bool
	// awaited: a reading waits for it.
	awaited bool
	// dropped: nobody wants to know any more.
	dropped bool
	// answered: it has been done once, and took this long the last time.
	answered bool
	took     time.Duration
	// job is under way since began.
	job   job
	began time.Time
	// err is what was wrong the last time.
	err error
}

// lane is a queue and the workers that serve it. Work of one kind has a lane, so that long walks hold up nothing that is quick.
// All of it is guarded by the reader's mutex.
type lane struct {
	mutex *sync.Mutex
	// closing ends rests.
	closing <-chan struct{}
	// limit is the number of workers that are not stuck.
	limit int
	// patience is how long a worker may be without an answer before it counts as stuck, and another takes its place.
	patience time.Duration
	// budget is nil where work is not counted.
	budget *budget
	// idle: workers read the disk only when nobody else does.
	idle bool

	closed  bool
	queue   []*task
	workers []*worker
	// settled is called for each task that is done.
	settled func(*task)
}

// worker is a goroutine.
type worker struct {
	task  *task
	since time.Time
	stuck bool
}

// add puts a task in the queue.
func (l *lane) add(t *task) {
	t.busy = true
	l.queue = append(l.queue, t)
	l.staff()
}

// staff starts a worker if there may be work for one.
func (l *lane) staff() {
	stuck := l.stuck()
	if l.closed || len(l.queue) == 0 || len(l.workers)-stuck >= l.limit || stuck >= maxStuck {
		return
	}
	w := new(worker)
	l.workers = append(l.workers, w)
	go l.work(w)
}

func (l *lane) stuck() int {
	stuck := 0
	for _, w := range l.workers {
		if w.stuck {
			stuck++
		}
	}
	return stuck
}

// relieve notes which workers are stuck, and has others take their place.
func (l *lane) relieve(now time.Time) {
	for _, w := range l.workers {
		if w.task != nil && !w.stuck && now.Sub(w.since) >= l.patience {
			w.stuck = true
			l.staff()
		}
	}
}

// hangs reports whether a worker is stuck on a device.
func (l *lane) hangs(device string) bool {
	return slices.ContainsFunc(l.workers, func(w *worker) bool { return w.stuck && w.task != nil && w.task.device == device })
}

// pick takes the next task off the queue, or returns nil.
func (l *lane) pick() *task {
	begun := 0
	for _, t := range l.queue {
		if t.job != nil {
			begun++
		}
	}
	for i, t := range l.queue {
		if l.hangs(t.device) || t.job == nil && begun >= maxBegun {
			continue
		}
		l.queue = slices.Delete(l.queue, i, i+1)
		return t
	}
	return nil
}

// work does what is in the queue. It ends when there is nothing to do, or when its place has been taken.
func (l *lane) work(w *worker) {
	if l.idle {
		defer idle()()
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for !l.closed && !w.stuck {
		t := l.pick()
		if t == nil {
			break
		}
		w.task, w.since = t, time.Now()
		if t.job == nil {
			t.job, t.began = t.make(), w.since
		}
		l.mutex.Unlock()
		entries, done := t.job.step()
		l.mutex.Lock()
		w.task = nil
		l.put(t, done)
		if rest := l.budget.charge(entries, time.Now()); rest > 0 && !w.stuck {
			l.mutex.Unlock()
			l.rest(rest)
			l.mutex.Lock()
		}
	}
	l.workers = slices.DeleteFunc(l.workers, func(other *worker) bool { return other == w })
	if w.stuck {
		// What its filesystem kept waiting can go on.
		l.staff()
	}
}

// put takes a task back from a worker.
func (l *lane) put(t *task, done bool) {
	if !done && !t.dropped && !l.closed {
		l.queue = append(l.queue, t)
		return
	}
	job := t.job
	t.job, t.busy = nil, false
	switch {
	case !done:
		job.abandon()
	case !t.dropped:
		t.answered, t.took = true, time.Since(t.began)
		job.store()
	}
	l.settled(t)
}

func (l *lane) rest(long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.closing:
	}
}

// sweep gives up tasks in the queue that were dropped, or all of them when the lane is closed.
func (l *lane) sweep() {
	l.queue = slices.DeleteFunc(l.queue, func(t *task) bool {
		if !t.dropped && !l.closed {
			return false
		}
		if t.job != nil {
			t.job.abandon()
			t.job = nil
		}
		t.busy = false
		l.settled(t)
		return true
	})
}
