/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Run lengths coded and decoded. */
#include "corpus.h"

PROGRAM(string_runs)
{
	u8 text[300], back[300];
	u32 made = 0;
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(text);) {
		u8 byte = (u8)next(&seed);
		for (u32 n = 1 + next(&seed) % 12; n > 0 && i < COUNT(text); n--)
			text[i++] = byte;
	}
	for (u32 i = 0; i < COUNT(text);) {
		u32 run = 1;
		while (i + run < COUNT(text) && text[i + run] == text[i])
			run++;
		memset(back + made, text[i], run);
		digest = mix(digest, run << 8 | text[i]);
		made += run;
		i += run;
	}
	return mix(digest, (u64)memcmp(text, back, sizeof(text)));
}
