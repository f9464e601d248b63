/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The out-of-line lock functions, together in .spinlock.text. */
#include "spinlock.h"

#define __lockfunc noinline __section(".spinlock.text")

__lockfunc void _spin_lock(spinlock_t *lock)
{
	__ticket_spin_lock(lock);
}

/*
 * The fillers stand where the original has room for a tracing call and for a
 * paravirtual cli: the reload of the owner lies 37 bytes into the function,
 * where the post-mortem found the instruction pointer.
 */
__lockfunc void _spin_lock_irq(spinlock_t *lock)
{
	__asm__ volatile(".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n\t"
			 "cli\n\t"
			 ".byte 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00" ::: "memory");
	__ticket_spin_lock(lock);
}

/* Interrupts stay off while it spins, whatever they were before. */
__lockfunc unsigned long _spin_lock_irqsave(spinlock_t *lock)
{
	unsigned long flags = local_irq_save();

	__ticket_spin_lock(lock);
	return flags;
}

__lockfunc int _spin_trylock(spinlock_t *lock)
{
	return __ticket_spin_trylock(lock);
}

__lockfunc void _spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags)
{
	__ticket_spin_unlock(lock);
	local_irq_restore(flags);
}
