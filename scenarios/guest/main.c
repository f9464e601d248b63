/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Boot: every CPU enters start_kernel() at the same time. */
#include "boot_params.h"
#include "cpu.h"
#include "fs.h"
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

struct boot_params boot_params = {
	.magic = BOOT_MAGIC,
	.version = BOOT_VERSION,
	.size = sizeof(struct boot_params),
};

unsigned int nr_cpu_ids;
struct cpumask cpu_online_mask;

/* CPU 0 has built what all share; the others may go on. */
static volatile u32 boot_stage;
static atomic_t cpus_ready;

static void boot_shared(void)
{
	unsigned int cpu;

	nr_cpu_ids = boot_params.nr_cpus;
	if (nr_cpu_ids > MAX_CPUS)
		nr_cpu_ids = MAX_CPUS;
	for (cpu = 0; cpu < nr_cpu_ids; cpu++)
		percpu_init(cpu);
	timekeeping_init();
	apic_select();
	idt_init();
	irq_init();
	fs_init();
	fork_init();
	perf_event_init();
}

static void boot_irqs(void)
{
	const struct boot_irq *b = (const struct boot_irq *)boot_params.irqs;
	u32 i;

	for (i = 0; i < boot_params.nr_irqs; i++)
		request_irq(b[i].vector, (irq_handler_t)b[i].handler,
			    b[i].flags & 1 ? IRQF_DISABLED : IRQF_SHARED, b[i].name,
			    (void *)b[i].arg, true);
}

void start_kernel(unsigned int cpu)
{
	if (cpu == 0) {
		boot_shared();
		smp_wmb();
		boot_stage = 1;
	} else {
		while (boot_stage == 0)
			cpu_relax();
	}
	cpu_init(cpu);
	setup_local_APIC();
	cpumask_set_cpu(cpu, &cpu_online_mask);
	if (cpu == 0) {
		boot_irqs();
		mpt2sas_init();
		hung_task_init();
	}
	watchdog_init();
	create_boot_tasks(cpu);

	atomic_inc(&cpus_ready);
	if (cpu == 0) {
		while (atomic_read(&cpus_ready) != (int)nr_cpu_ids)
			cpu_relax();
		boot_params.epoch_tsc = rdtsc();
	} else {
		while (ACCESS_ONCE(boot_params.epoch_tsc) == 0)
			cpu_relax();
	}
	tick_setup_sched_timer();
	start_boot_tasks();
	watchdog_enable();
	cpu_idle();
}
