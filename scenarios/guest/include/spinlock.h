/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Ticket spinlocks in the 16-bit form: bits 0-15 hold the owner ("now
 * serving"), bits 16-31 the next ticket. Locking is out of line, releasing
 * is inlined except for the irqrestore form (reference section 1).
 */
#ifndef GUEST_SPINLOCK_H
#define GUEST_SPINLOCK_H

#include "processor.h"

typedef struct {
	volatile u32 slock;
} spinlock_t;

#define SPIN_LOCK_UNLOCKED { 0 }
#define DEFINE_SPINLOCK(x) spinlock_t x = SPIN_LOCK_UNLOCKED

/* One plain 32-bit store; nothing checks that the lock is free. */
static __always_inline void spin_lock_init(spinlock_t *lock)
{
	lock->slock = 0;
}

/*
 * The lock's address stays in RDI, the ticket in EAX and the owner last read
 * in EDX: whoever looks at a spinning CPU can tell what it waits for.
 */
static __always_inline void __ticket_spin_lock(spinlock_t *lock)
{
	__asm__ volatile("movl $0x10000, %%eax\n\t"
			 "lock xaddl %%eax, (%%rdi)\n\t"
			 "movzwl %%ax, %%edx\n\t"
			 "shrl $16, %%eax\n"
			 "1:\tcmpl %%eax, %%edx\n\t"
			 "je 2f\n\t"
			 "pause\n\t"
			 "movzwl (%%rdi), %%edx\n\t"
			 "jmp 1b\n"
			 "2:"
			 : : "D"(lock) : "rax", "rdx", "memory", "cc");
}

/* A failed attempt leaves no store behind and never queues. */
static __always_inline bool __ticket_spin_trylock(spinlock_t *lock)
{
	u32 old = lock->slock;
	u32 new = old + 0x10000;
	u8 taken;

	if ((old >> 16) != (old & 0xffff))
		return false;
	__asm__ volatile("lock cmpxchgl %3, %1; sete %2"
			 : "+a"(old), "+m"(lock->slock), "=q"(taken) : "r"(new) : "memory");
	return taken;
}

/* Owner half only, and no LOCK prefix: a 16-bit load, add and store. */
static __always_inline void __ticket_spin_unlock(spinlock_t *lock)
{
	__asm__ volatile("incw %0" : "+m"(*(volatile u16 *)&lock->slock) : : "memory", "cc");
}

static inline bool spin_is_locked(const spinlock_t *lock)
{
	u32 v = lock->slock;

	return (v >> 16) != (v & 0xffff);
}

void _spin_lock(spinlock_t *lock);
void _spin_lock_irq(spinlock_t *lock);
unsigned long _spin_lock_irqsave(spinlock_t *lock);
int _spin_trylock(spinlock_t *lock);
void _spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags);

static __always_inline void _spin_unlock(spinlock_t *lock)
{
	__ticket_spin_unlock(lock);
}

static __always_inline void _spin_unlock_irq(spinlock_t *lock)
{
	__ticket_spin_unlock(lock);
	local_irq_enable();
}

#define spin_lock(l) _spin_lock(l)
#define spin_lock_irq(l) _spin_lock_irq(l)
#define spin_lock_irqsave(l, flags) ((flags) = _spin_lock_irqsave(l))
#define spin_trylock(l) _spin_trylock(l)
#define spin_unlock(l) _spin_unlock(l)
#define spin_unlock_irq(l) _spin_unlock_irq(l)
#define spin_unlock_irqrestore(l, flags) _spin_unlock_irqrestore(l, flags)

/* Sequence lock: readers retry, the writer is exclusive. */
typedef struct {
	volatile unsigned int sequence;
	spinlock_t lock;
} seqlock_t;

static inline void write_seqlock(seqlock_t *sl)
{
	spin_lock(&sl->lock);
	sl->sequence++;
	smp_wmb();
}

static inline void write_sequnlock(seqlock_t *sl)
{
	smp_wmb();
	sl->sequence++;
	spin_unlock(&sl->lock);
}

static inline unsigned int read_seqbegin(const seqlock_t *sl)
{
	unsigned int s;

	while ((s = sl->sequence) & 1)
		cpu_relax();
	smp_rmb();
	return s;
}

static inline bool read_seqretry(const seqlock_t *sl, unsigned int start)
{
	smp_rmb();
	return sl->sequence != start;
}

#endif
