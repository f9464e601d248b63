/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Task management: the only command of the SCSI half of the driver. It was
 * right from the beginning: the completion is initialised before the post.
 */
#include "kernel.h"
#include "mpt2sas_base.h"
#include "sched.h"

static u8 tm_cb_idx;

void mpt2sas_scsih_init(void)
{
	tm_cb_idx = mpt2sas_base_register_callback_handler(mpt2sas_scsih_tm_done);
}

void mpt2sas_scsih_attach(MPT2SAS_ADAPTER *ioc)
{
	mutex_init(&ioc->tm_cmds.mutex);
	ioc->tm_cmds.reply = ioc->tm_reply;
	ioc->tm_cmds.status = MPT2_CMD_NOT_USED;
}

/* From the interrupt handler, with the same guards as mpt2sas_ctl_done(). */
noinline u8 mpt2sas_scsih_tm_done(MPT2SAS_ADAPTER *ioc, u16 smid, u8 msix_index, u32 reply)
{
	volatile u16 *status = &ioc->tm_cmds.status;

	(void)msix_index;
	if (*status == MPT2_CMD_NOT_USED)
		return 1;
	if (*(volatile u16 *)&ioc->tm_cmds.smid != smid)
		return 1;
	*status |= MPT2_CMD_COMPLETE;
	mpt2sas_base_save_reply(ioc, &ioc->tm_cmds, reply);
	*status &= (u16)~MPT2_CMD_PENDING;
	complete(&ioc->tm_cmds.done);
	return 1;
}

static void post_tm(MPT2SAS_ADAPTER *ioc, u16 smid, u16 handle, u8 type)
{
	MPI2RequestHeader_t *request = mpt2sas_base_get_msg_frame(ioc, smid);

	ACCESS_ONCE(ioc->tm_cmds.status) = MPT2_CMD_PENDING;
	memset(request, 0, REQUEST_SZ);
	request->Function = MPI2_FUNCTION_SCSI_TASK_MGMT;
	request->FunctionDependent1 = handle;
	request->FunctionDependent2 = (u16)(type << 8);
	ACCESS_ONCE(ioc->tm_cmds.smid) = smid;
	init_completion(&ioc->tm_cmds.done);
	mpt2sas_base_put_smid_hi_priority(ioc, smid);
}

/* @timeout in seconds; an adapter that does not answer this either is reset. */
noinline void mpt2sas_scsih_issue_tm(MPT2SAS_ADAPTER *ioc, u16 handle, u8 type,
				     unsigned long timeout)
{
	u16 smid;

	mutex_lock(&ioc->tm_cmds.mutex);
	smid = ioc->shost_recovery ? 0 : mpt2sas_base_get_smid_hpr(ioc, tm_cb_idx);
	if (!smid)
		goto out;
	post_tm(ioc, smid, handle, type);
	wait_for_completion_timeout(&ioc->tm_cmds.done, timeout * HZ);
	if (!(ACCESS_ONCE(ioc->tm_cmds.status) & MPT2_CMD_COMPLETE)) {
		printk("mpt2sas%u: mpt2sas_scsih_issue_tm: timeout\n", ioc->id);
		if (!(ACCESS_ONCE(ioc->tm_cmds.status) & MPT2_CMD_RESET))
			mpt2sas_base_hard_reset_handler(ioc);
	}
	ACCESS_ONCE(ioc->tm_cmds.status) = MPT2_CMD_NOT_USED;
out:
	mutex_unlock(&ioc->tm_cmds.mutex);
}

void mpt2sas_scsih_reset_handler(MPT2SAS_ADAPTER *ioc, enum reset_phase phase)
{
	if (phase == MPT2_IOC_AFTER_RESET)
		mpt2sas_base_abort_cmd(ioc, &ioc->tm_cmds);
}
