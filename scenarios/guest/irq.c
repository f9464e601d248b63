/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Device interrupts: descriptors, flow handlers, do_IRQ. */
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "sched.h"

#define NO_IRQ 0xff

struct irq_desc irq_desc[NR_IRQS];

/* Vectors mean the same on every CPU here. */
static u8 vector_irq[256];
static unsigned int nr_irqs;

void irq_init(void)
{
	memset(vector_irq, NO_IRQ, sizeof(vector_irq));
}

int request_irq(unsigned int vector, irq_handler_t handler, unsigned long flags, const char *name,
		void *dev_id, bool edge)
{
	struct irq_desc *desc;
	struct irqaction *action;
	unsigned int irq;

	if (vector < FIRST_DEVICE_VECTOR || vector >= LOCAL_TIMER_VECTOR)
		return -EINVAL;
	irq = vector_irq[vector];
	if (irq == NO_IRQ) {
		if (nr_irqs == NR_IRQS)
			return -EBUSY;
		irq = nr_irqs++;
	}
	desc = &irq_desc[irq];
	if (desc->nr_actions == ARRAY_SIZE(desc->actions))
		return -EBUSY;
	action = &desc->actions[desc->nr_actions];
	*action = (struct irqaction){ handler, flags, name, dev_id, NULL, (int)irq };
	if (desc->nr_actions)
		desc->actions[desc->nr_actions - 1].next = action;
	else
		desc->action = action;
	desc->nr_actions++;
	desc->vector = vector;
	desc->handle_irq = edge ? handle_edge_irq : handle_fasteoi_irq;
	vector_irq[vector] = irq;
	return (int)irq;
}

/* Handlers run with interrupts on unless the first one asked otherwise. */
static noinline irqreturn_t handle_IRQ_event(unsigned int irq, struct irqaction *action)
{
	irqreturn_t ret, retval = IRQ_NONE;

	if (!(action->flags & IRQF_DISABLED))
		local_irq_enable();
	do {
		ret = action->handler((int)irq, action->dev_id);
		retval |= ret;
		action = action->next;
	} while (action);
	local_irq_disable();
	return retval;
}

/*
 * Message-signalled interrupts: acknowledged first, so that another one of
 * the same source can arrive meanwhile; it is then left to the loop of the
 * CPU that is already at it.
 */
noinline void handle_edge_irq(unsigned int irq, struct irq_desc *desc)
{
	irqreturn_t ret;

	spin_lock(&desc->lock);
	if (unlikely((desc->status & (IRQ_INPROGRESS | IRQ_DISABLED)) || !desc->action)) {
		desc->status |= IRQ_PENDING | IRQ_MASKED;
		ack_APIC_irq();
		goto out_unlock;
	}
	ack_APIC_irq();
	desc->status |= IRQ_INPROGRESS;
	do {
		desc->status &= ~(IRQ_PENDING | IRQ_MASKED);
		spin_unlock(&desc->lock);
		ret = handle_IRQ_event(irq, desc->action);
		spin_lock(&desc->lock);
		desc->kstat[ret == IRQ_NONE]++;
	} while (desc->status & IRQ_PENDING);
	desc->status &= ~IRQ_INPROGRESS;
out_unlock:
	spin_unlock(&desc->lock);
}

/* Line interrupts by way of the IO-APIC: acknowledged when they are done. */
noinline void handle_fasteoi_irq(unsigned int irq, struct irq_desc *desc)
{
	irqreturn_t ret;

	spin_lock(&desc->lock);
	if (likely(!(desc->status & (IRQ_INPROGRESS | IRQ_DISABLED)) && desc->action)) {
		desc->status |= IRQ_INPROGRESS;
		spin_unlock(&desc->lock);
		ret = handle_IRQ_event(irq, desc->action);
		spin_lock(&desc->lock);
		desc->kstat[ret == IRQ_NONE]++;
		desc->status &= ~IRQ_INPROGRESS;
	}
	ack_APIC_irq();
	spin_unlock(&desc->lock);
}

static noinline bool handle_irq(unsigned int irq, struct pt_regs *regs)
{
	struct irq_desc *desc = &irq_desc[irq];

	(void)regs;
	if (irq >= nr_irqs)
		return false;
	desc->handle_irq(irq, desc);
	return true;
}

unsigned int do_IRQ(struct pt_regs *regs);
noinline unsigned int do_IRQ(struct pt_regs *regs)
{
	unsigned int vector = ~(unsigned int)regs->orig_ax & 0xff;

	irq_enter();
	if (!handle_irq(vector_irq[vector], regs)) {
		ack_APIC_irq();
		printk("do_IRQ: %u.%u No irq handler for vector\n", smp_processor_id(), vector);
	}
	irq_exit();
	return 1;
}
