/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The crash dump path: one CPU stops all others by NMI, each of which keeps
 * its registers, and hands over to the crash kernel.
 */
#include "boot_params.h"
#include "irq.h"
#include "kernel.h"
#include "sched.h"

static DEFINE_MUTEX(kexec_mutex);
static int crashing_cpu = -1;
static atomic_t waiting_for_crash_ipi;

/* Registers of every CPU at the time of the crash. */
struct pt_regs crash_notes[MAX_CPUS];

static void crash_save_cpu(const struct pt_regs *regs, unsigned int cpu)
{
	crash_notes[cpu] = *regs;
}

/* The crashing CPU's own: what the caller of crash_kexec() would see. */
static void crash_setup_regs(struct pt_regs *to, const struct pt_regs *from)
{
	unsigned long *frame = __builtin_frame_address(0);

	if (from) {
		*to = *from;
		return;
	}
	to->bp = frame[0];
	to->ip = frame[1];
	to->sp = (unsigned long)(frame + 2);
	to->cs = __KERNEL_CS;
	to->ss = __KERNEL_DS;
	to->flags = local_save_flags();
}

static noinline int crash_nmi_callback(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;
	unsigned int cpu = smp_processor_id();

	(void)nb;
	if (val != DIE_NMI_IPI)
		return NOTIFY_DONE;
	if ((int)cpu == crashing_cpu)
		return NOTIFY_STOP;
	local_irq_disable();
	crash_save_cpu(args->regs, cpu);
	atomic_dec(&waiting_for_crash_ipi);
	for (;;)
		halt();
}

static struct notifier_block crash_nmi_nb = {
	.notifier_call = crash_nmi_callback,
	.priority = 0x7fffffff,
};

static noinline void nmi_shootdown_cpus(void)
{
	u64 end;

	crashing_cpu = (int)smp_processor_id();
	atomic_set(&waiting_for_crash_ipi, (int)cpumask_weight(&cpu_online_mask) - 1);
	atomic_notifier_chain_register(&die_chain, &crash_nmi_nb);
	wmb();
	apic->send_IPI_allbutself(NMI_VECTOR);
	end = sched_clock() + NSEC_PER_SEC;
	while (atomic_read(&waiting_for_crash_ipi) > 0 && sched_clock() < end)
		cpu_relax();
}

static noinline void machine_crash_shutdown(const struct pt_regs *regs)
{
	local_irq_disable();
	nmi_shootdown_cpus();
	crash_save_cpu(regs, smp_processor_id());
}

/* There is no second kernel: the dump is what the host finds in memory. */
noinline void machine_kexec(void)
{
	if (boot_params.exit_on_panic)
		outb(PANIC_EXIT_CODE, EXIT_PORT);
	for (;;)
		halt();
}

noinline void crash_kexec(struct pt_regs *regs)
{
	struct pt_regs fixed_regs = { 0 };

	if (!mutex_trylock(&kexec_mutex))
		return;
	if (boot_params.kdump_loaded) {
		crash_setup_regs(&fixed_regs, regs);
		machine_crash_shutdown(&fixed_regs);
		machine_kexec();
	}
	mutex_unlock(&kexec_mutex);
}
