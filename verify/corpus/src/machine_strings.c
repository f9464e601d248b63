/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* String instructions, written out: MOVS, STOS, SCAS, CMPS, LODS with prefixes. */
#include "corpus.h"

PROGRAM(machine_strings)
{
	u8 a[100], b[100] = {0};
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = (u8)(next(&seed) | 1);
	for (u32 n = 0; n < 12; n++) {
		const void *from = a + n;
		void *to = b;
		u64 count = 3 * n, left;
		__asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
		count = n / 2;
		__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(seed) : "memory");
		b[60] = 0;
		to = b;
		left = 99;
		__asm__ volatile("repne scasb" : "+D"(to), "+c"(left) : "a"(0) : "cc", "memory");
		digest = mix(digest, left);
		from = a + n, to = b, left = 80;
		__asm__ volatile("repe cmpsb" : "+S"(from), "+D"(to), "+c"(left) : : "cc", "memory");
		digest = mix(digest, left);
		from = b + 96, count = 0;
		__asm__ volatile("std; lodsl; lodsw; lodsb; cld" : "+S"(from), "+a"(count) : : "cc", "memory");
		digest = mix(digest, count ^ (u64)((u8 *)from - b));
		for (u32 i = 0; i < 60; i++)
			digest = mix(digest, b[i]);
		b[95] = (u8)seed, b[96] = (u8)n;
	}
	return digest;
}
