/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the loader writes into the image before the first instruction, and
 * the one word (epoch_tsc) that the guest answers with. Little-endian,
 * naturally aligned; the host relies on this exact layout.
 */
#ifndef GUEST_BOOT_PARAMS_H
#define GUEST_BOOT_PARAMS_H

#include "types.h"

#define BOOT_MAGIC 0x315055484354414cULL /* "LATCHUP1" */
#define BOOT_VERSION 1

#define IDLE_HLT 0
#define IDLE_MWAIT 1
#define IDLE_POLL 2

#define DRIVER_STALE_DONE 0
#define DRIVER_INIT_AFTER_POST 1
#define DRIVER_INIT_BEFORE_POST 2

struct boot_params {
	u64 magic;
	u32 version;
	u32 size;
	u32 nr_cpus;
	u32 hz;
	u32 cpu_khz;
	u32 lapic_tick_cycles; /* core cycles per LAPIC timer tick at divide-by-1 */
	u32 x2apic;
	u32 driver_variant;
	u64 softlockup_thresh_ns;     /* 0: no soft lockup detector */
	u64 hardlockup_period_cycles; /* unhalted cycles between checks, 0: off */
	u32 hardlockup_panic;
	u32 softlockup_panic;
	u64 hung_task_timeout_ns; /* 0: no khungtaskd */
	u32 hung_task_panic;
	u32 kdump_loaded;
	u32 nr_tasks;
	u32 nr_irqs;
	u64 tasks;          /* struct boot_task[nr_tasks] */
	u64 irqs;           /* struct boot_irq[nr_irqs] */
	u64 nr_kallsyms;
	u64 kallsyms;       /* struct kallsym[nr_kallsyms], ascending addresses */
	u64 kallsyms_names; /* NUL-terminated names */
	u64 heap_start;     /* direct-map range of the page allocator */
	u64 heap_end;
	u64 nr_ioc;
	u64 iocs; /* struct boot_ioc[nr_ioc] */
	u64 epoch_tsc;
	u32 exit_on_panic;
	u32 idle_mode;
	u32 ticks_skewed;
	u32 pad;
	u64 reserved[8];
};

#define BOOT_TASK_KTHREAD 1
#define BOOT_TASK_PINNED 2
#define BOOT_TASK_FIFO 4

struct boot_task {
	char comm[16];
	u32 pid;
	u32 cpu;
	u32 mm; /* tasks of one number share an address space */
	u32 flags;
	u64 start_ns; /* after the epoch; 0: at once */
	u64 entry;    /* ring-3 RIP, or void f(u64 arg) */
	u64 arg;
	u64 user_stack;
	u32 initial_state;
	u32 pad;
	u64 reserved[2];
};

struct boot_irq {
	u32 vector;
	u32 cpu;
	u64 handler; /* int handler(int irq, void *arg) */
	u64 arg;
	u32 flags; /* bit 0: IRQF_DISABLED */
	u32 pad;
	char name[16];
};

struct boot_ioc {
	u64 regs_va;
	u32 vector;
	u32 irq_cpu;
	u32 msi;
	u32 first_use_uninit; /* 1: nothing initialises ctl_cmds.done at load */
	u32 initial_uses;     /* lock word starts as if used this often */
	u32 pad;
	char name[16];
	u64 reserved[2];
};

struct kallsym {
	u64 addr;
	u32 size;
	u32 name_off;
};

_Static_assert(offsetof(struct boot_params, softlockup_thresh_ns) == 40, "layout");
_Static_assert(offsetof(struct boot_params, tasks) == 88, "layout");
_Static_assert(offsetof(struct boot_params, heap_start) == 128, "layout");
_Static_assert(offsetof(struct boot_params, epoch_tsc) == 160, "layout");
_Static_assert(sizeof(struct boot_params) == 248, "layout");
_Static_assert(sizeof(struct boot_task) == 88, "layout");
_Static_assert(sizeof(struct boot_irq) == 48, "layout");
_Static_assert(sizeof(struct boot_ioc) == 64, "layout");
_Static_assert(sizeof(struct kallsym) == 16, "layout");

extern struct boot_params boot_params;

#endif
