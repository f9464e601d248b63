/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Making other CPUs do things: reschedule, call a function, stop. */
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "sched.h"

#define CSD_FLAG_LOCK 1

struct call_single_data {
	struct list_head list;
	void (*func)(void *info);
	void *info;
	volatile u16 flags;
};

/* One call to many CPUs: each takes itself out of the mask and counts down. */
struct call_function_data {
	struct call_single_data csd;
	atomic_t refs;
	struct cpumask cpumask;
};

static struct call_function_data cfd_data[MAX_CPUS];
static struct call_single_data csd_data[MAX_CPUS];

static LIST_HEAD(call_function_queue);
static DEFINE_SPINLOCK(call_function_lock);

void smp_call_init_cpu(int cpu)
{
	INIT_LIST_HEAD(&cpu_data(cpu)->call_queue.list);
}

noinline void smp_send_reschedule(int cpu)
{
	apic->send_IPI_one(cpu, RESCHEDULE_VECTOR);
}

/* All the work is done on the way out of the interrupt. */
void smp_reschedule_interrupt(struct pt_regs *regs);
void smp_reschedule_interrupt(struct pt_regs *regs)
{
	(void)regs;
	ack_APIC_irq();
	this_cpu()->irq_stat_resched++;
}

static void csd_lock_wait(struct call_single_data *data)
{
	while (data->flags & CSD_FLAG_LOCK)
		cpu_relax();
}

static void csd_lock(struct call_single_data *data)
{
	csd_lock_wait(data);
	data->flags = CSD_FLAG_LOCK;
	smp_mb();
}

static void csd_unlock(struct call_single_data *data)
{
	smp_mb();
	data->flags &= ~CSD_FLAG_LOCK;
}

/* Interrupts only if the queue was empty: else one is on its way already. */
static noinline void generic_exec_single(int cpu, struct call_single_data *data, int wait)
{
	struct call_single_queue *dst = &cpu_data(cpu)->call_queue;
	unsigned long flags;
	bool ipi;

	spin_lock_irqsave(&dst->lock, flags);
	ipi = list_empty(&dst->list);
	list_add_tail(&data->list, &dst->list);
	spin_unlock_irqrestore(&dst->lock, flags);
	if (ipi)
		apic->send_IPI_one(cpu, CALL_FUNCTION_SINGLE_VECTOR);
	if (wait)
		csd_lock_wait(data);
}

noinline int smp_call_function_single(int cpu, void (*func)(void *), void *info, int wait)
{
	struct call_single_data on_stack = { .flags = 0 };
	struct call_single_data *data = &on_stack;
	unsigned long flags;

	WARN_ON_ONCE(irqs_disabled() && !oops_in_progress);
	if ((unsigned int)cpu == smp_processor_id()) {
		flags = local_irq_save();
		func(info);
		local_irq_restore(flags);
		return 0;
	}
	if ((unsigned int)cpu >= nr_cpu_ids || !cpumask_test_cpu(cpu, &cpu_online_mask))
		return -ENODEV;
	if (!wait)
		data = &csd_data[smp_processor_id()];
	csd_lock(data);
	data->func = func;
	data->info = info;
	generic_exec_single(cpu, data, wait);
	return 0;
}

static noinline void generic_smp_call_function_single_interrupt(void)
{
	struct call_single_queue *q = &this_cpu()->call_queue;
	LIST_HEAD(list);

	spin_lock(&q->lock);
	list_splice_tail_init(&q->list, &list);
	spin_unlock(&q->lock);
	while (!list_empty(&list)) {
		struct call_single_data *data =
			list_entry(list.next, struct call_single_data, list);
		bool locked = data->flags & CSD_FLAG_LOCK;

		list_del(&data->list);
		data->func(data->info);
		/* Unlocked last: the sender may reuse it from then on. */
		if (locked)
			csd_unlock(data);
	}
}

void smp_call_function_single_interrupt(struct pt_regs *regs);
noinline void smp_call_function_single_interrupt(struct pt_regs *regs)
{
	(void)regs;
	ack_APIC_irq();
	irq_enter();
	generic_smp_call_function_single_interrupt();
	this_cpu()->irq_stat_call++;
	irq_exit();
}

/*
 * refs is 0 until the element is complete and is counted from the private
 * copy of the mask, since the caller's mask may lose bits at any time.
 */
noinline void smp_call_function_many(const struct cpumask *mask, void (*func)(void *), void *info,
				     bool wait)
{
	unsigned int this = smp_processor_id();
	struct call_function_data *data = &cfd_data[this];
	unsigned long flags;
	unsigned int refs;

	WARN_ON_ONCE(irqs_disabled() && !oops_in_progress);
	csd_lock(&data->csd);
	atomic_set(&data->refs, 0);
	data->csd.func = func;
	data->csd.info = info;
	smp_wmb();
	cpumask_andnot_cpu(&data->cpumask, mask, this);
	refs = cpumask_weight(&data->cpumask);
	if (!refs) {
		csd_unlock(&data->csd);
		return;
	}
	spin_lock_irqsave(&call_function_lock, flags);
	list_add(&data->csd.list, &call_function_queue);
	atomic_set(&data->refs, (int)refs);
	spin_unlock_irqrestore(&call_function_lock, flags);
	smp_mb();
	apic->send_IPI_mask(&data->cpumask, CALL_FUNCTION_VECTOR);
	if (wait)
		csd_lock_wait(&data->csd);
}

noinline int smp_call_function(void (*func)(void *), void *info, int wait)
{
	smp_call_function_many(&cpu_online_mask, func, info, wait);
	return 0;
}

static noinline void generic_smp_call_function_interrupt(void)
{
	unsigned int cpu = smp_processor_id();
	struct list_head *pos, *n;

	smp_mb();
	list_for_each_safe(pos, n, &call_function_queue) {
		struct call_function_data *data =
			list_entry(pos, struct call_function_data, csd.list);
		int refs;

		if (!cpumask_test_cpu(cpu, &data->cpumask))
			continue;
		smp_rmb();
		if (atomic_read(&data->refs) == 0)
			continue;
		data->csd.func(data->csd.info);
		cpumask_clear_cpu(cpu, &data->cpumask);
		refs = atomic_add_return(-1, &data->refs);
		if (refs)
			continue;
		/* Readers still pass through: the links stay as they are. */
		spin_lock(&call_function_lock);
		__list_unlink(&data->csd.list);
		spin_unlock(&call_function_lock);
		csd_unlock(&data->csd);
	}
}

void smp_call_function_interrupt(struct pt_regs *regs);
noinline void smp_call_function_interrupt(struct pt_regs *regs)
{
	(void)regs;
	ack_APIC_irq();
	irq_enter();
	generic_smp_call_function_interrupt();
	this_cpu()->irq_stat_call++;
	irq_exit();
}

static void stop_this_cpu(void)
{
	local_irq_disable();
	cpumask_clear_cpu(smp_processor_id(), &cpu_online_mask);
	for (;;)
		halt();
}

void smp_reboot_interrupt(struct pt_regs *regs);
noinline void smp_reboot_interrupt(struct pt_regs *regs)
{
	(void)regs;
	ack_APIC_irq();
	stop_this_cpu();
}

/* An ordinary interrupt: it cannot stop a CPU that spins with IF=0. */
noinline void smp_send_stop(void)
{
	u64 end = sched_clock() + NSEC_PER_SEC;

	apic->send_IPI_allbutself(REBOOT_VECTOR);
	while (cpumask_weight(&cpu_online_mask) > 1 && sched_clock() < end)
		cpu_relax();
}
