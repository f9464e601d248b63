/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Mutexes without optimistic spinning: who does not get one goes to sleep. */
#include "kernel.h"
#include "sched.h"

struct mutex_waiter {
	struct list_head list;
	struct task_struct *task;
};

void mutex_init(struct mutex *lock)
{
	atomic_set(&lock->count, 1);
	spin_lock_init(&lock->wait_lock);
	INIT_LIST_HEAD(&lock->wait_list);
	lock->owner = NULL;
}

static noinline int __mutex_lock_slowpath(struct mutex *lock, long state)
{
	struct task_struct *task = current;
	struct mutex_waiter waiter = { .task = task };
	int ret = 0;

	spin_lock(&lock->wait_lock);
	list_add_tail(&waiter.list, &lock->wait_list);
	while (atomic_xchg(&lock->count, -1) != 1) {
		if (signal_pending_state(state, task)) {
			ret = -EINTR;
			break;
		}
		__set_current_state(state);
		spin_unlock(&lock->wait_lock);
		schedule();
		spin_lock(&lock->wait_lock);
	}
	__set_current_state(TASK_RUNNING);
	list_del(&waiter.list);
	/* Nobody else waits: the next unlock may take the short way again. */
	if (ret == 0 && list_empty(&lock->wait_list))
		atomic_set(&lock->count, 0);
	spin_unlock(&lock->wait_lock);
	return ret;
}

static int __mutex_lock(struct mutex *lock, long state)
{
	int ret = 0;

	might_sleep();
	if (atomic_add_return(-1, &lock->count) < 0)
		ret = __mutex_lock_slowpath(lock, state);
	if (ret == 0)
		lock->owner = current_thread_info();
	return ret;
}

noinline void mutex_lock(struct mutex *lock)
{
	__mutex_lock(lock, TASK_UNINTERRUPTIBLE);
}

noinline int mutex_lock_interruptible(struct mutex *lock)
{
	return __mutex_lock(lock, TASK_INTERRUPTIBLE);
}

noinline int mutex_trylock(struct mutex *lock)
{
	if (atomic_cmpxchg(&lock->count, 1, 0) != 1)
		return 0;
	lock->owner = current_thread_info();
	return 1;
}

static noinline void __mutex_unlock_slowpath(struct mutex *lock)
{
	spin_lock(&lock->wait_lock);
	atomic_set(&lock->count, 1);
	if (!list_empty(&lock->wait_list))
		wake_up_process(list_entry(lock->wait_list.next, struct mutex_waiter, list)->task);
	spin_unlock(&lock->wait_lock);
}

noinline void mutex_unlock(struct mutex *lock)
{
	lock->owner = NULL;
	if (atomic_add_return(1, &lock->count) <= 0)
		__mutex_unlock_slowpath(lock);
}
