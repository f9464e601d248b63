/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The file table, and the way of a system call to a file's operations. */
#include "boot_params.h"
#include "fs.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

static struct inode inodes[NR_OPEN];
static struct file files[NR_OPEN];

void fd_install(unsigned int fd, const struct file_operations *fops)
{
	INIT_LIST_HEAD(&inodes[fd].i_flock);
	inodes[fd].minor = fd;
	files[fd].inode = &inodes[fd];
	files[fd].f_op = fops;
}

void fs_init(void)
{
	fd_install(0, &tty_fops);
	fd_install(1, &tty_fops);
	fd_install(2, &legacy_fops);
	fd_install(FD_PLAIN, &plain_fops);
}

struct file *fget(unsigned int fd)
{
	return fd < NR_OPEN && files[fd].f_op ? &files[fd] : NULL;
}

static noinline ssize_t vfs_read(struct file *filp, u64 buf, size_t count)
{
	return filp->f_op->read ? filp->f_op->read(filp, buf, count) : -EINVAL;
}

long sys_read(u64 fd, u64 buf, u64 count);
noinline long sys_read(u64 fd, u64 buf, u64 count)
{
	struct file *filp = fget((unsigned int)fd);

	return filp ? vfs_read(filp, buf, count) : -EBADF;
}

static noinline ssize_t vfs_write(struct file *filp, u64 buf, size_t count)
{
	return filp->f_op->write ? filp->f_op->write(filp, buf, count) : -EINVAL;
}

long sys_write(u64 fd, u64 buf, u64 count);
noinline long sys_write(u64 fd, u64 buf, u64 count)
{
	struct file *filp = fget((unsigned int)fd);

	return filp ? vfs_write(filp, buf, count) : -EBADF;
}

/* Only files that know no other way get the BKL from here. */
static noinline long vfs_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	int error = -ENOTTY;

	if (filp->f_op->unlocked_ioctl) {
		error = (int)filp->f_op->unlocked_ioctl(filp, cmd, arg);
		if (error == -ENOIOCTLCMD)
			error = -EINVAL;
	} else if (filp->f_op->ioctl) {
		lock_kernel();
		error = filp->f_op->ioctl(filp, cmd, arg);
		unlock_kernel();
	}
	return error;
}

#define FIONBIO 0x5421

static noinline int do_vfs_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	int on;

	if (cmd != FIONBIO)
		return (int)vfs_ioctl(filp, cmd, arg);
	if (copy_from_user(&on, arg, sizeof(on)))
		return -EFAULT;
	filp->f_flags = on ? filp->f_flags | O_NONBLOCK : filp->f_flags & ~O_NONBLOCK;
	return 0;
}

long sys_ioctl(u64 fd, u64 cmd, u64 arg);
noinline long sys_ioctl(u64 fd, u64 cmd, u64 arg)
{
	struct file *filp = fget((unsigned int)fd);

	return filp ? do_vfs_ioctl(filp, (unsigned int)cmd, arg) : -EBADF;
}

#define F_GETFL 3
#define F_SETFL 4
#define F_SETLK 6
#define F_SETLKW 7

static noinline long do_fcntl(struct file *filp, unsigned int cmd, u64 arg)
{
	switch (cmd) {
	case F_GETFL:
		return filp->f_flags;
	case F_SETFL:
		filp->f_flags = (unsigned int)arg & O_NONBLOCK;
		return 0;
	case F_SETLK:
	case F_SETLKW:
		return fcntl_setlk(filp, cmd, arg);
	default:
		return -EINVAL;
	}
}

long sys_fcntl(u64 fd, u64 cmd, u64 arg);
noinline long sys_fcntl(u64 fd, u64 cmd, u64 arg)
{
	struct file *filp = fget((unsigned int)fd);

	return filp ? do_fcntl(filp, (unsigned int)cmd, arg) : -EBADF;
}

long sys_flock(u64 fd, u64 op);
noinline long sys_flock(u64 fd, u64 op)
{
	struct file *filp = fget((unsigned int)fd);

	return filp ? flock_lock_file_wait(filp, (int)op) : -EBADF;
}

/* Misc character devices are opened under the BKL. */
static noinline int misc_open(unsigned int minor)
{
	int fd = -ENODEV;

	lock_kernel();
	if (fget(minor))
		fd = (int)minor;
	unlock_kernel();
	return fd;
}

static noinline int chrdev_open(unsigned int minor)
{
	return misc_open(minor);
}

/*
 * There is no name space: the path is a digit, the minor number, which is
 * also the descriptor.
 */
static noinline long do_sys_open(u64 path)
{
	char name[2];

	if (copy_from_user(name, path, sizeof(name)))
		return -EFAULT;
	if (name[0] < '0' || name[0] > '9' || name[1])
		return -ENOENT;
	return chrdev_open((unsigned int)(name[0] - '0'));
}

long sys_open(u64 path);
noinline long sys_open(u64 path)
{
	return do_sys_open(path);
}
