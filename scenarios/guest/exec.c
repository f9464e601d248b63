/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* execve: no image can be loaded, but the search for one takes the BKL. */
#include "kernel.h"
#include "mm.h"
#include "sched.h"

#define PATH_MAX 16

static noinline int search_binary_handler(const char *name)
{
	int ret;

	lock_kernel();
	ret = name[0] ? -ENOENT : -EINVAL;
	unlock_kernel();
	return ret;
}

static noinline int do_execve(const char *name)
{
	return search_binary_handler(name);
}

long sys_execve(u64 path);
noinline long sys_execve(u64 path)
{
	char name[PATH_MAX];

	if (copy_from_user(name, path, sizeof(name)))
		return -EFAULT;
	return do_execve(name);
}
