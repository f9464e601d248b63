/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Atomic variables, bit operations and the barriers of x86-TSO. */
#ifndef GUEST_BITOPS_H
#define GUEST_BITOPS_H

#include "types.h"

typedef struct {
	volatile int counter;
} atomic_t;

#define mb() __asm__ volatile("mfence" ::: "memory")
#define smp_mb() mb()
#define smp_rmb() barrier() /* loads are not reordered with loads */
#define smp_wmb() barrier() /* stores are not reordered with stores */
#define wmb() __asm__ volatile("sfence" ::: "memory")

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline int atomic_read(const atomic_t *v)
{
	return v->counter;
}

static inline void atomic_set(atomic_t *v, int i)
{
	v->counter = i;
}

static inline void atomic_inc(atomic_t *v)
{
	__asm__ volatile("lock incl %0" : "+m"(v->counter) : : "memory");
}

static inline void atomic_dec(atomic_t *v)
{
	__asm__ volatile("lock decl %0" : "+m"(v->counter) : : "memory");
}

static inline bool atomic_dec_and_test(atomic_t *v)
{
	u8 zero;

	__asm__ volatile("lock decl %0; sete %1" : "+m"(v->counter), "=qm"(zero) : : "memory");
	return zero;
}

static inline int atomic_add_return(int i, atomic_t *v)
{
	int old = i;

	__asm__ volatile("lock xaddl %0, %1" : "+r"(old), "+m"(v->counter) : : "memory");
	return old + i;
}

static inline int atomic_cmpxchg(atomic_t *v, int old, int new)
{
	int prev;

	__asm__ volatile("lock cmpxchgl %2, %1"
			 : "=a"(prev), "+m"(v->counter) : "r"(new), "0"(old) : "memory");
	return prev;
}

static inline int atomic_xchg(atomic_t *v, int new)
{
	__asm__ volatile("xchgl %0, %1" : "+r"(new), "+m"(v->counter) : : "memory");
	return new;
}

/* The word that holds bit @nr: the bit offset of the instruction stays below 32. */
#define BIT_WORD(nr, addr) (((volatile u32 *)(addr))[(nr) / 32])

static inline void set_bit(unsigned int nr, volatile void *addr)
{
	__asm__ volatile("lock btsl %1, %0" : "+m"(BIT_WORD(nr, addr)) : "r"(nr & 31) : "memory");
}

static inline void clear_bit(unsigned int nr, volatile void *addr)
{
	__asm__ volatile("lock btrl %1, %0" : "+m"(BIT_WORD(nr, addr)) : "r"(nr & 31) : "memory");
}

static inline bool test_and_set_bit(unsigned int nr, volatile void *addr)
{
	u8 was;

	__asm__ volatile("lock btsl %2, %0; setc %1"
			 : "+m"(BIT_WORD(nr, addr)), "=qm"(was) : "r"(nr & 31) : "memory");
	return was;
}

static inline bool test_bit(unsigned int nr, const volatile void *addr)
{
	return (((const volatile unsigned long *)addr)[nr / BITS_PER_LONG] >>
		(nr % BITS_PER_LONG)) & 1;
}

#endif
