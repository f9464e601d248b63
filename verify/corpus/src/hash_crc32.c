/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* CRC-32 (IEEE 802.3), bit by bit and by table. */
#include "corpus.h"

static u32 by_bits(const u8 *data, u64 bytes)
{
	u32 crc = ~0u;

	while (bytes--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

PROGRAM(hash_crc32)
{
	u8 data[200];
	u32 table[256], crc = ~0u;
	u64 seed = corpus_seed;

	for (u32 i = 0; i < COUNT(data); i++)
		data[i] = (u8)next(&seed);
	for (u32 i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (-(table[i] & 1) & 0xedb88320);
	}
	for (u32 i = 0; i < COUNT(data); i++)
		crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
	return mix(by_bits(data, sizeof(data)), ~crc);
}
