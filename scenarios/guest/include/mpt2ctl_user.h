/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The user interface of /dev/mpt2ctl: what a program passes to
 * ioctl(fd, MPT2COMMAND, arg). The MPI request frame follows at offset 68;
 * its length is data_sge_offset * 4 bytes.
 */
#ifndef GUEST_MPT2CTL_USER_H
#define GUEST_MPT2CTL_USER_H

#include "types.h"

#define MPT2COMMAND 0xc0484c14u /* _IOWR('L', 20, 72 bytes) */

struct mpt2_ioctl_header {
	u32 ioc_number;    /* 0 */
	u32 port_number;   /* 4 */
	u32 max_data_size; /* 8 */
};

struct mpt2_ioctl_command {
	struct mpt2_ioctl_header hdr;
	u32 timeout;              /* 12: seconds; less than 10 counts as 10 */
	u64 reply_frame_buf_ptr;  /* 16: user address, 0: none */
	u64 data_in_buf_ptr;      /* 24 */
	u64 data_out_buf_ptr;     /* 32 */
	u64 sense_data_ptr;       /* 40 */
	u32 max_reply_bytes;      /* 48 */
	u32 data_in_size;         /* 52 */
	u32 data_out_size;        /* 56 */
	u32 max_sense_bytes;      /* 60 */
	u32 data_sge_offset;      /* 64: in 32-bit words; 0 counts as 8 */
	u8 mf[4];                 /* 68: MPI request; byte 3 of it is Function */
};

_Static_assert(sizeof(struct mpt2_ioctl_command) == 72, "size is part of the ioctl number");
_Static_assert(offsetof(struct mpt2_ioctl_command, mf) == 68, "layout");

#endif
