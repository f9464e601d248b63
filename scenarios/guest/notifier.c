/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Chains of callbacks in order of priority, and the one for exceptions. */
#include "kernel.h"

struct atomic_notifier_head die_chain;

/* Callers serialise registration; readers see either the old or new chain. */
void atomic_notifier_chain_register(struct atomic_notifier_head *nh, struct notifier_block *nb)
{
	struct notifier_block **pos = &nh->head;

	while (*pos && (*pos)->priority >= nb->priority)
		pos = &(*pos)->next;
	nb->next = *pos;
	barrier();
	*pos = nb;
}

static noinline int notifier_call_chain(struct notifier_block *nb, unsigned long val, void *v)
{
	int ret = NOTIFY_DONE;

	while (nb) {
		struct notifier_block *next = nb->next;

		ret = nb->notifier_call(nb, val, v);
		if (ret & NOTIFY_STOP_MASK)
			break;
		nb = next;
	}
	return ret;
}

noinline int atomic_notifier_call_chain(struct atomic_notifier_head *nh, unsigned long val,
					void *v)
{
	return notifier_call_chain(nh->head, val, v);
}

noinline int notify_die(unsigned long val, struct pt_regs *regs, long err)
{
	struct die_args args = { regs, err };

	return atomic_notifier_call_chain(&die_chain, val, &args);
}
