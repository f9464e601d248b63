/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* CRC-64 (ECMA-182). */
#include "corpus.h"

PROGRAM(hash_crc64)
{
	u64 crc = 0, seed = corpus_seed;

	for (u32 i = 0; i < 150; i++) {
		crc ^= next(&seed) << 56;
		for (int bit = 0; bit < 8; bit++)
			crc = (s64)crc < 0 ? crc << 1 ^ 0x42f0e1eba9ea3693 : crc << 1;
	}
	return crc;
}
