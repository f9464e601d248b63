/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* epoll_wait on files that never become ready: only time passes. */
#include "kernel.h"
#include "sched.h"

static wait_queue_head_t ep_wq = WAIT_QUEUE_HEAD_INIT(ep_wq);

long sys_epoll_wait(u64 epfd, u64 events, u64 maxevents, u64 timeout);
noinline long sys_epoll_wait(u64 epfd, u64 events, u64 maxevents, u64 timeout_arg)
{
	int timeout = (int)timeout_arg;
	long jtimeout = timeout < 0 ? MAX_SCHEDULE_TIMEOUT
				    : (long)msecs_to_jiffies((unsigned int)timeout);
	DEFINE_WAIT(wait, current);
	long ret = 0;

	(void)epfd;
	(void)events;
	if ((int)maxevents <= 0)
		return -EINVAL;
	if (!jtimeout)
		return 0;
	add_wait_queue(&ep_wq, &wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!jtimeout)
			break;
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		jtimeout = schedule_timeout(jtimeout);
	}
	__set_current_state(TASK_RUNNING);
	remove_wait_queue(&ep_wq, &wait);
	return ret;
}
