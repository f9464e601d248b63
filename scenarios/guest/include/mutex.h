/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sleeping locks: mutexes, and the writer side of read/write semaphores. */
#ifndef GUEST_MUTEX_H
#define GUEST_MUTEX_H

#include "list.h"
#include "spinlock.h"

struct thread_info;

struct mutex {
	atomic_t count; /* 1 free, 0 held, negative: held with sleepers */
	spinlock_t wait_lock;
	struct list_head wait_list;
	struct thread_info *owner;
};

_Static_assert(sizeof(struct mutex) == 32, "layout");
_Static_assert(offsetof(struct mutex, wait_lock) == 4, "layout");
_Static_assert(offsetof(struct mutex, owner) == 24, "layout");

#define MUTEX_INITIALIZER(name) \
	{ .count = { 1 }, .wait_list = LIST_HEAD_INIT((name).wait_list) }
#define DEFINE_MUTEX(name) struct mutex name = MUTEX_INITIALIZER(name)

void mutex_init(struct mutex *lock);
void mutex_lock(struct mutex *lock);
int mutex_lock_interruptible(struct mutex *lock);
int mutex_trylock(struct mutex *lock);
void mutex_unlock(struct mutex *lock);

struct rw_semaphore {
	atomic_t count; /* 0 free, 1 written to */
	spinlock_t wait_lock;
	struct list_head wait_list;
};

void init_rwsem(struct rw_semaphore *sem);
void down_write(struct rw_semaphore *sem);
void up_write(struct rw_semaphore *sem);

#endif
