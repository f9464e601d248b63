/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A ticket lock and a read-write lock of one CPU. */
#include "corpus.h"

struct ticket_lock {
	u16 owner, next;
};

static struct ticket_lock ticket;
static s32 rw;

static NOINLINE void lock(void)
{
	u16 mine = __atomic_fetch_add(&ticket.next, 1, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&ticket.owner, __ATOMIC_ACQUIRE) != mine)
		__builtin_ia32_pause();
}

static NOINLINE void unlock(void)
{
	__atomic_store_n(&ticket.owner, ticket.owner + 1, __ATOMIC_RELEASE);
}

static NOINLINE int try_read(void)
{
	s32 seen = __atomic_load_n(&rw, __ATOMIC_RELAXED);

	while (seen >= 0)
		if (__atomic_compare_exchange_n(&rw, &seen, seen + 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return 1;
	return 0;
}

static NOINLINE int try_write(void)
{
	s32 none = 0;

	return __atomic_compare_exchange_n(&rw, &none, -1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

PROGRAM(atomic_ticket)
{
	u64 seed = corpus_seed, digest = 0;

	ticket = (struct ticket_lock){0, 0};
	rw = 0;
	for (int i = 0; i < 100; i++) {
		lock();
		u64 choice = next(&seed) & 3;
		if (choice == 0)
			digest = mix(digest, (u64)try_write());
		else if (choice == 1)
			digest = mix(digest, (u64)try_read());
		else
			__atomic_store_n(&rw, rw < 0 ? 0 : rw > 0 ? rw - 1 : 0, __ATOMIC_SEQ_CST);
		digest = mix(digest, (u64)rw);
		unlock();
	}
	return mix(digest, (u64)ticket.owner << 16 | ticket.next);
}
