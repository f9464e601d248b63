/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* FNV-1 and FNV-1a in 32 and 64 bits. */
#include "corpus.h"

PROGRAM(hash_fnv)
{
	u32 h32 = 0x811c9dc5, a32 = h32;
	u64 h64 = 0xcbf29ce484222325, a64 = h64, seed = corpus_seed;

	for (u32 i = 0; i < 400; i++) {
		u8 byte = (u8)(next(&seed) >> 3);
		h32 = h32 * 0x01000193 ^ byte;
		a32 = (a32 ^ byte) * 0x01000193;
		h64 = h64 * 0x100000001b3 ^ byte;
		a64 = (a64 ^ byte) * 0x100000001b3;
	}
	return mix(mix(h64, a64), (u64)h32 << 32 | a32);
}
