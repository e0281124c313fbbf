//go:build ignore

// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// walk.bpf.c: one walk over all cgroups (v2) that copies their figures out of the kernel's own structures into a mapped array.
// scripts/bpf.sh makes walk.bpf.o of it. The structures below name only the members that are read: where a kernel has them is
// found when the program is loaded (CO-RE), and what it calls by number (enum values, lengths of arrays) too.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

// The kernel's helpers that are used here are for programs under its own licence.
char licence[] SEC("license") = "GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct { s64 counter; } atomic64_t;

struct kernfs_node { u64 id; };
struct cgroup_subsys_state { struct cgroup *cgroup; u32 flags; };
struct task_cputime { u64 stime, utime, sum_exec_runtime; };
struct cgroup_base_stat { struct task_cputime cputime; };
struct prev_cputime { u64 utime, stime; };

struct work_struct { atomic64_t data; };
struct delayed_work { struct work_struct work; };
// The kernel's arrays of two dimensions are flat in BTF. It has one state more where it accounts for interrupts.
struct psi_group {
	_Bool enabled;
	u64 avg_total[7];
	u64 avg_last_update, avg_next_update;
	struct delayed_work avgs_work;
	u64 total[14];
	unsigned long avg[21];
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_subsys_state *subsys[16];
	struct cgroup_base_stat bstat;
	struct prev_cputime prev_cputime;
	struct psi_group *psi;
};

struct page_counter { atomic64_t usage; unsigned long watermark; };
struct memcg_vmstats { long state[64]; unsigned long events[64]; };
struct mem_cgroup {
	struct page_counter memory, swap;
	atomic64_t memory_events[16];
	struct memcg_vmstats *vmstats;
};

struct pids_cgroup { atomic64_t counter; };
struct cfs_bandwidth { int nr_periods, nr_throttled, nr_burst; u64 throttled_time, burst_time; };
struct task_group { struct cfs_bandwidth cfs_bandwidth; };

struct hlist_node { struct hlist_node *next; };
struct hlist_head { struct hlist_node *first; };
struct gendisk { int major, first_minor; };
struct request_queue { struct gendisk *disk; };
struct blkg_iostat { u64 bytes[3], ios[3]; };
struct blkg_iostat_set { struct blkg_iostat cur; };
struct blkcg { struct hlist_head blkg_list; };
struct blkcg_gq {
	struct request_queue *q;
	struct hlist_node blkcg_node;
	struct blkcg *blkcg;
	_Bool online;
	struct blkg_iostat_set iostat;
};

struct bpf_iter_meta { u64 seq_num; };
struct bpf_iter__cgroup { struct bpf_iter_meta *meta; struct cgroup *cgroup; };

enum cgroup_subsys_id { cpu_cgrp_id = 1, io_cgrp_id, memory_cgrp_id, pids_cgrp_id };
enum memcg_memory_event { MEMCG_HIGH = 1, MEMCG_MAX, MEMCG_OOM_KILL = 4 };
enum psi_states { PSI_IO_SOME, PSI_IO_FULL, PSI_MEM_SOME, PSI_MEM_FULL, PSI_CPU_SOME, PSI_CPU_FULL, PSI_NONIDLE, NR_PSI_STATES };

#pragma clang attribute pop

extern void cgroup_rstat_flush(struct cgroup *cgrp) __ksym __weak;
extern void css_rstat_flush(struct cgroup_subsys_state *css) __ksym __weak;
extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;

// What follows is shared with record.go, member for member, in memory that both have mapped.

enum { STATES = 13, EVENTS = 10, PRESSURES = 6, DEVICES = 6, NOWHERE = 0xff };

enum wanted { WANT_CPU = 1, WANT_MEMORY = 2, WANT_IO = 4, WANT_PIDS = 8, WANT_PSI = 16 };

enum has {
	HAS_BANDWIDTH = 1, // the cpu controller's figures
	HAS_MEMORY = 2,
	HAS_PIDS = 4,
	HAS_IO = 8,
	HAS_PSI = 16,
	BUSY_PSI = 32, // the kernel is about to bring pressure up to date
	TORN = 64, // a controller was taken away meanwhile, or there are more devices than fit: what is there may not be all
};

struct device { u32 major, minor; u64 rbytes, wbytes, rios, wios; };

struct record {
	u64 id, has;
	u64 runtime, utime, stime, prev_utime, prev_stime;               // nanoseconds
	u64 nr_periods, nr_throttled, nr_burst, throttled, burst;         // the last two in nanoseconds
	u64 usage, peak, swap;                                            // pages
	u64 high, max, oom_kill;
	s64 state[STATES];
	u64 event[EVENTS];
	u64 pids;
	u64 psi_now;                                                      // nanoseconds of the monotonic clock
	u64 psi_last, psi_next;                                           // nanoseconds of sched_clock()
	u64 psi_total[PRESSURES];                                         // nanoseconds
	u64 psi_avg_total[PRESSURES];
	u64 psi_avg[PRESSURES][3];
	u64 devices;
	struct device device[DEVICES];
};

struct control {
	u64 want;  // in: the groups to take
	u64 count; // out: cgroups met, also those for which there was no room
	s64 ahead; // in and out: how far sched_clock(), which pressure goes by, is at least ahead of the monotonic clock, in ns
	// in: where the wanted memory states and events stand in the kernel's arrays, or NOWHERE
	unsigned char state[16], event[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control);
} control SEC(".maps");

// The records are one map inside another, so that a larger one can take its place without loading the program anew.
struct records {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(struct record));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct records);
} records SEC(".maps");

// scratch is where whole parts of structures are copied to, out of which single members are taken.
struct scratch {
	s64 state[64];
	u64 events[64];
	u64 memory_events[16];
	u64 bytes[3], ios[3]; // of one device: read, written, discarded
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

const volatile u32 flush_css = 0;  // the kernel has css_rstat_flush, which flushes one controller, in place of cgroup_rstat_flush

static __always_inline u64 read_u64(const void *from)
{
	u64 value = 0;
	bpf_probe_read_kernel(&value, sizeof(value), from);
	return value;
}

static __always_inline void *read_pointer(const void *from)
{
	return (void *)read_u64(from);
}

// The kernel's enum of these has no name to find it by. Their numbers have been the same since Linux 4.6.
enum { CSS_ONLINE = 2, CSS_VISIBLE = 8 };

// visible reports whether a controller's state of this cgroup has files: one that only another controller needs has none.
static __always_inline int visible(struct cgroup_subsys_state *css)
{
	return css && (css->flags & (CSS_ONLINE | CSS_VISIBLE)) == (CSS_ONLINE | CSS_VISIBLE);
}

#define CSS(cgrp, id) ((cgrp)->subsys[bpf_core_enum_value(enum cgroup_subsys_id, id)])

// begin brings every cgroup's sums up to date, once for the whole walk.
static __always_inline void begin(struct cgroup *root, struct control *control)
{
	if (!flush_css) {
		cgroup_rstat_flush(root);
	} else {
		// A pointer that is loaded outside of an RCU section is not fit for css_rstat_flush, which in turn may sleep and so
		// must be outside. The root's controllers stay as long as the kernel runs.
		bpf_rcu_read_lock();
		struct cgroup_subsys_state *memory = CSS(root, memory_cgrp_id), *io = CSS(root, io_cgrp_id);
		bpf_rcu_read_unlock();
		if (control->want & WANT_CPU)
			css_rstat_flush(&root->self);
		if (control->want & WANT_MEMORY && memory)
			css_rstat_flush(memory);
		if (control->want & WANT_IO && io)
			css_rstat_flush(io);
	}
}

static __always_inline void take_cpu(struct cgroup *cgrp, struct record *record)
{
	record->runtime = cgrp->bstat.cputime.sum_exec_runtime;
	record->utime = cgrp->bstat.cputime.utime;
	record->stime = cgrp->bstat.cputime.stime;
	record->prev_utime = cgrp->prev_cputime.utime;
	record->prev_stime = cgrp->prev_cputime.stime;

	struct cgroup_subsys_state *css = CSS(cgrp, cpu_cgrp_id);
	if (!visible(css))
		return;
	record->has |= HAS_BANDWIDTH;
	struct cfs_bandwidth *bandwidth = &((struct task_group *)css)->cfs_bandwidth;
	u32 number = 0;
	bpf_core_read(&number, sizeof(number), &bandwidth->nr_periods);
	record->nr_periods = number;
	record->nr_throttled = record->nr_burst = record->throttled = record->burst = 0;
	if (number == 0)
		return;
	bpf_core_read(&number, sizeof(number), &bandwidth->nr_throttled);
	record->nr_throttled = number;
	bpf_core_read(&number, sizeof(number), &bandwidth->nr_burst);
	record->nr_burst = number;
	record->throttled = read_u64(&bandwidth->throttled_time);
	record->burst = read_u64(&bandwidth->burst_time);
}

static __always_inline void take_memory(struct cgroup *cgrp, struct record *record, struct scratch *scratch, struct control *control)
{
	struct cgroup_subsys_state *css = CSS(cgrp, memory_cgrp_id);
	if (!visible(css))
		return;
	struct mem_cgroup *memcg = (struct mem_cgroup *)css;
	record->usage = read_u64(&memcg->memory.usage.counter);
	record->peak = read_u64(&memcg->memory.watermark);
	record->swap = read_u64(&memcg->swap.usage.counter);

	u32 size = bpf_core_field_size(memcg->memory_events);
	if (size <= sizeof(scratch->memory_events))
		bpf_probe_read_kernel(scratch->memory_events, size, &memcg->memory_events);
	record->high = scratch->memory_events[bpf_core_enum_value(enum memcg_memory_event, MEMCG_HIGH) & 15];
	record->max = scratch->memory_events[bpf_core_enum_value(enum memcg_memory_event, MEMCG_MAX) & 15];
	record->oom_kill = scratch->memory_events[bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM_KILL) & 15];

	struct memcg_vmstats *vmstats = read_pointer(&memcg->vmstats);
	size = bpf_core_field_size(vmstats->state);
	if (size <= sizeof(scratch->state))
		bpf_probe_read_kernel(scratch->state, size, &vmstats->state);
	size = bpf_core_field_size(vmstats->events);
	if (size <= sizeof(scratch->events))
		bpf_probe_read_kernel(scratch->events, size, &vmstats->events);
	for (int i = 0; i < STATES; i++)
		record->state[i] = scratch->state[control->state[i] & 63];
	for (int i = 0; i < EVENTS; i++)
		record->event[i] = control->event[i] == NOWHERE ? 0 : scratch->events[control->event[i] & 63];
	record->has |= visible(css) ? HAS_MEMORY : TORN;
}

static __always_inline void take_pids(struct cgroup *cgrp, struct record *record)
{
	struct cgroup_subsys_state *css = CSS(cgrp, pids_cgrp_id);
	if (!visible(css))
		return;
	record->pids = read_u64(&((struct pids_cgroup *)css)->counter.counter);
	record->has |= HAS_PIDS;
}

// take_device takes one device's figures, as io.stat shows them. It returns false if the list is not what it was.
static __always_inline int take_device(struct blkcg *blkcg, struct blkcg_gq *blkg, struct record *record, struct scratch *scratch)
{
	_Bool online = 0;
	if (read_pointer(&blkg->blkcg) != blkcg)
		return 0;
	bpf_core_read(&online, sizeof(online), &blkg->online);
	struct gendisk *disk = read_pointer(&((struct request_queue *)read_pointer(&blkg->q))->disk);
	if (!online || !disk)
		return 1;
	u64 *bytes = scratch->bytes, *ios = scratch->ios;
	if (bpf_core_read(bytes, sizeof(scratch->bytes), &blkg->iostat.cur.bytes) || bpf_core_read(ios, sizeof(scratch->ios), &blkg->iostat.cur.ios))
		return 0;
	if (!(bytes[0] | bytes[1] | ios[0] | ios[1]))
		return 1; // io.stat has no line for it
	u64 at = record->devices;
	if (at >= DEVICES)
		return 0;
	struct device *device = &record->device[at];
	bpf_core_read(&device->major, sizeof(device->major), &disk->major);
	bpf_core_read(&device->minor, sizeof(device->minor), &disk->first_minor);
	device->rbytes = bytes[0];
	device->wbytes = bytes[1];
	device->rios = ios[0];
	device->wios = ios[1];
	record->devices = at + 1;
	return 1;
}

static __always_inline void take_io(struct cgroup *cgrp, struct record *record, struct scratch *scratch)
{
	struct cgroup_subsys_state *css = CSS(cgrp, io_cgrp_id);
	record->devices = 0;
	if (!visible(css))
		return;
	struct blkcg *blkcg = (struct blkcg *)css;
	struct hlist_node *node = read_pointer(&blkcg->blkg_list.first);
	for (int i = 0; i < 32 && node; i++) {
		struct blkcg_gq *blkg = (void *)node - bpf_core_field_offset(struct blkcg_gq, blkcg_node);
		if (!take_device(blkcg, blkg, record, scratch)) {
			record->has |= TORN;
			return;
		}
		node = read_pointer(&blkg->blkcg_node.next);
	}
	if (node || !visible(css)) {
		record->has |= TORN;
		return;
	}
	record->has |= HAS_IO;
}

#define STATE(name) bpf_core_enum_value(enum psi_states, name)

// take_state takes one state's totals and averages.
#define take_state(at, name)                                                   \
	do {                                                                   \
		record->psi_total[at] = psi->total[STATE(name)];               \
		record->psi_avg_total[at] = psi->avg_total[STATE(name)];       \
		record->psi_avg[at][0] = psi->avg[STATE(name) * 3];            \
		record->psi_avg[at][1] = psi->avg[STATE(name) * 3 + 1];        \
		record->psi_avg[at][2] = psi->avg[STATE(name) * 3 + 2];        \
	} while (0)

static __always_inline void take_pressure(struct cgroup *cgrp, struct record *record, struct control *control)
{
	struct psi_group *psi = cgrp->psi;
	if (!psi || !psi->enabled)
		return;
	record->has |= HAS_PSI;
	record->psi_now = bpf_ktime_get_ns();
	record->psi_last = psi->avg_last_update;
	record->psi_next = psi->avg_next_update;
	// No group can have been brought up to date in the future.
	s64 ahead = (s64)(record->psi_last - record->psi_now);
	if (ahead > control->ahead)
		control->ahead = ahead;
	// The kernel adds up what the CPUs counted every two seconds while anything moves, for which it keeps a work item
	// pending. Without one there is nothing to add.
	if (psi->avgs_work.work.data.counter & 1)
		record->has |= BUSY_PSI;
	take_state(0, PSI_CPU_SOME);
	take_state(1, PSI_CPU_FULL);
	take_state(2, PSI_MEM_SOME);
	take_state(3, PSI_MEM_FULL);
	take_state(4, PSI_IO_SOME);
	take_state(5, PSI_IO_FULL);
}

SEC("iter.s/cgroup")
int walk(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgrp = ctx->cgroup;
	u32 zero = 0;
	if (!cgrp)
		return 0; // the end of the walk
	struct control *control_ = bpf_map_lookup_elem(&control, &zero);
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &zero);
	void *all = bpf_map_lookup_elem(&records, &zero);
	if (!control_ || !scratch || !all)
		return 0;
	u32 at = control_->count++;
	if (at == 0)
		begin(cgrp, control_);
	struct record *record = bpf_map_lookup_elem(all, &at);
	if (!record)
		return 0;
	u64 want = control_->want;
	record->id = cgrp->kn->id;
	record->has = 0;
	if (want & WANT_CPU)
		take_cpu(cgrp, record);
	if (want & WANT_MEMORY)
		take_memory(cgrp, record, scratch, control_);
	if (want & WANT_IO)
		take_io(cgrp, record, scratch);
	if (want & WANT_PIDS)
		take_pids(cgrp, record);
	if (want & WANT_PSI)
		take_pressure(cgrp, record, control_);
	return 0;
}

// peek copies a table of the kernel's: its address goes in with the context, its bytes come out in control.
struct peek { u64 address; u32 size; unsigned char bytes[252]; };

SEC("syscall")
int peek(struct peek *ctx)
{
	u32 size = ctx->size;
	if (size > sizeof(ctx->bytes))
		return 1;
	return bpf_probe_read_kernel(ctx->bytes, size, (void *)ctx->address) != 0;
}
