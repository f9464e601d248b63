/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The scheduler: a run queue for each CPU, real-time tasks first in, first
 * out, the others in turn. Tasks stay on the CPU they were created for.
 */
#include "boot_params.h"
#include "cpu.h"
#include "irq.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

#define TIME_SLICE_MS 4 /* least run of a task before another gets its turn */

static bool rt_task(const struct task_struct *p)
{
	return p->prio < MAX_RT_PRIO;
}

static struct list_head *task_queue(struct rq *rq, const struct task_struct *p)
{
	return rt_task(p) ? &rq->rt_queue : &rq->cfs_queue;
}

static void set_time_slice(struct task_struct *p)
{
	p->se.time_slice = HZ * TIME_SLICE_MS / 1000 + 1;
}

void sched_init_cpu(int cpu, struct task_struct *idle)
{
	struct rq *rq = cpu_rq(cpu);

	INIT_LIST_HEAD(&rq->rt_queue);
	INIT_LIST_HEAD(&rq->cfs_queue);
	rq->cpu = cpu;
	rq->idle = idle;
	rq->curr = idle;
	idle->stack = idle_stack[cpu];
	idle->cpu = cpu;
	idle->lock_depth = -1;
	idle->prio = MAX_RT_PRIO + 40;
	idle->flags = PF_KTHREAD;
	idle->active_mm = &init_mm;
	idle->thread.sp0 = (unsigned long)idle_stack[cpu] + THREAD_SIZE;
	strlcpy(idle->comm, "swapper", sizeof(idle->comm));
	task_thread_info(idle)->task = idle;
	task_thread_info(idle)->cpu = cpu;
}

static void enqueue_task(struct rq *rq, struct task_struct *p)
{
	list_add_tail(&p->se.run_list, task_queue(rq, p));
	p->se.on_rq = 1;
	rq->nr_running++;
}

static void activate_task(struct rq *rq, struct task_struct *p)
{
	enqueue_task(rq, p);
}

static void deactivate_task(struct rq *rq, struct task_struct *p)
{
	if (p->state & TASK_UNINTERRUPTIBLE)
		rq->nr_uninterruptible++;
	list_del(&p->se.run_list);
	p->se.on_rq = 0;
	rq->nr_running--;
}

static struct rq *task_rq_lock(struct task_struct *p, unsigned long *flags)
{
	struct rq *rq;

	for (;;) {
		*flags = local_irq_save();
		rq = cpu_rq(p->cpu);
		spin_lock(&rq->lock);
		if (likely(rq == cpu_rq(p->cpu)))
			return rq;
		spin_unlock_irqrestore(&rq->lock, *flags);
	}
}

/*
 * The flag must be visible before the target's idle state is looked at: it
 * clears TS_POLLING before it looks at the flag for the last time.
 */
noinline void resched_task(struct task_struct *p)
{
	struct thread_info *ti = task_thread_info(p);

	if (ti->flags & _TIF_NEED_RESCHED)
		return;
	set_bit(TIF_NEED_RESCHED, &ti->flags);
	if (p->cpu == smp_processor_id())
		return;
	smp_mb();
	if (!(ti->status & TS_POLLING))
		smp_send_reschedule(p->cpu);
}

/* A woken task does not cut the running one's slice short within a class. */
static void check_preempt_curr(struct rq *rq, struct task_struct *p)
{
	if (rq->curr == rq->idle || (rt_task(p) && !rt_task(rq->curr)))
		resched_task(rq->curr);
}

noinline int try_to_wake_up(struct task_struct *p, unsigned int state, int wake_flags)
{
	unsigned long flags;
	struct rq *rq;
	int success = 0;

	(void)wake_flags;
	smp_wmb();
	rq = task_rq_lock(p, &flags);
	if (!(p->state & state))
		goto out;
	if (p->se.on_rq)
		goto out_running;
	if (p->state & TASK_UNINTERRUPTIBLE)
		rq->nr_uninterruptible--;
	p->state = TASK_WAKING;
	/* Every task is pinned: the run queue it is woken to is this one. */
	activate_task(rq, p);
	check_preempt_curr(rq, p);
	success = 1;
out_running:
	p->state = TASK_RUNNING;
out:
	spin_unlock_irqrestore(&rq->lock, flags);
	return success;
}

noinline int wake_up_process(struct task_struct *p)
{
	return try_to_wake_up(p, TASK_NORMAL, 0);
}

/* @at_head: the task begins now, before all others of its class. */
void wake_up_new_task(struct task_struct *p, bool at_head)
{
	unsigned long flags;
	struct rq *rq = task_rq_lock(p, &flags);
	struct task_struct *curr = rq->curr;

	p->state = TASK_RUNNING;
	set_time_slice(p);
	if (at_head && curr != rq->idle && !rt_task(curr))
		list_move_tail(&curr->se.run_list, &rq->cfs_queue);
	enqueue_task(rq, p);
	if (at_head) {
		__list_unlink(&p->se.run_list);
		list_add(&p->se.run_list, task_queue(rq, p));
	}
	if (curr == rq->idle || (at_head && !rt_task(curr)))
		resched_task(curr);
	spin_unlock_irqrestore(&rq->lock, flags);
}

static struct task_struct *pick_next_task(struct rq *rq)
{
	struct list_head *q = &rq->rt_queue;

	if (list_empty(q)) {
		q = &rq->cfs_queue;
		if (list_empty(q))
			return rq->idle;
	}
	return list_entry(q->next, struct task_struct, se.run_list);
}

/* The slice is this CPU's own affair, so that most ticks take no lock. */
noinline void scheduler_tick(void)
{
	struct rq *rq = &this_cpu()->rq;
	struct task_struct *curr = rq->curr;

	if (curr->se.time_slice > 1) {
		curr->se.time_slice--;
		return;
	}
	if (curr == rq->idle || rt_task(curr))
		return;
	spin_lock(&rq->lock);
	set_time_slice(curr);
	if (curr->se.on_rq && rq->cfs_queue.next->next != &rq->cfs_queue) {
		list_move_tail(&curr->se.run_list, &rq->cfs_queue);
		resched_task(curr);
	}
	spin_unlock(&rq->lock);
}

/* The second half of the switch, already on the stack of @next. */
struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next);
__used struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next)
{
	struct percpu *pc = this_cpu();

	init_tss[pc->cpu_number].sp0 = next->thread.sp0;
	pc->current_task = next;
	pc->kernel_stack = next->thread.sp0;
	return prev;
}

/* Drops the lock of the run queue, which schedule() of the other task took. */
static void finish_task_switch(struct rq *rq, struct task_struct *prev)
{
	struct mm_struct *mm = rq->prev_mm;

	(void)prev;
	rq->prev_mm = NULL;
	spin_unlock_irq(&rq->lock);
	if (mm)
		atomic_dec(&mm->mm_count);
}

void schedule_tail(struct task_struct *prev)
{
	finish_task_switch(&this_cpu()->rq, prev);
}

/* A kernel thread has no address space and borrows that of its predecessor. */
static __always_inline void context_switch(struct rq *rq, struct task_struct *prev,
					   struct task_struct *next)
{
	struct mm_struct *oldmm = prev->active_mm;

	if (!next->mm) {
		next->active_mm = oldmm;
		atomic_inc(&oldmm->mm_count);
		enter_lazy_tlb(oldmm);
	} else {
		switch_mm(oldmm, next->mm, next);
	}
	if (!prev->mm) {
		prev->active_mm = NULL;
		rq->prev_mm = oldmm;
	}
	prev = __switch_to_asm(prev, next);
	barrier();
	finish_task_switch(&this_cpu()->rq, prev);
}

/*
 * The BKL is given up before the run queue's lock is taken, and taken again
 * at the end; while that fails and others want the CPU, it goes round again.
 */
noinline void schedule(void)
{
	struct task_struct *prev, *next;
	unsigned long *switch_count;
	struct rq *rq;

need_resched:
	rq = &this_cpu()->rq;
	prev = rq->curr;
	release_kernel_lock(prev);
need_resched_nonpreemptible:
	spin_lock_irq(&rq->lock);
	clear_bit(TIF_NEED_RESCHED, &task_thread_info(prev)->flags);
	switch_count = &prev->nivcsw;
	if (prev->state) {
		if (unlikely(signal_pending_state(prev->state, prev)))
			prev->state = TASK_RUNNING;
		else
			deactivate_task(rq, prev);
		switch_count = &prev->nvcsw;
	}
	next = pick_next_task(rq);
	if (likely(prev != next)) {
		rq->nr_switches++;
		rq->curr = next;
		++*switch_count;
		context_switch(rq, prev, next);
		rq = &this_cpu()->rq;
	} else {
		spin_unlock_irq(&rq->lock);
	}
	if (unlikely(reacquire_kernel_lock(rq->curr) < 0)) {
		prev = rq->curr;
		goto need_resched_nonpreemptible;
	}
	if (need_resched())
		goto need_resched;
}

noinline void yield(void)
{
	struct rq *rq = &this_cpu()->rq;
	struct task_struct *p = current;

	spin_lock_irq(&rq->lock);
	list_move_tail(&p->se.run_list, task_queue(rq, p));
	spin_unlock_irq(&rq->lock);
	schedule();
}

/* Not from interrupts: their frames lie on the stack that would be left. */
noinline int _cond_resched(void)
{
	if (!need_resched() || in_interrupt())
		return 0;
	schedule();
	return 1;
}
