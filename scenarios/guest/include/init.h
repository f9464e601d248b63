/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Entry points that belong to no other header. */
#ifndef GUEST_INIT_H
#define GUEST_INIT_H

#include "ptrace.h"
#include "types.h"

void start_kernel(unsigned int cpu);
void watchdog_init(void);
void watchdog_enable(void);
void hung_task_init(void);
void perf_event_init(void);
void perf_event_enable_cpu(void);
void touch_softlockup_watchdog(void);
void mpt2sas_init(void);
void smp_invalidate_interrupt(struct pt_regs *regs);

/* perf_event.c calls back once a whole sample period has been counted. */
void watchdog_overflow_callback(struct pt_regs *regs);

#endif
