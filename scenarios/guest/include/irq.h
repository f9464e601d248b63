/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Interrupt descriptors, soft interrupts, the local APIC and CPU cross-calls. */
#ifndef GUEST_IRQ_H
#define GUEST_IRQ_H

#include "cpumask.h"
#include "list.h"
#include "ptrace.h"
#include "spinlock.h"

typedef int irqreturn_t;
typedef irqreturn_t (*irq_handler_t)(int irq, void *dev_id);
#define IRQ_NONE 0
#define IRQ_HANDLED 1

#define IRQF_DISABLED 0x20
#define IRQF_SHARED 0x80

#define IRQ_INPROGRESS 0x100
#define IRQ_DISABLED 0x200
#define IRQ_PENDING 0x400
#define IRQ_MASKED 0x800

#define NR_IRQS 64

struct irqaction {
	irq_handler_t handler;
	unsigned long flags;
	const char *name;
	void *dev_id;
	struct irqaction *next;
	int irq;
};

struct irq_desc {
	spinlock_t lock;
	unsigned int status;
	struct irqaction *action;
	void (*handle_irq)(unsigned int irq, struct irq_desc *desc);
	unsigned int vector;
	unsigned long kstat[2]; /* handled, unhandled */
	struct irqaction actions[2]; /* storage for the shared handlers */
	unsigned int nr_actions;
};

extern struct irq_desc irq_desc[NR_IRQS];

void irq_init(void);
/* Binds @handler to @vector; the first call for a vector makes its irq number. */
int request_irq(unsigned int vector, irq_handler_t handler, unsigned long flags, const char *name,
		void *dev_id, bool edge);
void handle_edge_irq(unsigned int irq, struct irq_desc *desc);
void handle_fasteoi_irq(unsigned int irq, struct irq_desc *desc);

#define TIMER_SOFTIRQ 1
void raise_softirq_irqoff(unsigned int nr);
void do_softirq(void);

void idt_init(void);

/* apic.c */
struct apic {
	const char *name;
	void (*send_IPI_mask)(const struct cpumask *mask, int vector);
	void (*send_IPI_one)(unsigned int cpu, int vector);
	void (*send_IPI_allbutself)(int vector);
};

extern const struct apic *apic;
extern bool x2apic_mode;

#define APIC_BASE 0xffffffffff5fc000ul /* fixmap page of the xAPIC registers */
#define X2APIC_MSR_BASE 0x800

#define APIC_ID 0x20
#define APIC_TASKPRI 0x80
#define APIC_EOI 0xb0
#define APIC_SPIV 0xf0
#define APIC_SPIV_APIC_ENABLED 0x100
#define APIC_ICR 0x300
#define APIC_ICR_BUSY 0x1000
#define APIC_ICR2 0x310
#define APIC_LVTT 0x320
#define APIC_LVTPC 0x340
#define APIC_LVT0 0x350
#define APIC_LVT1 0x360
#define APIC_LVTERR 0x370
#define APIC_LVT_MASKED 0x10000
#define APIC_DM_NMI 0x400
#define APIC_TMICT 0x380
#define APIC_TDCR 0x3e0
#define APIC_TDR_DIV_1 0xb

/* Registers are a matter of every tick: no call by pointer for them. */
static inline void apic_write(u32 reg, u32 v)
{
	if (unlikely(x2apic_mode))
		wrmsrl(X2APIC_MSR_BASE + (reg >> 4), v);
	else
		writel(v, (void *)(APIC_BASE + reg));
}

static inline void ack_APIC_irq(void)
{
	apic_write(APIC_EOI, 0);
}

/* One-shot; 0 stops it. */
static inline void apic_program_timer(u32 ticks)
{
	apic_write(APIC_TMICT, ticks);
}

void apic_select(void);
void setup_local_APIC(void);

/* smp.c */
void smp_send_reschedule(int cpu);
int smp_call_function_single(int cpu, void (*func)(void *), void *info, int wait);
void smp_call_function_many(const struct cpumask *mask, void (*func)(void *), void *info,
			    bool wait);
int smp_call_function(void (*func)(void *), void *info, int wait);
void smp_call_init_cpu(int cpu);

#endif
