/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Character devices whose operations run under the BKL. */
#include "fs.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

#define TCGETS 0x5401
#define TCSETS 0x5402
#define TIOCGWINSZ 0x5413

#define TTY_CHUNK 64

struct ktermios {
	u32 iflag, oflag, cflag, lflag;
};

struct winsize {
	u16 row, col, xpixel, ypixel;
};

static struct ktermios tty_termios = { 0x500, 0x5, 0xbf, 0x8a3b };
static struct winsize tty_winsize = { 24, 80, 0, 0 };
static u64 tty_bytes_written;

/* No input ever arrives. */
static noinline ssize_t tty_read(struct file *filp, u64 buf, size_t count)
{
	(void)filp;
	(void)buf;
	(void)count;
	lock_kernel();
	unlock_kernel();
	return 0;
}

static noinline ssize_t do_tty_write(u64 buf, size_t count)
{
	char chunk[TTY_CHUNK];
	size_t done = 0;

	while (done < count) {
		size_t n = count - done < sizeof(chunk) ? count - done : sizeof(chunk);

		if (copy_from_user(chunk, buf + done, n))
			return done ? (ssize_t)done : -EFAULT;
		console_write(chunk, n);
		done += n;
	}
	tty_bytes_written += done;
	return (ssize_t)done;
}

static noinline ssize_t tty_write(struct file *filp, u64 buf, size_t count)
{
	ssize_t ret;

	(void)filp;
	lock_kernel();
	ret = do_tty_write(buf, count);
	unlock_kernel();
	return ret;
}

static noinline int n_tty_ioctl(unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case TCGETS:
		return copy_to_user(arg, &tty_termios, sizeof(tty_termios)) ? -EFAULT : 0;
	case TCSETS:
		return copy_from_user(&tty_termios, arg, sizeof(tty_termios)) ? -EFAULT : 0;
	case TIOCGWINSZ:
		return copy_to_user(arg, &tty_winsize, sizeof(tty_winsize)) ? -EFAULT : 0;
	default:
		return -ENOIOCTLCMD;
	}
}

static noinline long tty_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	long ret;

	(void)filp;
	lock_kernel();
	ret = n_tty_ioctl(cmd, arg);
	unlock_kernel();
	return ret;
}

const struct file_operations tty_fops = {
	.read = tty_read,
	.write = tty_write,
	.unlocked_ioctl = tty_ioctl,
};

/* A driver of the old kind: vfs_ioctl() takes the BKL for it. */
static noinline int legacy_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	(void)cmd;
	(void)arg;
	filp->f_pos++;
	return 0;
}

const struct file_operations legacy_fops = {
	.write = tty_write,
	.ioctl = legacy_ioctl,
};
