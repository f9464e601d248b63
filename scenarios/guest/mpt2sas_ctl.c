/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The ioctl interface: firmware commands on behalf of users, one at a time. */
#include "fs.h"
#include "kernel.h"
#include "mm.h"
#include "mpt2ctl_user.h"
#include "mpt2sas_base.h"
#include "sched.h"

enum block_state { NON_BLOCKING, BLOCKING };

#define DEFAULT_FRAME_WORDS 8
#define OPERATIONAL_RETRIES 10
#define TM_TIMEOUT 10 /* seconds */

static u8 ctl_cb_idx;

void mpt2sas_ctl_init(void)
{
	ctl_cb_idx = mpt2sas_base_register_callback_handler(mpt2sas_ctl_done);
}

static bool is_scsi_io(u8 function)
{
	return function == MPI2_FUNCTION_SCSI_IO_REQUEST ||
	       function == MPI2_FUNCTION_RAID_SCSI_IO_PASSTHROUGH;
}

/*
 * From the interrupt handler. The guards drop replies that nobody waits for;
 * neither they nor the updates of the status are under any lock.
 */
noinline u8 mpt2sas_ctl_done(MPT2SAS_ADAPTER *ioc, u16 smid, u8 msix_index, u32 reply)
{
	volatile u16 *status = &ioc->ctl_cmds.status;
	u8 function;

	(void)msix_index;
	if (*status == MPT2_CMD_NOT_USED)
		return 1;
	if (*(volatile u16 *)&ioc->ctl_cmds.smid != smid)
		return 1;
	*status |= MPT2_CMD_COMPLETE;
	function = mpt2sas_base_save_reply(ioc, &ioc->ctl_cmds, reply);
	if (is_scsi_io(function))
		memcpy(ioc->ctl_cmds.sense, mpt2sas_base_get_sense_buffer(ioc, smid), SENSE_SZ);
	*status &= (u16)~MPT2_CMD_PENDING;
	complete(&ioc->ctl_cmds.done);
	return 1;
}

void mpt2sas_ctl_reset_handler(MPT2SAS_ADAPTER *ioc, enum reset_phase phase)
{
	if (phase == MPT2_IOC_AFTER_RESET)
		mpt2sas_base_abort_cmd(ioc, &ioc->ctl_cmds);
}

/* No lock protects the list of adapters. */
static int _ctl_verify_adapter(u32 ioc_number, MPT2SAS_ADAPTER **iocpp)
{
	if (ioc_number >= mpt2sas_nr_ioc)
		return -1;
	*iocpp = &mpt2sas_ioc[ioc_number];
	return (int)ioc_number;
}

static int wait_until_operational(MPT2SAS_ADAPTER *ioc)
{
	int wait_state_count = 0;

	while (mpt2sas_base_get_iocstate(ioc) != MPI2_IOC_STATE_OPERATIONAL) {
		if (wait_state_count++ == OPERATIONAL_RETRIES) {
			printk("mpt2sas%u: _ctl_do_mpt_command: failed due to ioc not operational\n",
			       ioc->id);
			return -EFAULT;
		}
		ssleep(1);
	}
	return 0;
}

/* The doorbell write, in the way that the function asks for. */
static __always_inline void put_request(MPT2SAS_ADAPTER *ioc, const MPI2RequestHeader_t *request,
					u16 smid)
{
	switch (request->Function) {
	case MPI2_FUNCTION_SCSI_IO_REQUEST:
	case MPI2_FUNCTION_RAID_SCSI_IO_PASSTHROUGH:
		memset(mpt2sas_base_get_sense_buffer(ioc, smid), 0, SENSE_SZ);
		mpt2sas_base_put_smid_scsi_io(ioc, smid, request->FunctionDependent1);
		break;
	case MPI2_FUNCTION_SCSI_TASK_MGMT:
		mpt2sas_base_put_smid_hi_priority(ioc, smid);
		break;
	default:
		mpt2sas_base_put_smid_default(ioc, smid);
		break;
	}
}

static long copy_results(MPT2SAS_ADAPTER *ioc, const struct mpt2_ioctl_command *karg,
			 const void *data_in)
{
	if (karg->data_in_size && copy_to_user(karg->data_in_buf_ptr, data_in, karg->data_in_size))
		return -EFAULT;
	if ((ioc->ctl_cmds.status & MPT2_CMD_REPLY_VALID) && karg->max_reply_bytes) {
		u32 n = karg->max_reply_bytes < REPLY_SZ ? karg->max_reply_bytes : REPLY_SZ;

		if (copy_to_user(karg->reply_frame_buf_ptr, ioc->ctl_cmds.reply, n))
			return -EFAULT;
	}
	if (karg->max_sense_bytes && karg->sense_data_ptr) {
		u32 n = karg->max_sense_bytes < SENSE_SZ ? karg->max_sense_bytes : SENSE_SZ;

		if (copy_to_user(karg->sense_data_ptr, ioc->ctl_cmds.sense, n))
			return -EFAULT;
	}
	return 0;
}

/*
 * The firmware has not answered in time: IO that is stuck at a target is shot
 * down there, anything else costs a reset of the whole adapter.
 */
static noinline void issue_host_reset(MPT2SAS_ADAPTER *ioc, const MPI2RequestHeader_t *request)
{
	if (is_scsi_io(request->Function)) {
		printk("mpt2sas%u: issue target reset: handle = (0x%04x)\n", ioc->id,
		       request->FunctionDependent1);
		mpt2sas_scsih_issue_tm(ioc, request->FunctionDependent1,
				       MPI2_SCSITASKMGMT_TASKTYPE_TARGET_RESET, TM_TIMEOUT);
	} else {
		printk("mpt2sas%u: issue host reset\n", ioc->id);
		mpt2sas_base_hard_reset_handler(ioc);
	}
}

/*
 * As in the original, a non-blocking caller that gets the mutex goes on to
 * take it a second time, and waits for itself (reference section 0.2-10).
 */
static __always_inline long lock_ctl_cmds(MPT2SAS_ADAPTER *ioc, enum block_state state)
{
	if (state == NON_BLOCKING && !mutex_trylock(&ioc->ctl_cmds.mutex))
		return -EAGAIN;
	else if (mutex_lock_interruptible(&ioc->ctl_cmds.mutex))
		return -ERESTARTSYS;
	return 0;
}

/* Copies the request in and gives it a number; 0 if there is none left. */
static __always_inline long prepare_request(MPT2SAS_ADAPTER *ioc,
					    const struct mpt2_ioctl_command *karg, u64 mf,
					    MPI2RequestHeader_t *mpi_request, u16 *smid)
{
	u32 sz = (karg->data_sge_offset ? karg->data_sge_offset : DEFAULT_FRAME_WORDS) * 4;

	if (sz > REQUEST_SZ || copy_from_user(mpi_request, mf, sz))
		return -EFAULT;
	*smid = mpi_request->Function == MPI2_FUNCTION_SCSI_TASK_MGMT
			? mpt2sas_base_get_smid_hpr(ioc, ctl_cb_idx)
			: mpt2sas_base_get_smid_scsiio(ioc, ctl_cb_idx);
	if (!*smid)
		return -EAGAIN;
	ACCESS_ONCE(ioc->ctl_cmds.status) = MPT2_CMD_PENDING;
	memset(ioc->ctl_cmds.reply, 0, REPLY_SZ);
	memcpy(mpt2sas_base_get_msg_frame(ioc, *smid), mpi_request, sz);
	ACCESS_ONCE(ioc->ctl_cmds.smid) = *smid;
	return 0;
}

/* A buffer for the transfer, filled with what goes out. */
static __always_inline long prepare_data(const struct mpt2_ioctl_command *karg, void **data)
{
	u32 out = karg->data_out_size, in = karg->data_in_size;
	u32 sz = in > out ? in : out;

	if (!sz)
		return 0;
	if (sz > PAGE_SIZE)
		return -ENOMEM;
	*data = kzalloc(sz);
	return out && copy_from_user(*data, karg->data_out_buf_ptr, out) ? -EFAULT : 0;
}

static noinline long _ctl_do_mpt_command(MPT2SAS_ADAPTER *ioc, struct mpt2_ioctl_command karg,
					 u64 mf, enum block_state state)
{
	MPI2RequestHeader_t *mpi_request = NULL;
	void *data = NULL;
	unsigned long timeout;
	u8 issue_reset = 0;
	u16 smid = 0;
	long ret;

	ret = lock_ctl_cmds(ioc, state);
	if (ret)
		return ret;
	if (ACCESS_ONCE(ioc->ctl_cmds.status) != MPT2_CMD_NOT_USED) {
		printk("mpt2sas%u: _ctl_do_mpt_command: ctl_cmd in use\n", ioc->id);
		ret = -EAGAIN;
		goto out_unlock;
	}
	ret = wait_until_operational(ioc);
	if (ret)
		goto out_unlock;
	mpi_request = kzalloc(REQUEST_SZ);
	ret = prepare_request(ioc, &karg, mf, mpi_request, &smid);
	if (ret)
		goto out;
	ret = prepare_data(&karg, &data);
	if (ret) {
		mpt2sas_base_free_smid(ioc, smid);
		goto out;
	}

	if (boot_params.driver_variant == DRIVER_INIT_BEFORE_POST)
		init_completion(&ioc->ctl_cmds.done);
	put_request(ioc, mpi_request, smid);
	if (karg.timeout < MPT2_IOCTL_DEFAULT_TIMEOUT)
		timeout = MPT2_IOCTL_DEFAULT_TIMEOUT;
	else
		timeout = karg.timeout;
	if (boot_params.driver_variant == DRIVER_INIT_AFTER_POST)
		init_completion(&ioc->ctl_cmds.done);
	wait_for_completion_timeout(&ioc->ctl_cmds.done, timeout * HZ);

	/* Not the value of the wait decides, but what the handler has noted. */
	if (!(ACCESS_ONCE(ioc->ctl_cmds.status) & MPT2_CMD_COMPLETE)) {
		printk("mpt2sas%u: _ctl_do_mpt_command: timeout\n", ioc->id);
		if (!(ACCESS_ONCE(ioc->ctl_cmds.status) & MPT2_CMD_RESET))
			issue_reset = 1;
		ret = -EIO;
	} else {
		ret = copy_results(ioc, &karg, data);
	}
	if (issue_reset)
		issue_host_reset(ioc, mpi_request);
out:
	kfree(data);
	kfree(mpi_request);
	ACCESS_ONCE(ioc->ctl_cmds.status) = MPT2_CMD_NOT_USED;
out_unlock:
	mutex_unlock(&ioc->ctl_cmds.mutex);
	return ret;
}

static noinline long _ctl_ioctl_main(struct file *filp, unsigned int cmd, u64 arg)
{
	enum block_state state = filp->f_flags & O_NONBLOCK ? NON_BLOCKING : BLOCKING;
	struct mpt2_ioctl_command karg;
	MPT2SAS_ADAPTER *ioc;

	switch (cmd) {
	case MPT2COMMAND:
		if (copy_from_user(&karg, arg, sizeof(karg)))
			return -EFAULT;
		if (_ctl_verify_adapter(karg.hdr.ioc_number, &ioc) == -1)
			return -ENODEV;
		if (ioc->shost_recovery)
			return -EAGAIN;
		return _ctl_do_mpt_command(ioc, karg,
					   arg + offsetof(struct mpt2_ioctl_command, mf), state);
	default:
		return -ENOTTY;
	}
}

/* The driver takes the BKL by itself; vfs_ioctl() does not. */
static noinline long _ctl_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	long ret;

	lock_kernel();
	ret = _ctl_ioctl_main(filp, cmd, arg);
	unlock_kernel();
	return ret;
}

const struct file_operations ctl_fops = {
	.unlocked_ioctl = _ctl_ioctl,
};
