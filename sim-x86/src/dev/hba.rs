//! A host bus adapter of the LSI SAS2008 kind, as far as its host interface goes.
//!
//! The driver posts an 8-byte request descriptor in two register writes; the firmware takes its
//! time; the answer is written to host memory — a reply frame if there is more to say than
//! "done", then a reply descriptor — and an interrupt tells the host. Replies leave one at a time
//! in order of completion; the descriptor is written after its frame, and becomes visible after it.
//! Register offsets and bits are those of MPI 2.0; in place of its doorbell handshake, queue
//! addresses are plain registers at 0x100–0x148.
//!
//! Not modelled: data transfer, chained frames, MSI-X beyond vector 0, firmware faults.

mod regs;
#[cfg(test)]
mod tests;

use super::latency::Sampler;
use super::{DevCtx, DevEffect, HbaSpec, Latency};
use crate::ids::{DeviceId, LINE_BYTES, PhysAddr};
use crate::trace::{Delivery, Trace};
use regs::{Config, Diagnostic};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Request flags of a SCSI I/O: its success needs no reply frame (MPI2 request descriptor).
const SCSI_IO: u8 = 0x00;
/// Reply descriptor types (low four bits of the first byte).
const SCSI_IO_SUCCESS: u8 = 0x0;
const ADDRESS_REPLY: u8 = 0x1;
/// Bytes in a descriptor of either kind.
const DESCRIPTOR_BYTES: u64 = 8;
/// The default reply: five dwords, IOCStatus 0 (success).
const REPLY_DWORDS: u8 = 5;

/// Tokens of events: a request's ticket, or one of these kinds with a running number below.
const COALESCING: u32 = 1 << 30;
const RESET_DONE: u32 = 2 << 30;
const KIND: u32 = 3 << 30;

/// State of the I/O controller, in doorbell bits 31:28.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum IocState {
    Reset = 0,
    Ready = 1,
    Operational = 2,
}

/// A request that the firmware has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    smid: u16,
    flags: u8,
    msix: u8,
    /// Function, VP_ID and VF_ID of its frame, which a reply repeats.
    function: u8,
    vp_vf: [u8; 2],
}

/// The reply on its way into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Posting {
    smid: u16,
    /// Token of its last DMA write.
    last: u32,
}

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hba {
    id: DeviceId,
    registers: PhysAddr,
    msi: bool,
    interrupt_latency: Option<u64>,
    coalescing_depth: u32,
    coalescing_timeout: u64,
    reset_time: u64,
    firmware: Sampler,
    /// Latencies of the next requests, before the firmware's is drawn.
    first_latencies: VecDeque<u64>,

    state: IocState,
    diagnostic: Diagnostic,
    config: Config,
    post_low: u32,
    /// Requests being worked on, by ticket.
    requests: BTreeMap<u32, Request>,
    next_ticket: u32,
    /// Finished requests whose replies wait to be posted.
    outbox: VecDeque<Request>,
    posting: Option<Posting>,
    /// DMA writes so far: the token of the latest.
    dma: u32,

    /// Where the next reply descriptor goes, and the first that the host hasn't taken.
    post_index: u32,
    host_index: u32,
    /// Where the next free reply frame is found, how many there are, and the host's last index.
    free_index: u32,
    free_count: u32,
    free_host_index: u32,

    masked: bool,
    /// An interrupt became due while masked.
    held: bool,
    /// INTx is asserted.
    line: bool,
    /// Replies visible since the last interrupt.
    unsignalled: u32,
    /// Running numbers: stale timeouts and stale resets are told by them.
    coalescing_round: u32,
    resets: u32,
}

impl Hba {
    /// The adapter after power-on: READY, nothing configured, interrupts not masked.
    #[must_use]
    pub fn new(spec: &HbaSpec, id: DeviceId, seed: u64) -> Self {
        Hba {
            id,
            registers: spec.regs,
            msi: spec.msi,
            interrupt_latency: spec.interrupt_latency,
            coalescing_depth: spec.coalescing_depth,
            coalescing_timeout: spec.coalescing_timeout,
            reset_time: spec.reset_time,
            firmware: Sampler::new(&spec.firmware_latency, seed, &spec.name),
            first_latencies: spec.first_latencies.iter().copied().collect(),
            state: IocState::Ready,
            diagnostic: Diagnostic::default(),
            config: Config::default(),
            post_low: 0,
            requests: BTreeMap::new(),
            next_ticket: 0,
            outbox: VecDeque::new(),
            posting: None,
            dma: 0,
            post_index: 0,
            host_index: 0,
            free_index: 0,
            free_count: 0,
            free_host_index: 0,
            masked: false,
            held: false,
            line: false,
            unsignalled: 0,
            coalescing_round: 0,
            resets: 0,
        }
    }

    pub(super) fn registers(&self) -> (PhysAddr, u64) {
        (self.registers, 0x1_0000)
    }

    pub(super) fn set_firmware_latency(&mut self, latency: &Latency) {
        self.firmware.set(latency);
    }

    pub(super) fn set_interrupt_latency(&mut self, cycles: u64) {
        self.interrupt_latency = Some(cycles);
    }

    pub(super) fn draws(&self) -> u64 {
        self.firmware.drawn()
    }

    pub(super) fn on_event(&mut self, token: u32, ctx: &mut DevCtx) {
        match token & KIND {
            COALESCING if token & !KIND == self.coalescing_round => self.signal(ctx),
            RESET_DONE if token & !KIND == self.resets => self.state = IocState::Ready,
            0 => {
                // Not there: a reset dropped it.
                if let Some(request) = self.requests.remove(&token) {
                    self.outbox.push_back(request);
                    self.post_next(ctx);
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_dma_done(&mut self, token: u32, ctx: &mut DevCtx) {
        // Writes of a reply that a reset has dropped have other tokens.
        let Some(posting) = self.posting.take_if(|posting| posting.last == token) else { return };
        let id = u32::from(posting.smid);
        self.post_index = (self.post_index + 1) % self.config.post_depth();
        ctx.effects.push(DevEffect::Trace(Trace::DeviceReply { device: self.id, id }));
        self.reply_visible(ctx);
        self.post_next(ctx);
    }

    /// A whole request descriptor has arrived: reads its frame and starts the firmware. Requests
    /// posted while the controller isn't operational are lost.
    ///
    /// The high half holds LMID and a SCSI I/O's device handle, which don't matter here.
    fn take_request(&mut self, ctx: &mut DevCtx) {
        if self.state != IocState::Operational {
            return;
        }
        let [flags, msix, smid_low, smid_high] = self.post_low.to_le_bytes();
        let smid = u16::from_le_bytes([smid_low, smid_high]);
        let mut header = [0; 12];
        ctx.memory.read(self.config.request_frame(smid), &mut header);
        let (function, vp_vf) = (header[3], [header[8], header[9]]);
        let request = Request { smid, flags, msix, function, vp_vf };
        let trace = Trace::DeviceRequest { device: self.id, id: u32::from(smid) };
        ctx.effects.push(DevEffect::Trace(trace));
        let token = self.next_ticket;
        self.next_ticket = (token + 1) & !KIND;
        self.requests.insert(token, request);
        let latency = self.first_latencies.pop_front().unwrap_or_else(|| self.firmware.draw());
        let at = ctx.now + latency;
        ctx.effects.push(DevEffect::Event { at, token });
    }

    /// Starts to post the oldest finished reply, if nothing is in its way: another reply, a full
    /// reply queue, or no free frame. Each of these tries again when it goes.
    fn post_next(&mut self, ctx: &mut DevCtx) {
        if self.posting.is_some() || self.state != IocState::Operational || self.queue_full() {
            return;
        }
        let Some(&request) = self.outbox.front() else { return };
        let mut descriptor = [0; DESCRIPTOR_BYTES as usize];
        descriptor[1] = request.msix;
        descriptor[2..4].copy_from_slice(&request.smid.to_le_bytes());
        if request.flags & 0xf == SCSI_IO {
            descriptor[0] = SCSI_IO_SUCCESS;
        } else {
            let Some(frame) = self.take_free_frame(ctx) else { return };
            descriptor[0] = ADDRESS_REPLY;
            descriptor[4..8].copy_from_slice(&frame.to_le_bytes());
            self.write_memory(self.config.reply_frame(frame), &default_reply(&request), ctx);
        }
        let at = self.config.post_queue() + u64::from(self.post_index) * DESCRIPTOR_BYTES;
        self.write_memory(PhysAddr(at), &descriptor, ctx);
        self.outbox.pop_front();
        self.posting = Some(Posting { smid: request.smid, last: self.dma });
    }

    /// Writes `bytes` at `addr`, in parts that don't cross a line.
    fn write_memory(&mut self, addr: PhysAddr, mut bytes: &[u8], ctx: &mut DevCtx) {
        let mut addr = addr.0;
        while !bytes.is_empty() {
            let room = (LINE_BYTES - addr % LINE_BYTES) as usize;
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.dma = self.dma.wrapping_add(1);
            let (to, bytes_now, token) = (PhysAddr(addr), now.to_vec(), self.dma);
            ctx.effects.push(DevEffect::DmaWrite { addr: to, bytes: bytes_now, token });
            addr += now.len() as u64;
            bytes = rest;
        }
    }

    /// One entry always stays empty, or full and empty would look alike.
    fn queue_full(&self) -> bool {
        let depth = self.config.post_depth();
        (self.post_index + 1) % depth == self.host_index
    }

    fn replies_waiting(&self) -> bool {
        self.post_index != self.host_index
    }

    fn take_free_frame(&mut self, ctx: &DevCtx) -> Option<u32> {
        self.free_count = self.free_count.checked_sub(1)?;
        let mut entry = [0; 4];
        ctx.memory.read(self.config.free_entry(self.free_index), &mut entry);
        self.free_index = (self.free_index + 1) % self.config.free_depth();
        Some(u32::from_le_bytes(entry))
    }

    /// The queues are set up: both are taken from their start, every entry of the reply free
    /// queue is valid, and the host index stands on its last.
    fn make_operational(&mut self) {
        self.state = IocState::Operational;
        (self.post_index, self.host_index) = (0, 0);
        self.free_index = 0;
        self.free_count = self.config.free_depth();
        self.free_host_index = self.config.free_depth() - 1;
    }

    /// The host gives reply frames back: entries up to and including `index` are free now.
    fn set_free_host_index(&mut self, index: u32, ctx: &mut DevCtx) {
        let depth = self.config.free_depth();
        let index = index % depth;
        let new = (index + depth - self.free_host_index) % depth;
        self.free_host_index = index;
        self.free_count = (self.free_count + new).min(depth);
        self.post_next(ctx);
    }

    /// The host has taken all descriptors before `index`.
    fn set_host_index(&mut self, index: u32, ctx: &mut DevCtx) {
        self.host_index = (index & 0x00ff_ffff) % self.config.post_depth();
        if !self.replies_waiting() {
            // Nothing is left to coalesce: the host came by itself.
            self.start_coalescing();
        }
        if !self.msi {
            // A level stays asserted while there is something left: the I/O APIC sends again.
            self.line = false;
            self.interrupt(ctx);
        }
        self.post_next(ctx);
    }

    /// A descriptor is visible: interrupts, now or when enough have come or time is up.
    fn reply_visible(&mut self, ctx: &mut DevCtx) {
        self.unsignalled += 1;
        if self.unsignalled >= self.coalescing_depth {
            self.signal(ctx);
        } else if self.unsignalled == 1 {
            let at = ctx.now + self.coalescing_timeout;
            let token = COALESCING | self.coalescing_round;
            ctx.effects.push(DevEffect::Event { at, token });
        }
    }

    fn signal(&mut self, ctx: &mut DevCtx) {
        self.start_coalescing();
        self.interrupt(ctx);
    }

    /// From now on replies count, and time runs, for the next interrupt.
    fn start_coalescing(&mut self) {
        self.unsignalled = 0;
        self.coalescing_round = (self.coalescing_round + 1) & !KIND;
    }

    fn interrupt(&mut self, ctx: &mut DevCtx) {
        if !self.replies_waiting() {
            return;
        }
        if self.masked {
            self.held = true;
            return;
        }
        let Some((vector, to)) = self.config.interrupt(self.msi) else { return };
        if self.line && !self.msi {
            return;
        }
        self.line = true;
        let preset = if self.msi { ctx.interrupts.msi } else { ctx.interrupts.intx };
        let at = ctx.now + self.interrupt_latency.unwrap_or(u64::from(preset));
        let trace = Trace::DeviceInterrupt { device: self.id, to, vector };
        ctx.effects.push(DevEffect::Trace(trace));
        ctx.effects.push(DevEffect::Interrupt { at, to, delivery: Delivery::Fixed(vector) });
    }

    fn set_masked(&mut self, masked: bool, ctx: &mut DevCtx) {
        self.masked = masked;
        if masked {
            self.line = false;
        } else if std::mem::take(&mut self.held) || !self.msi {
            self.interrupt(ctx);
        }
    }

    /// Adapter or message unit reset: every request is dropped, READY after the reset time. The
    /// mask and the queue addresses stay.
    fn reset(&mut self, ctx: &mut DevCtx) {
        self.state = IocState::Reset;
        self.requests.clear();
        self.outbox.clear();
        self.posting = None;
        (self.post_index, self.host_index) = (0, 0);
        (self.held, self.line) = (false, false);
        self.start_coalescing();
        self.resets = (self.resets + 1) & !KIND;
        let token = RESET_DONE | self.resets;
        ctx.effects.push(DevEffect::Event { at: ctx.now + self.reset_time, token });
    }
}

/// The MPI2 default reply to a request: MsgLength, the request's function and ports, status 0.
fn default_reply(request: &Request) -> [u8; REPLY_DWORDS as usize * 4] {
    let mut frame = [0; REPLY_DWORDS as usize * 4];
    frame[2] = REPLY_DWORDS;
    frame[3] = request.function;
    frame[8..10].copy_from_slice(&request.vp_vf);
    frame
}
