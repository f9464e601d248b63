/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations on long bit strings, and CPU masks in terms of them. */
#include "cpumask.h"

#define BITMAP_LAST_WORD_MASK(bits) \
	((bits) % BITS_PER_LONG ? (1ul << ((bits) % BITS_PER_LONG)) - 1 : ~0ul)

/* Whole 64-bit words; only the last one is masked. */
noinline int __bitmap_empty(const unsigned long *bitmap, int bits)
{
	int k, lim = bits / BITS_PER_LONG;

	for (k = 0; k < lim; ++k) {
		if (((const volatile unsigned long *)bitmap)[k])
			return 0;
	}
	if (bits % BITS_PER_LONG) {
		if (((const volatile unsigned long *)bitmap)[k] & BITMAP_LAST_WORD_MASK(bits))
			return 0;
	}
	return 1;
}

noinline int __bitmap_andnot(unsigned long *dst, const unsigned long *a, const unsigned long *b,
			     int bits)
{
	unsigned long result = 0;
	int k;

	for (k = 0; k < (int)BITS_TO_LONGS(bits); k++)
		result |= dst[k] = a[k] & ~b[k];
	return result != 0;
}

noinline int __bitmap_weight(const unsigned long *bitmap, int bits)
{
	int k, w = 0;

	for (k = 0; k < (int)BITS_TO_LONGS(bits); k++) {
		unsigned long v = bitmap[k];

		for (; v; v &= v - 1)
			w++;
	}
	return w;
}

bool cpumask_any_but(const struct cpumask *m, unsigned int cpu)
{
	unsigned int k;

	for (k = 0; k < BITS_TO_LONGS(nr_cpu_ids); k++) {
		unsigned long v = m->bits[k];

		if (k == cpu / BITS_PER_LONG)
			v &= ~(1ul << (cpu % BITS_PER_LONG));
		if (v)
			return true;
	}
	return false;
}

bool cpumask_andnot_cpu(struct cpumask *dst, const struct cpumask *src, unsigned int cpu)
{
	unsigned long one[BITS_TO_LONGS(MAX_CPUS)] = { 0 };

	one[cpu / BITS_PER_LONG] = 1ul << (cpu % BITS_PER_LONG);
	return __bitmap_andnot(dst->bits, src->bits, one, (int)nr_cpu_ids);
}

unsigned int cpumask_next(unsigned int from, const struct cpumask *m)
{
	unsigned int k;

	if (from >= nr_cpu_ids)
		return nr_cpu_ids;
	for (k = from / BITS_PER_LONG; k < BITS_TO_LONGS(nr_cpu_ids); k++) {
		unsigned long v = m->bits[k];

		if (k == from / BITS_PER_LONG)
			v &= ~0ul << (from % BITS_PER_LONG);
		if (v) {
			unsigned int bit = k * BITS_PER_LONG + __builtin_ctzl(v);

			return bit < nr_cpu_ids ? bit : nr_cpu_ids;
		}
	}
	return nr_cpu_ids;
}
