/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The interrupt descriptor table, exceptions, page faults and NMIs. */
#include "cpu.h"
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

struct gate_struct {
	u16 offset_low, segment;
	u16 attributes; /* bits 0-2: IST, bit 15: present, 8-11: type, 13-14: DPL */
	u16 offset_middle;
	u32 offset_high, zero;
};

struct desc_ptr {
	u16 limit;
	u64 base;
} __attribute__((packed));

#define GATE_INTERRUPT 0x8e00
#define GATE_INTERRUPT_USER 0xee00

static struct gate_struct idt_table[256] __aligned(4096);
struct desc_ptr idt_descr = { sizeof(idt_table) - 1, (u64)idt_table };

extern char irq_entries_start[];
#define STUB(name) extern char name[]
STUB(divide_error);
STUB(debug);
STUB(nmi);
STUB(int3);
STUB(overflow);
STUB(bounds);
STUB(invalid_op);
STUB(device_not_available);
STUB(double_fault);
STUB(segment_not_present);
STUB(stack_segment);
STUB(general_protection);
STUB(page_fault);
STUB(alignment_check);
STUB(apic_timer_interrupt);
STUB(reschedule_interrupt);
STUB(call_function_interrupt);
STUB(call_function_single_interrupt);
STUB(reboot_interrupt);
STUB(error_interrupt);
STUB(spurious_interrupt);
STUB(invalidate_interrupt0);
STUB(invalidate_interrupt1);
STUB(invalidate_interrupt2);
STUB(invalidate_interrupt3);
STUB(invalidate_interrupt4);
STUB(invalidate_interrupt5);
STUB(invalidate_interrupt6);
STUB(invalidate_interrupt7);

static void set_gate(unsigned int vector, const void *stub, u16 attributes)
{
	u64 addr = (u64)stub;
	struct gate_struct *g = &idt_table[vector];

	g->offset_low = addr;
	g->segment = __KERNEL_CS;
	g->attributes = attributes;
	g->offset_middle = addr >> 16;
	g->offset_high = addr >> 32;
}

static void set_intr_gate(unsigned int vector, const void *stub)
{
	set_gate(vector, stub, GATE_INTERRUPT);
}

void idt_init(void)
{
	static const char *const invalidate[NUM_INVALIDATE_TLB_VECTORS] = {
		invalidate_interrupt0, invalidate_interrupt1, invalidate_interrupt2,
		invalidate_interrupt3, invalidate_interrupt4, invalidate_interrupt5,
		invalidate_interrupt6, invalidate_interrupt7,
	};
	unsigned int i;

	for (i = FIRST_DEVICE_VECTOR; i < 256; i++)
		set_intr_gate(i, irq_entries_start + 16 * (i - FIRST_DEVICE_VECTOR));
	set_intr_gate(0, divide_error);
	set_intr_gate(1, debug);
	set_gate(NMI_VECTOR, nmi, GATE_INTERRUPT | NMI_STACK);
	set_gate(3, int3, GATE_INTERRUPT_USER);
	set_gate(4, overflow, GATE_INTERRUPT_USER);
	set_intr_gate(5, bounds);
	set_intr_gate(6, invalid_op);
	set_intr_gate(7, device_not_available);
	set_gate(8, double_fault, GATE_INTERRUPT | DOUBLEFAULT_STACK);
	set_intr_gate(11, segment_not_present);
	set_intr_gate(12, stack_segment);
	set_intr_gate(13, general_protection);
	set_intr_gate(14, page_fault);
	set_intr_gate(17, alignment_check);
	set_intr_gate(LOCAL_TIMER_VECTOR, apic_timer_interrupt);
	set_intr_gate(RESCHEDULE_VECTOR, reschedule_interrupt);
	set_intr_gate(CALL_FUNCTION_VECTOR, call_function_interrupt);
	set_intr_gate(CALL_FUNCTION_SINGLE_VECTOR, call_function_single_interrupt);
	set_intr_gate(REBOOT_VECTOR, reboot_interrupt);
	set_intr_gate(ERROR_APIC_VECTOR, error_interrupt);
	set_intr_gate(SPURIOUS_APIC_VECTOR, spurious_interrupt);
	for (i = 0; i < NUM_INVALIDATE_TLB_VECTORS; i++)
		set_intr_gate(INVALIDATE_TLB_VECTOR_START + i, invalidate[i]);
}

/* A user task that trips is killed; the kernel itself panics. */
static void do_trap(const char *what, struct pt_regs *regs, long err)
{
	if (user_mode(regs)) {
		printk("%s[%d] trap %s ip:%lx sp:%lx error:%lx\n", current->comm, current->pid,
		       what, regs->ip, regs->sp, err);
		local_irq_enable();
		do_exit(128);
	}
	die(what, regs, err);
}

#define DO_TRAP(name, what)                             \
	void do_##name(struct pt_regs *regs, long err); \
	noinline void do_##name(struct pt_regs *regs, long err) { do_trap(what, regs, err); }

DO_TRAP(divide_error, "divide error")
DO_TRAP(debug, "debug")
DO_TRAP(int3, "int3")
DO_TRAP(overflow, "overflow")
DO_TRAP(bounds, "bounds")
DO_TRAP(invalid_op, "invalid opcode")
DO_TRAP(device_not_available, "device not available")
DO_TRAP(segment_not_present, "segment not present")
DO_TRAP(stack_segment, "stack segment")
DO_TRAP(general_protection, "general protection fault")
DO_TRAP(alignment_check, "alignment check")

void do_double_fault(struct pt_regs *regs, long err);
noinline void do_double_fault(struct pt_regs *regs, long err)
{
	die("double fault", regs, err);
}

/* There is no demand paging: every fault is an error of its cause. */
void do_page_fault(struct pt_regs *regs, unsigned long err);
noinline void do_page_fault(struct pt_regs *regs, unsigned long err)
{
	unsigned long addr = read_cr2();

	if (user_mode(regs)) {
		printk("%s[%d]: segfault at %lx ip %lx sp %lx error %lx\n", current->comm,
		       current->pid, addr, regs->ip, regs->sp, err);
		local_irq_enable();
		do_exit(139);
	}
	oops_in_progress++;
	printk("BUG: unable to handle kernel %s at ",
	       addr < PAGE_SIZE ? "NULL pointer dereference" : "paging request");
	if (addr)
		printk("%016lx\n", addr);
	else
		printk("(null)\n");
	print_symbol_line("IP: ", regs->ip);
	oops_in_progress--;
	die("Oops", regs, err);
}

/*
 * Not interruptible by a second NMI until iret. Only the notifiers know who
 * caused it; without a taker it is merely counted.
 */
void do_nmi(struct pt_regs *regs, long err);
noinline void do_nmi(struct pt_regs *regs, long err)
{
	struct thread_info *ti = current_thread_info();

	BUG_ON(ti->preempt_count & NMI_OFFSET);
	ti->preempt_count += NMI_OFFSET + HARDIRQ_OFFSET;
	this_cpu()->nmi_count++;
	notify_die(DIE_NMI_IPI, regs, err);
	ti->preempt_count -= NMI_OFFSET + HARDIRQ_OFFSET;
}
