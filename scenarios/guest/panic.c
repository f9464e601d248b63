/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The end: panics and oopses. */
#include "boot_params.h"
#include "kernel.h"
#include "sched.h"

static int die_counter;

noinline void panic(const char *fmt, ...)
{
	static char buf[256];
	__builtin_va_list args;

	bust_spinlocks(1);
	__builtin_va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	__builtin_va_end(args);
	report_begin();
	printk("Kernel panic - not syncing: %s\n", buf);
	dump_stack();
	report_end();
	/* Does not come back if a crash kernel is loaded. */
	crash_kexec(NULL);
	smp_send_stop();
	bust_spinlocks(0);
	if (boot_params.exit_on_panic)
		outb(PANIC_EXIT_CODE, EXIT_PORT);
	local_irq_disable();
	for (;;)
		halt();
}

/* @what and the error code, registers and trace; the system does not go on. */
noinline void die(const char *what, struct pt_regs *regs, long err)
{
	bust_spinlocks(1);
	report_begin();
	printk("%s: %04lx [#%d] SMP\n", what, err & 0xffff, ++die_counter);
	show_regs(regs);
	report_end();
	bust_spinlocks(0);
	if (in_interrupt())
		panic("Fatal exception in interrupt");
	panic("Fatal exception");
}
