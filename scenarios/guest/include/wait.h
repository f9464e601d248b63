/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wait queues and completions; layouts of reference section 2.1. */
#ifndef GUEST_WAIT_H
#define GUEST_WAIT_H

#include "list.h"
#include "spinlock.h"

typedef struct __wait_queue wait_queue_t;
typedef int (*wait_queue_func_t)(wait_queue_t *wait, unsigned int mode, int flags, void *key);

#define WQ_FLAG_EXCLUSIVE 1

struct __wait_queue {
	unsigned int flags;
	void *private;
	wait_queue_func_t func;
	struct list_head task_list;
};

typedef struct __wait_queue_head {
	spinlock_t lock;
	struct list_head task_list;
} wait_queue_head_t;

struct completion {
	unsigned int done;
	wait_queue_head_t wait;
};

_Static_assert(sizeof(wait_queue_head_t) == 24, "layout");
_Static_assert(offsetof(wait_queue_head_t, task_list) == 8, "layout");
_Static_assert(sizeof(wait_queue_t) == 40, "layout");
_Static_assert(offsetof(wait_queue_t, task_list) == 24, "layout");
_Static_assert(sizeof(struct completion) == 32, "layout");
_Static_assert(offsetof(struct completion, wait.lock) == 8, "layout");
_Static_assert(offsetof(struct completion, wait.task_list) == 16, "layout");

#define DEFINE_WAIT(name, task) \
	wait_queue_t name = { .private = (task), .func = default_wake_function }
#define WAIT_QUEUE_HEAD_INIT(name) { .task_list = LIST_HEAD_INIT((name).task_list) }
#define COMPLETION_INITIALIZER(name) { 0, WAIT_QUEUE_HEAD_INIT((name).wait) }

void __init_waitqueue_head(wait_queue_head_t *q);
int default_wake_function(wait_queue_t *wait, unsigned int mode, int flags, void *key);
void __wake_up_common(wait_queue_head_t *q, unsigned int mode, int nr_exclusive, int wake_flags,
		      void *key);
void __wake_up(wait_queue_head_t *q, unsigned int mode, int nr_exclusive, void *key);
void add_wait_queue(wait_queue_head_t *q, wait_queue_t *wait);
void remove_wait_queue(wait_queue_head_t *q, wait_queue_t *wait);

static inline void __add_wait_queue(wait_queue_head_t *q, wait_queue_t *wait)
{
	list_add(&wait->task_list, &q->task_list);
}

static inline void __add_wait_queue_tail(wait_queue_head_t *q, wait_queue_t *wait)
{
	list_add_tail(&wait->task_list, &q->task_list);
}

static inline void __remove_wait_queue(wait_queue_head_t *q, wait_queue_t *wait)
{
	(void)q;
	list_del(&wait->task_list);
}

/*
 * Order of the four plain stores: done, lock, list.next, list.prev
 * (reference section 2.2). The call keeps the compiler from merging them.
 */
static __always_inline void init_completion(struct completion *x)
{
	x->done = 0;
	barrier();
	__init_waitqueue_head(&x->wait);
}

void complete(struct completion *x);
void complete_all(struct completion *x);
void wait_for_completion(struct completion *x);
unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout);

#endif
