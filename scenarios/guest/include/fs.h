/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Open files: one table for all tasks, since programs here never open any. */
#ifndef GUEST_FS_H
#define GUEST_FS_H

#include "list.h"
#include "types.h"

struct file;

struct file_operations {
	ssize_t (*read)(struct file *filp, u64 buf, size_t count);
	ssize_t (*write)(struct file *filp, u64 buf, size_t count);
	int (*ioctl)(struct file *filp, unsigned int cmd, unsigned long arg);
	long (*unlocked_ioctl)(struct file *filp, unsigned int cmd, unsigned long arg);
};

struct file_lock {
	struct list_head link;
	pid_t pid;
	int type;
	bool flock;
};

struct inode {
	struct list_head i_flock; /* protected by the BKL */
	unsigned int minor;
};

struct file {
	const struct file_operations *f_op;
	struct inode *inode;
	unsigned int f_flags;
	loff_t f_pos;
};

#define O_NONBLOCK 0x800
#define NR_OPEN 16

/* The driver's files follow from this descriptor, one for each adapter. */
#define FD_MPT2CTL 3
#define FD_PLAIN 7

struct file *fget(unsigned int fd);
void fs_init(void);
void fd_install(unsigned int fd, const struct file_operations *fops);

extern const struct file_operations tty_fops;
extern const struct file_operations legacy_fops;
extern const struct file_operations plain_fops;
extern const struct file_operations ctl_fops;

int fcntl_setlk(struct file *filp, unsigned int cmd, u64 arg);
int flock_lock_file_wait(struct file *filp, int op);

#define DECLARE_SYSCALL(name) long name(u64, u64, u64, u64, u64, u64)

#endif
