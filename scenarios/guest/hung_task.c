/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* khungtaskd: tasks that have slept uninterruptibly for too long. */
#include "boot_params.h"
#include "init.h"
#include "kernel.h"
#include "sched.h"

#define HUNG_TASK_PID 5
#define MAX_WARNINGS 10
#define NORMAL_PRIO 120

static int hung_task_warnings = MAX_WARNINGS;

static noinline void check_hung_task(struct task_struct *p)
{
	unsigned long switch_count = p->nvcsw + p->nivcsw;
	struct inactive_task_frame *frame = (struct inactive_task_frame *)p->thread.sp;

	/* Never ran, or ran since the last look. */
	if (!switch_count)
		return;
	if (switch_count != p->last_switch_count) {
		p->last_switch_count = switch_count;
		return;
	}
	if (!hung_task_warnings)
		return;
	hung_task_warnings--;
	report_begin();
	printk("INFO: task %s:%d blocked for more than %u seconds.\n", p->comm, p->pid,
	       (unsigned int)(boot_params.hung_task_timeout_ns / NSEC_PER_SEC));
	show_trace(frame->ret_addr, frame->bp);
	report_end();
	if (boot_params.hung_task_panic)
		panic("hung_task: blocked tasks");
}

/* Killable sleeps have another bit set besides and do not count. */
static noinline void check_hung_uninterruptible_tasks(void)
{
	struct list_head *pos;
	unsigned long flags;

	spin_lock_irqsave(&tasklist_lock, flags);
	list_for_each(pos, &init_task.tasks) {
		struct task_struct *p = list_entry(pos, struct task_struct, tasks);

		if (p->state == TASK_UNINTERRUPTIBLE)
			check_hung_task(p);
	}
	spin_unlock_irqrestore(&tasklist_lock, flags);
}

static noinline void khungtaskd(u64 unused)
{
	long timeout = (long)nsecs_to_jiffies(boot_params.hung_task_timeout_ns);

	(void)unused;
	for (;;) {
		while (schedule_timeout_interruptible(timeout))
			;
		check_hung_uninterruptible_tasks();
	}
}

void hung_task_init(void)
{
	if (!boot_params.hung_task_timeout_ns)
		return;
	wake_up_process(
		kthread_create(khungtaskd, 0, 0, HUNG_TASK_PID, NORMAL_PRIO, "khungtaskd"));
}
