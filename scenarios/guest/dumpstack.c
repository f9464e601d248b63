/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Backtraces along frame pointers. Entry stubs leave an odd RBP, the address
 * of the saved registers plus one, so that the walk goes on behind them.
 */
#include "cpu.h"
#include "kernel.h"
#include "sched.h"

enum stack_kind { STACK_TASK, STACK_IRQ, STACK_NMI };

static bool within(unsigned long addr, const void *base, size_t size)
{
	return addr - (unsigned long)base < size;
}

static enum stack_kind stack_kind(unsigned long addr)
{
	if (within(addr, nmi_stack, (size_t)MAX_CPUS * EXCEPTION_STKSZ))
		return STACK_NMI;
	if (within(addr, irq_stack, (size_t)MAX_CPUS * IRQ_STACK_SIZE))
		return STACK_IRQ;
	return STACK_TASK;
}

/* Marks where one stack ends and where another begins. */
static void print_stack_change(enum stack_kind from, enum stack_kind to)
{
	if (from == to)
		return;
	if (from == STACK_NMI)
		printk(" <<EOE>> ");
	else if (from == STACK_IRQ)
		printk(" <EOI> ");
	if (to == STACK_NMI)
		printk(" <NMI> ");
	else if (to == STACK_IRQ)
		printk(" <IRQ> ");
}

/* @ip, unless 0, comes first; the rest is found from frame @bp on. */
noinline void show_trace(unsigned long ip, unsigned long bp)
{
	enum stack_kind kind = STACK_TASK;
	int depth;

	printk("Call Trace:\n");
	if (ip)
		print_symbol_line(" ", ip);
	for (depth = 0; bp && depth < 64; depth++) {
		const struct pt_regs *regs = (const struct pt_regs *)(bp - 1);
		const unsigned long *slot;
		enum stack_kind next;

		if (bp & 1) {
			if (user_mode(regs))
				break;
			slot = &regs->ip;
			bp = regs->bp;
		} else {
			slot = (const unsigned long *)bp + 1;
			bp = *(const unsigned long *)bp;
		}
		if (!*slot)
			continue;
		next = stack_kind((unsigned long)slot);
		print_stack_change(kind, next);
		kind = next;
		print_symbol_line(" ", *slot);
	}
}

static void print_task_line(void)
{
	printk("Pid: %d, comm: %.16s Not tainted " UTS_RELEASE " #1\n", current->pid,
	       current->comm);
}

noinline void dump_stack(void)
{
	print_task_line();
	show_trace(0, (unsigned long)__builtin_frame_address(0));
}

noinline void show_regs(struct pt_regs *regs)
{
	char prefix[16];

	printk("CPU %u\n", smp_processor_id());
	print_task_line();
	snprintf(prefix, sizeof(prefix), "RIP: %04lx:", regs->cs & 0xffff);
	print_symbol_line(prefix, regs->ip);
	printk("RSP: %04lx:%016lx  EFLAGS: %08lx\n", regs->ss & 0xffff, regs->sp, regs->flags);
	printk("RAX: %016lx RBX: %016lx RCX: %016lx\n", regs->ax, regs->bx, regs->cx);
	printk("RDX: %016lx RSI: %016lx RDI: %016lx\n", regs->dx, regs->si, regs->di);
	printk("RBP: %016lx R08: %016lx R09: %016lx\n", regs->bp, regs->r8, regs->r9);
	printk("R10: %016lx R11: %016lx R12: %016lx\n", regs->r10, regs->r11, regs->r12);
	printk("R13: %016lx R14: %016lx R15: %016lx\n", regs->r13, regs->r14, regs->r15);
	if (!user_mode(regs))
		show_trace(0, regs->bp);
}
