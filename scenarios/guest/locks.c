/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* File locks: lists at the inode, all under the BKL. */
#include "fs.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

#define F_RDLCK 0
#define F_UNLCK 2
#define LOCK_UN 8
#define NR_FILE_LOCKS 256

/* The user's struct flock, as far as it is looked at. */
struct flock {
	short l_type, l_whence;
};

static struct file_lock file_locks[NR_FILE_LOCKS]; /* under the BKL; link.next NULL: free */

static struct file_lock *locks_find(struct inode *inode, pid_t pid, bool flock)
{
	struct list_head *pos;

	list_for_each(pos, &inode->i_flock) {
		struct file_lock *fl = list_entry(pos, struct file_lock, link);

		if (fl->pid == pid && fl->flock == flock)
			return fl;
	}
	return NULL;
}

static bool locks_conflict(struct inode *inode, pid_t pid, int type, bool flock)
{
	struct list_head *pos;

	list_for_each(pos, &inode->i_flock) {
		struct file_lock *fl = list_entry(pos, struct file_lock, link);

		if (fl->pid != pid && fl->flock == flock &&
		    (type != F_RDLCK || fl->type != F_RDLCK))
			return true;
	}
	return false;
}

static struct file_lock *locks_alloc_lock(void)
{
	int i;

	for (i = 0; i < NR_FILE_LOCKS; i++) {
		if (!file_locks[i].link.next)
			return &file_locks[i];
	}
	return NULL;
}

static int locks_change(struct inode *inode, int type, bool flock)
{
	pid_t pid = current->pid;
	struct file_lock *fl = locks_find(inode, pid, flock);

	if (type == F_UNLCK) {
		if (fl)
			list_del(&fl->link);
		return 0;
	}
	if (locks_conflict(inode, pid, type, flock))
		return -EAGAIN;
	if (!fl) {
		fl = locks_alloc_lock();
		if (!fl)
			return -ENOMEM;
		fl->pid = pid;
		fl->flock = flock;
		list_add_tail(&fl->link, &inode->i_flock);
	}
	fl->type = type;
	return 0;
}

static noinline int __posix_lock_file(struct inode *inode, int type)
{
	int error;

	lock_kernel();
	error = locks_change(inode, type, false);
	unlock_kernel();
	return error;
}

static noinline int vfs_lock_file(struct file *filp, int type)
{
	return __posix_lock_file(filp->inode, type);
}

noinline int fcntl_setlk(struct file *filp, unsigned int cmd, u64 arg)
{
	struct flock flock;

	(void)cmd;
	if (copy_from_user(&flock, arg, sizeof(flock)))
		return -EFAULT;
	return vfs_lock_file(filp, flock.l_type);
}

static noinline int flock_lock_file(struct file *filp, int type)
{
	int error;

	lock_kernel();
	error = locks_change(filp->inode, type, true);
	unlock_kernel();
	return error;
}

noinline int flock_lock_file_wait(struct file *filp, int op)
{
	return flock_lock_file(filp, op & LOCK_UN ? F_UNLCK : 1 - (op & 1));
}

static noinline ssize_t plain_read(struct file *filp, u64 buf, size_t count)
{
	(void)filp;
	(void)buf;
	(void)count;
	return 0;
}

static noinline ssize_t plain_write(struct file *filp, u64 buf, size_t count)
{
	(void)buf;
	filp->f_pos += (loff_t)count;
	return (ssize_t)count;
}

const struct file_operations plain_fops = {
	.read = plain_read,
	.write = plain_write,
};
