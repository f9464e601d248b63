//! The adapter's registers: MPI 2.0 offsets, and from 0x100 on what MPI hands over by IOCInit.
//!
//! | offset | register |
//! |---|---|
//! | 0x00 | doorbell: state in 31:28; function 0x40 in 31:24 resets the message unit |
//! | 0x04 | write sequence: the keys 0xf 4 0xb 2 7 0xd unlock 0x08, any other locks it |
//! | 0x08 | host diagnostic: 7 unlocked, 5 was reset, 2 reset the adapter (even while locked) |
//! | 0x30 | interrupt status: bit 3 replies are waiting |
//! | 0x34 | interrupt mask: bit 3 |
//! | 0x48 | reply free host index: the last valid entry |
//! | 0x6c | reply post host index: the first entry not taken |
//! | 0xc0, 0xc4 | request descriptor, low then high half; the high half posts it |
//! | 0x100, 0x104, 0x108 | request frames: address, bytes per frame |
//! | 0x110, 0x114, 0x118 | reply post queue: address, entries |
//! | 0x120, 0x124, 0x128 | reply free queue: address, entries (low halves of frame addresses) |
//! | 0x130, 0x134, 0x138 | reply frames: address (its high half completes each entry), bytes |
//! | 0x140, 0x144 | MSI: vector in 7:0, enable in 31; destination APIC id |
//! | 0x148 | 1: READY becomes OPERATIONAL |

use super::{DevCtx, Hba, IocState};
use crate::ids::{CoreId, PhysAddr};
use serde::{Deserialize, Serialize};

mod at {
    pub(super) const DOORBELL: u32 = 0x00;
    pub(super) const WRITE_SEQUENCE: u32 = 0x04;
    pub(super) const HOST_DIAGNOSTIC: u32 = 0x08;
    pub(super) const INTERRUPT_STATUS: u32 = 0x30;
    pub(super) const INTERRUPT_MASK: u32 = 0x34;
    pub(super) const REPLY_FREE_HOST_INDEX: u32 = 0x48;
    pub(super) const REPLY_POST_HOST_INDEX: u32 = 0x6c;
    pub(super) const REQUEST_POST_LOW: u32 = 0xc0;
    pub(super) const REQUEST_POST_HIGH: u32 = 0xc4;
    pub(super) const CONFIG: u32 = 0x100;
    pub(super) const CONFIG_END: u32 = 0x148;
    pub(super) const ENABLE: u32 = 0x148;
}

/// Reply interrupt, in the status and the mask register.
const REPLY_INTERRUPT: u32 = 1 << 3;
/// Doorbell function: message unit reset.
const MESSAGE_UNIT_RESET: u32 = 0x40;
/// Keys that unlock the host diagnostic register, in order.
const KEYS: [u32; 6] = [0xf, 0x4, 0xb, 0x2, 0x7, 0xd];
/// Host diagnostic bits.
const UNLOCKED: u32 = 1 << 7;
const RESET_HISTORY: u32 = 1 << 5;
const RESET_ADAPTER: u32 = 1 << 2;

/// What the write sequence and host diagnostic registers remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Diagnostic {
    /// Keys given in the right order so far.
    keys: u8,
    was_reset: bool,
}

impl Diagnostic {
    fn key(&mut self, value: u32) {
        let right = KEYS.get(usize::from(self.keys)) == Some(&(value & 0xf));
        // The first key may also follow a wrong one.
        self.keys = if right { self.keys + 1 } else { u8::from(value & 0xf == KEYS[0]) };
    }

    fn unlocked(self) -> bool {
        usize::from(self.keys) == KEYS.len()
    }
}

/// Words of [`Config`].
const CONFIG_WORDS: usize = ((at::CONFIG_END - at::CONFIG) / 4) as usize;

/// The registers 0x100–0x144.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Config {
    words: [u32; CONFIG_WORDS],
}

impl Config {
    fn word(&self, offset: u32) -> u32 {
        self.words[((offset - at::CONFIG) / 4) as usize]
    }

    fn address(&self, low: u32) -> u64 {
        u64::from(self.word(low + 4)) << 32 | u64::from(self.word(low))
    }

    /// Address of a request's frame.
    pub(super) fn request_frame(&self, smid: u16) -> PhysAddr {
        PhysAddr(self.address(0x100) + u64::from(smid) * u64::from(self.word(0x108)))
    }

    pub(super) fn post_queue(&self) -> u64 {
        self.address(0x110)
    }

    /// Entries of the reply post queue; 1 (always full) until it is configured.
    pub(super) fn post_depth(&self) -> u32 {
        self.word(0x118).max(1)
    }

    /// Address of an entry of the reply free queue.
    pub(super) fn free_entry(&self, index: u32) -> PhysAddr {
        PhysAddr(self.address(0x120) + u64::from(index) * 4)
    }

    pub(super) fn free_depth(&self) -> u32 {
        self.word(0x128).max(1)
    }

    /// Address of the reply frame that a free queue entry names.
    pub(super) fn reply_frame(&self, entry: u32) -> PhysAddr {
        PhysAddr(u64::from(self.word(0x134)) << 32 | u64::from(entry))
    }

    /// Vector and destination of interrupts; `None` while MSI isn't enabled. INTx takes them from
    /// the same registers, which then stand for the entry of the I/O APIC.
    pub(super) fn interrupt(&self, msi: bool) -> Option<(u8, CoreId)> {
        let enabled = !msi || self.word(0x140) >> 31 == 1;
        enabled.then(|| (self.word(0x140) as u8, CoreId(self.word(0x144) as u16)))
    }
}

impl Hba {
    pub(in crate::dev) fn read(&self, offset: u32) -> u32 {
        match offset {
            at::DOORBELL => (self.state as u32) << 28,
            at::HOST_DIAGNOSTIC => {
                let bit = |set: bool, bit: u32| if set { bit } else { 0 };
                bit(self.diagnostic.unlocked(), UNLOCKED)
                    | bit(self.diagnostic.was_reset, RESET_HISTORY)
                    | bit(self.state == IocState::Reset, RESET_ADAPTER)
            }
            at::INTERRUPT_STATUS if self.replies_waiting() => REPLY_INTERRUPT,
            at::INTERRUPT_MASK if self.masked => REPLY_INTERRUPT,
            at::REPLY_FREE_HOST_INDEX => self.free_host_index,
            at::REPLY_POST_HOST_INDEX => self.host_index,
            at::CONFIG..at::CONFIG_END => self.config.word(offset & !3),
            at::ENABLE => u32::from(self.state == IocState::Operational),
            _ => 0,
        }
    }

    pub(in crate::dev) fn write(&mut self, offset: u32, value: u32, ctx: &mut DevCtx) {
        match offset {
            at::DOORBELL if value >> 24 == MESSAGE_UNIT_RESET => self.reset(ctx),
            at::WRITE_SEQUENCE => self.diagnostic.key(value),
            at::HOST_DIAGNOSTIC if value & RESET_ADAPTER != 0 => {
                self.diagnostic = Diagnostic { keys: 0, was_reset: true };
                self.reset(ctx);
            }
            at::INTERRUPT_MASK => self.set_masked(value & REPLY_INTERRUPT != 0, ctx),
            at::REPLY_FREE_HOST_INDEX => self.set_free_host_index(value, ctx),
            at::REPLY_POST_HOST_INDEX => self.set_host_index(value, ctx),
            at::REQUEST_POST_LOW => self.post_low = value,
            at::REQUEST_POST_HIGH => self.take_request(ctx),
            at::CONFIG..at::CONFIG_END => {
                self.config.words[((offset - at::CONFIG) / 4) as usize] = value;
            }
            at::ENABLE if value == 1 && self.state == IocState::Ready => {
                self.make_operational();
            }
            _ => {}
        }
    }
}
