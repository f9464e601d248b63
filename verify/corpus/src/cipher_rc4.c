/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* RC4. */
#include "corpus.h"

PROGRAM(cipher_rc4)
{
	u8 state[256], i = 0, j = 0;
	u64 seed = corpus_seed, digest = 0;

	for (u32 n = 0; n < 256; n++)
		state[n] = (u8)n;
	for (u32 n = 0; n < 256; n++) {
		j += state[n] + (u8)(seed >> n % 8 * 8);
		u8 t = state[n];
		state[n] = state[j];
		state[j] = t;
	}
	j = 0;
	for (u32 n = 0; n < 400; n++) {
		j += state[++i];
		u8 t = state[i];
		state[i] = state[j];
		state[j] = t;
		digest = mix(digest, state[(u8)(state[i] + state[j])]);
	}
	return digest;
}
