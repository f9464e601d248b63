/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What every program of the corpus uses. */
#ifndef CORPUS_H
#define CORPUS_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long s64;
typedef unsigned __int128 u128;
typedef __int128 s128;

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NOINLINE __attribute__((noinline))

struct program {
	const char *name;
	u64 (*run)(void);
};

/* A program: returns a digest of everything it has computed. */
#define PROGRAM(name)                                                          \
	static u64 run_##name(void);                                           \
	static const struct program program_##name                             \
		__attribute__((used, section("programs"))) = {#name, run_##name}; \
	static u64 run_##name(void)

/* Unknown to the compiler, so that it computes nothing in advance. */
extern volatile u64 corpus_seed;

void *memcpy(void *to, const void *from, u64 bytes);
void *memmove(void *to, const void *from, u64 bytes);
void *memset(void *to, int byte, u64 bytes);
int memcmp(const void *a, const void *b, u64 bytes);

/* Adds a value to a digest. */
static inline u64 mix(u64 digest, u64 value)
{
	digest ^= value;
	digest *= 0x100000001b3;
	return digest ^ digest >> 29;
}

/* Marsaglia's xorshift. */
static inline u64 next(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
