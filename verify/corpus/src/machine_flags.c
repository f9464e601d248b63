/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Flags of additions, rotations and double shifts, written out. */
#include "corpus.h"

PROGRAM(machine_flags)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 100; i++) {
		u64 x = next(&seed), y = next(&seed), flags, high = y;
		__asm__ volatile("addq %2, %0; adcq $3, %1; pushfq; popq %3"
				 : "+r"(x), "+r"(high), "+r"(y), "=r"(flags) : : "cc", "memory");
		digest = mix(mix(digest, x ^ high), flags & 0x8d5);
		__asm__ volatile("subb %b2, %b0; sbbl %k2, %k1; pushfq; popq %3"
				 : "+q"(x), "+r"(high), "+q"(y), "=r"(flags) : : "cc", "memory");
		digest = mix(mix(digest, x ^ high), flags & 0x8d5);
		__asm__ volatile("stc; rclq $1, %0; rcrl $1, %k1; pushfq; popq %2"
				 : "+r"(x), "+r"(high), "=r"(flags) : : "cc", "memory");
		digest = mix(mix(digest, x ^ high), flags & 1);
		__asm__ volatile("shldq $13, %1, %0; shrdl %%cl, %k0, %k1"
				 : "+r"(x), "+r"(high) : "c"(i % 31 + 1) : "cc");
		digest = mix(digest, x ^ high);
		__asm__ volatile("cmpq $5, %%rax; lahf; cmc; sahf; cwtl; cltq" : "+a"(x) : : "cc");
		digest = mix(digest, x & ~0xff00ul);
	}
	return digest;
}
