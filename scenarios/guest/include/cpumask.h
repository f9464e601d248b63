/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * CPU masks: room for NR_CPUS bits, of which operations touch the words
 * below nr_cpu_ids only, as with masks kept off the stack.
 */
#ifndef GUEST_CPUMASK_H
#define GUEST_CPUMASK_H

#include "bitops.h"

#define BITS_TO_LONGS(n) (((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)

struct cpumask {
	unsigned long bits[BITS_TO_LONGS(NR_CPUS)];
};

extern unsigned int nr_cpu_ids;
extern struct cpumask cpu_online_mask;

int __bitmap_empty(const unsigned long *bitmap, int bits);
int __bitmap_andnot(unsigned long *dst, const unsigned long *a, const unsigned long *b, int bits);
int __bitmap_weight(const unsigned long *bitmap, int bits);

static inline bool cpumask_empty(const struct cpumask *m)
{
	return __bitmap_empty(m->bits, nr_cpu_ids);
}

static inline unsigned int cpumask_weight(const struct cpumask *m)
{
	return __bitmap_weight(m->bits, nr_cpu_ids);
}

static inline bool cpumask_test_cpu(unsigned int cpu, const struct cpumask *m)
{
	return test_bit(cpu, m->bits);
}

static inline void cpumask_set_cpu(unsigned int cpu, struct cpumask *m)
{
	set_bit(cpu, m->bits);
}

static inline void cpumask_clear_cpu(unsigned int cpu, struct cpumask *m)
{
	clear_bit(cpu, m->bits);
}

static inline bool cpumask_test_and_set_cpu(unsigned int cpu, struct cpumask *m)
{
	return test_and_set_bit(cpu, m->bits);
}

/* True if a bit is set in @m besides that of @cpu. */
bool cpumask_any_but(const struct cpumask *m, unsigned int cpu);

/* dst = src without @cpu; plain stores; false if nothing is left. */
bool cpumask_andnot_cpu(struct cpumask *dst, const struct cpumask *src, unsigned int cpu);

/* The first set bit at or above @from, or nr_cpu_ids. */
unsigned int cpumask_next(unsigned int from, const struct cpumask *m);

#define for_each_cpu(cpu, mask)                                          \
	for ((cpu) = cpumask_next(0, (mask)); (cpu) < nr_cpu_ids; \
	     (cpu) = cpumask_next((cpu) + 1, (mask)))

#endif
