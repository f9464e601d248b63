/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Small programs with published verdicts, for two or three kernel threads: the
 * algorithms of SV-COMP's pthread-ext and of SCTBench, in their own words. A
 * thread that sees a wrong state never comes to its end.
 */
typedef struct {
	unsigned int slock;
} spinlock_t;

void _spin_lock(spinlock_t *lock);
long schedule_timeout_uninterruptible(long timeout);

#define LINE __attribute__((aligned(64)))

/* Inline in the kernel, too. */
static void _spin_unlock(spinlock_t *lock)
{
	__asm__ volatile("incw %0" : "+m"(*(volatile unsigned short *)&lock->slock)::"memory", "cc");
}

static void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static void fence(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

static long xchg(volatile long *word, long value)
{
	__asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(*word)::"memory");
	return value;
}

static long xadd(volatile long *word, long value)
{
	__asm__ volatile("lock xadd %0, %1" : "+r"(value), "+m"(*word)::"memory");
	return value;
}

static void assert(int holds)
{
	while (!holds)
		schedule_timeout_uninterruptible(~0ul >> 1);
}

static void pass_time(int turns)
{
	while (turns--)
		cpu_relax();
}

/* A critical section: nobody else may be in it. */
static volatile long inside LINE;

static void critical(long me)
{
	inside = me;
	pass_time(60);
	assert(inside == me);
}

/* SV-COMP pthread-ext 05_tas: test and set; @atomic: in one instruction. */
static volatile long tas_lock LINE;

void tas(long me, long atomic)
{
	if (atomic) {
		while (xchg(&tas_lock, 1))
			while (tas_lock)
				cpu_relax();
	} else {
		while (tas_lock)
			cpu_relax();
		tas_lock = 1;
	}
	critical(me);
	tas_lock = 0;
}

/* SV-COMP pthread-ext 06_ticket. */
static volatile long ticket_next LINE, ticket_owner LINE;

void ticket(long me, long atomic)
{
	long mine;

	if (atomic)
		mine = xadd(&ticket_next, 1);
	else
		mine = ticket_next++;
	while (ticket_owner != mine)
		cpu_relax();
	critical(me);
	ticket_owner++;
}

/* SV-COMP pthread-ext 14_spin2003: what is written under the lock is read there. */
static volatile long spin_x LINE;

void spin2003(spinlock_t *lock)
{
	_spin_lock(lock);
	spin_x = 0;
	spin_x = 1;
	assert(spin_x == 1);
	_spin_unlock(lock);
}

static struct {
	volatile long word LINE;
} wants[2];
static volatile long turn LINE;

/* SV-COMP pthread-ext 15_dekker. */
void dekker(long me, long fenced)
{
	long other = 1 - me;

	wants[me].word = 1;
	if (fenced)
		fence();
	while (wants[other].word) {
		if (turn == me)
			continue;
		wants[me].word = 0;
		while (turn != me)
			cpu_relax();
		wants[me].word = 1;
		if (fenced)
			fence();
	}
	critical(me);
	turn = other;
	wants[me].word = 0;
}

/* SV-COMP pthread-ext 16_peterson. */
void peterson(long me, long fenced)
{
	long other = 1 - me;

	wants[me].word = 1;
	turn = other;
	if (fenced)
		fence();
	while (wants[other].word && turn == other)
		cpu_relax();
	critical(me);
	wants[me].word = 0;
}

/* SCTBench account: deposits 2 to and withdraws 4 from an account of 1. */
static volatile long balance LINE = 1;
static volatile long deposited, withdrawn;

void account_move(spinlock_t *lock)
{
	_spin_lock(lock);
	balance += 2;
	deposited = 1;
	_spin_unlock(lock);
	pass_time(8);
	_spin_lock(lock);
	balance -= 4;
	withdrawn = 1;
	_spin_unlock(lock);
}

/* The mistake is in what it takes for the result. */
void account_check(spinlock_t *lock)
{
	_spin_lock(lock);
	if (deposited && withdrawn)
		assert(balance == 1 - 2 - 4);
	_spin_unlock(lock);
}

/* SCTBench lazy01: 1 and 2 are added; whoever looks must not see 3. */
static volatile long lazy LINE;

void lazy_add(spinlock_t *lock)
{
	_spin_lock(lock);
	lazy += 1;
	_spin_unlock(lock);
	pass_time(8);
	_spin_lock(lock);
	lazy += 2;
	_spin_unlock(lock);
}

void lazy_look(spinlock_t *lock)
{
	_spin_lock(lock);
	assert(lazy < 3);
	_spin_unlock(lock);
}

/* SCTBench twostage: the second value follows the first, each under its lock. */
static volatile long stage_one LINE, stage_two LINE;

void twostage_write(spinlock_t *one, spinlock_t *two)
{
	_spin_lock(one);
	stage_one = 1;
	_spin_unlock(one);
	pass_time(150);
	_spin_lock(two);
	stage_two = stage_one + 1;
	_spin_unlock(two);
}

void twostage_read(spinlock_t *one, spinlock_t *two)
{
	long first, second;

	_spin_lock(one);
	first = stage_one;
	_spin_unlock(one);
	if (!first)
		return;
	_spin_lock(two);
	second = stage_two;
	_spin_unlock(two);
	assert(second == first + 1);
}

/* SCTBench wronglock: the two threads take different locks. */
static volatile long datum LINE;

void wronglock_check(spinlock_t *lock)
{
	long before;

	_spin_lock(lock);
	before = datum;
	pass_time(20);
	datum = datum + 1;
	assert(datum == before + 1);
	_spin_unlock(lock);
}

void wronglock_add(spinlock_t *lock)
{
	_spin_lock(lock);
	datum = datum + 1;
	_spin_unlock(lock);
}

/* Both CPUs have copies of everything then, so that a store takes its time to become visible. */
void warm_up(void)
{
	(void)(inside + tas_lock + ticket_next + ticket_owner + wants[0].word + wants[1].word + turn);
}
