/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* LZ77 with a small window, and back. */
#include "corpus.h"

PROGRAM(string_lz)
{
	u8 text[400], packed[1300], back[400] = {0};
	u32 used = 0, made = 0;
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(text); i++)
		text[i] = (u8)("abcab"[next(&seed) % 5] + i / 200);
	for (u32 at = 0; at < COUNT(text);) {
		u32 best = 0, far = 0;
		for (u32 back_by = 1; back_by <= 32 && back_by <= at; back_by++) {
			u32 n = 0;
			while (n < 18 && at + n < COUNT(text) && text[at + n] == text[at + n - back_by])
				n++;
			if (n > best)
				best = n, far = back_by;
		}
		packed[used++] = (u8)far;
		packed[used++] = (u8)best;
		at += best;
		packed[used++] = at < COUNT(text) ? text[at++] : 0;
	}
	for (u32 i = 0; i < used; i += 3) {
		for (u32 n = 0; n < packed[i + 1]; n++, made++)
			back[made] = back[made - packed[i]];
		if (made < COUNT(back))
			back[made++] = packed[i + 2];
	}
	digest = mix(digest, used);
	digest = mix(digest, (u64)memcmp(text, back, sizeof(text)));
	for (u32 i = 0; i < used; i++)
		digest = mix(digest, packed[i]);
	return digest;
}
