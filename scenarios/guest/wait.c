/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wait queues. */
#include "sched.h"
#include "wait.h"

/* Three plain stores in this order: lock, list.next, list.prev. */
noinline void __init_waitqueue_head(wait_queue_head_t *q)
{
	spin_lock_init(&q->lock);
	barrier();
	ACCESS_ONCE(q->task_list.next) = &q->task_list;
	ACCESS_ONCE(q->task_list.prev) = &q->task_list;
}

noinline int default_wake_function(wait_queue_t *wait, unsigned int mode, int wake_flags,
				   void *key)
{
	(void)key;
	return try_to_wake_up(wait->private, mode, wake_flags);
}

/*
 * Wakes from the head on: all entries that are not exclusive and meet on the
 * way, and @nr_exclusive of those that are. The caller holds the queue's lock.
 */
noinline void __wake_up_common(wait_queue_head_t *q, unsigned int mode, int nr_exclusive,
			       int wake_flags, void *key)
{
	struct list_head *pos, *next;

	list_for_each_safe(pos, next, &q->task_list) {
		wait_queue_t *curr = list_entry(pos, wait_queue_t, task_list);
		unsigned int flags = curr->flags;

		if (curr->func(curr, mode, wake_flags, key) && (flags & WQ_FLAG_EXCLUSIVE) &&
		    !--nr_exclusive)
			break;
	}
}

noinline void __wake_up(wait_queue_head_t *q, unsigned int mode, int nr_exclusive, void *key)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	__wake_up_common(q, mode, nr_exclusive, 0, key);
	spin_unlock_irqrestore(&q->lock, flags);
}

void add_wait_queue(wait_queue_head_t *q, wait_queue_t *wait)
{
	unsigned long flags;

	wait->flags &= ~WQ_FLAG_EXCLUSIVE;
	spin_lock_irqsave(&q->lock, flags);
	__add_wait_queue(q, wait);
	spin_unlock_irqrestore(&q->lock, flags);
}

void remove_wait_queue(wait_queue_head_t *q, wait_queue_t *wait)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	__remove_wait_queue(q, wait);
	spin_unlock_irqrestore(&q->lock, flags);
}
