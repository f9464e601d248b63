//! A driver of few lines against the adapter.

use super::*;
use crate::dev::rig::{ID, Rig};
use crate::dev::{Device, DeviceSpec};
use crate::ids::CoreId;
use proptest::prelude::*;
use sim_core::Cycle;

const REQUESTS: u64 = 0x1000;
const FRAME: u64 = 128;
const POST_QUEUE: u64 = 0x4000;
const FREE_QUEUE: u64 = 0x5000;
const REPLIES: u64 = 0x8000;
const MASK: u32 = 0x34;
const STATUS: u32 = 0x30;
const DEFAULT: u8 = 0x08;
const DMA: u64 = 600;
const MSI: u64 = 900;

/// What the driver found in the reply queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reply {
    smid: u16,
    kind: u8,
    frame: u32,
}

struct Driver {
    rig: Rig,
    depth: u32,
    frames: u32,
    host_index: u32,
    free_index: u32,
}

fn spec(latency: Latency) -> HbaSpec {
    HbaSpec {
        name: "ioc0".to_owned(),
        regs: PhysAddr(0xe000_0000),
        firmware_latency: latency,
        first_latencies: Vec::new(),
        msi: true,
        interrupt_latency: None,
        coalescing_depth: 1,
        coalescing_timeout: 0,
        reset_time: 50_000,
    }
}

impl Driver {
    /// Sets the adapter up with queues of `depth` replies and `frames` free frames.
    fn with(spec: HbaSpec, depth: u32, frames: u32) -> Self {
        let rig = Rig::new(Device::new(&DeviceSpec::Hba(spec), ID, 7));
        let mut driver = Driver { rig, depth, frames, host_index: 0, free_index: 0 };
        driver.start();
        driver
    }

    fn new(latency: u64) -> Self {
        Driver::with(spec(Latency::Constant(latency)), 8, 4)
    }

    fn start(&mut self) {
        self.host_index = 0;
        self.free_index = self.frames - 1;
        for n in 0..u64::from(self.depth) {
            self.rig.poke(POST_QUEUE + n * 8, &[0xff; 8]);
        }
        for n in 0..u64::from(self.frames) {
            let frame = (REPLIES + n * FRAME) as u32;
            self.rig.poke(FREE_QUEUE + n * 4, &frame.to_le_bytes());
        }
        let config = [
            (0x100, REQUESTS as u32),
            (0x104, 0),
            (0x108, FRAME as u32),
            (0x110, POST_QUEUE as u32),
            (0x114, 0),
            (0x118, self.depth),
            (0x120, FREE_QUEUE as u32),
            (0x124, 0),
            (0x128, self.frames),
            (0x130, REPLIES as u32),
            (0x134, 0),
            (0x138, FRAME as u32),
            (0x140, 1 << 31 | 0x51),
            (0x144, 5),
            (0x148, 1),
        ];
        for (offset, value) in config {
            self.rig.write(offset, value);
        }
    }

    fn post(&mut self, smid: u16, flags: u8) {
        let [low, high] = smid.to_le_bytes();
        self.rig.write(0xc0, u32::from_le_bytes([flags, 0, low, high]));
        self.rig.write(0xc4, 0);
    }

    fn post_all(&mut self, smids: std::ops::RangeInclusive<u16>, flags: u8) {
        for smid in smids {
            self.post(smid, flags);
        }
    }

    /// The interrupt handler: takes replies until it finds an unused entry.
    fn service(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            let at = POST_QUEUE + u64::from(self.host_index) * 8;
            let bytes: [u8; 8] = self.rig.peek(at);
            if bytes[0] & 0xf == 0xf {
                break;
            }
            let smid = u16::from_le_bytes([bytes[2], bytes[3]]);
            let [.., a, b, c, d] = bytes;
            let frame = u32::from_le_bytes([a, b, c, d]);
            replies.push(Reply { smid, kind: bytes[0] & 0xf, frame });
            self.rig.poke(at, &[0xff; 8]);
            self.host_index = (self.host_index + 1) % self.depth;
            if frame != 0 {
                self.give_back(frame);
            }
        }
        if !replies.is_empty() {
            self.rig.write(0x6c, self.host_index);
        }
        replies
    }

    fn give_back(&mut self, frame: u32) {
        self.free_index = (self.free_index + 1) % self.frames;
        self.rig.poke(FREE_QUEUE + u64::from(self.free_index) * 4, &frame.to_le_bytes());
        self.rig.write(0x48, self.free_index);
    }

    fn state(&self) -> u32 {
        self.rig.read(0) >> 28
    }

    fn interrupt_times(&self) -> Vec<u64> {
        self.rig.interrupts.iter().map(|&(at, ..)| at.0).collect()
    }
}

fn smids(replies: &[Reply]) -> Vec<u16> {
    replies.iter().map(|reply| reply.smid).collect()
}

#[test]
fn a_scsi_io_is_answered_by_a_descriptor_alone() {
    let mut driver = Driver::new(10_000);
    driver.post(3, SCSI_IO);
    driver.rig.run_until(Cycle(10_000 + DMA - 1));
    assert_eq!(driver.service(), []);
    driver.rig.run_until(Cycle(10_000 + DMA));
    assert_eq!(driver.service(), [Reply { smid: 3, kind: SCSI_IO_SUCCESS, frame: 0 }]);
    let msi = (Cycle(10_000 + DMA + MSI), CoreId(5), Delivery::Fixed(0x51));
    assert_eq!(driver.rig.interrupts, [msi]);
}

#[test]
fn other_requests_are_answered_by_a_frame_before_the_descriptor() {
    let mut driver = Driver::new(10_000);
    // Function IOC_FACTS, VP_ID 1, VF_ID 2.
    driver.rig.poke(REQUESTS + 6 * FRAME, &[0, 0, 0, 3, 0, 0, 0, 0, 1, 2, 0, 0]);
    driver.post(6, DEFAULT);
    driver.rig.run_until(Cycle(10_000 + DMA));
    let frame: [u8; 20] = driver.rig.peek(REPLIES);
    assert_eq!(frame[..10], [0, 0, 5, 3, 0, 0, 0, 0, 1, 2]);
    assert_eq!(frame[10..], [0; 10], "status success");
    let order: Vec<PhysAddr> = driver.rig.landed.iter().map(|&(_, addr)| addr).collect();
    assert_eq!(order, [PhysAddr(REPLIES), PhysAddr(POST_QUEUE)]);
    let reply = Reply { smid: 6, kind: ADDRESS_REPLY, frame: REPLIES as u32 };
    assert_eq!(driver.service(), [reply]);
}

#[test]
fn requests_and_replies_are_traced() {
    let mut driver = Driver::new(10_000);
    driver.post(3, SCSI_IO);
    driver.rig.run_until(Cycle(20_000));
    let visible = Cycle(10_000 + DMA);
    let expected = [
        (Cycle(0), Trace::DeviceRequest { device: ID, id: 3 }),
        (visible, Trace::DeviceReply { device: ID, id: 3 }),
        (visible, Trace::DeviceInterrupt { device: ID, to: CoreId(5), vector: 0x51 }),
    ];
    assert_eq!(driver.rig.traces, expected);
}

#[test]
fn replies_leave_in_order_of_completion() {
    let latencies = Latency::Listed(vec![9_000, 5_000, 5_000, 1_000]);
    let mut driver = Driver::with(spec(latencies), 8, 4);
    driver.post_all(1..=4, SCSI_IO);
    driver.rig.run_until(Cycle(50_000));
    assert_eq!(smids(&driver.service()), [4, 2, 3, 1]);
}

#[test]
fn a_full_reply_queue_holds_replies_back() {
    let mut driver = Driver::with(spec(Latency::Constant(100)), 4, 4);
    driver.post_all(1..=6, SCSI_IO);
    driver.rig.run_until(Cycle(50_000));
    assert_eq!(smids(&driver.service()), [1, 2, 3], "one entry stays empty");
    driver.rig.run_until(Cycle(100_000));
    assert_eq!(smids(&driver.service()), [4, 5, 6]);
}

#[test]
fn without_a_free_frame_replies_wait_for_one() {
    let mut driver = Driver::with(spec(Latency::Constant(100)), 8, 2);
    driver.post_all(1..=3, DEFAULT);
    driver.rig.run_until(Cycle(50_000));
    assert_eq!(smids(&driver.service()), [1, 2]);
    driver.rig.run_until(Cycle(100_000));
    let replies = driver.service();
    assert_eq!((replies[0].smid, replies[0].frame), (3, REPLIES as u32), "given back first");
}

#[test]
fn a_frame_across_a_line_is_written_in_two_parts() {
    let mut driver = Driver::new(100);
    let frame = REPLIES as u32 + 56;
    driver.rig.poke(FREE_QUEUE, &frame.to_le_bytes());
    driver.rig.poke(REPLIES + 56, &[0xee; 20]);
    driver.post(1, DEFAULT);
    driver.rig.run_until(Cycle(100 + DMA));
    let order: Vec<PhysAddr> = driver.rig.landed.iter().map(|&(_, addr)| addr).collect();
    assert_eq!(order, [REPLIES + 56, REPLIES + 64, POST_QUEUE].map(PhysAddr));
    assert_eq!(driver.rig.peek::<20>(REPLIES + 56)[4..], [0; 16]);
    assert_eq!(smids(&driver.service()), [1]);
}

#[test]
fn requests_before_it_is_operational_are_lost() {
    let mut rig = Rig::new(Device::new(&DeviceSpec::Hba(spec(Latency::Constant(1))), ID, 7));
    assert_eq!(rig.read(0), 1 << 28, "READY");
    rig.write(0xc0, 0x0001_0000);
    rig.write(0xc4, 0);
    rig.run_until(Cycle(10_000));
    assert!(rig.traces.is_empty() && rig.interrupts.is_empty());
}

#[test]
fn a_masked_interrupt_is_held_until_it_is_unmasked() {
    let mut driver = Driver::new(100);
    driver.rig.write(MASK, 1 << 3);
    driver.post(1, SCSI_IO);
    driver.rig.run_until(Cycle(10_000));
    assert_eq!((driver.rig.read(STATUS), driver.rig.read(MASK)), (1 << 3, 1 << 3));
    assert_eq!(driver.interrupt_times(), []);
    driver.rig.write(MASK, 0);
    assert_eq!(driver.interrupt_times(), [10_000 + MSI]);
    driver.service();
    assert_eq!(driver.rig.read(STATUS), 0);
    driver.rig.write(MASK, 1 << 3);
    driver.rig.write(MASK, 0);
    assert_eq!(driver.interrupt_times().len(), 1, "nothing was held");
}

#[test]
fn a_reply_taken_while_masked_interrupts_no_more() {
    let mut driver = Driver::new(100);
    driver.rig.write(MASK, 1 << 3);
    driver.post(1, SCSI_IO);
    driver.rig.run_until(Cycle(10_000));
    driver.service();
    driver.rig.write(MASK, 0);
    assert_eq!(driver.interrupt_times(), []);
}

#[test]
fn coalescing_waits_for_enough_replies() {
    let mut spec = spec(Latency::Listed(vec![1_000, 5_000, 9_000, 13_000]));
    (spec.coalescing_depth, spec.coalescing_timeout) = (2, 100_000);
    let mut driver = Driver::with(spec, 8, 4);
    driver.post_all(1..=4, SCSI_IO);
    driver.rig.run_until(Cycle(1_000_000));
    assert_eq!(driver.interrupt_times(), [5_000 + DMA + MSI, 13_000 + DMA + MSI]);
}

#[test]
fn coalescing_gives_up_after_its_timeout() {
    let mut spec = spec(Latency::Listed(vec![1_000, 2_000, 90_000]));
    (spec.coalescing_depth, spec.coalescing_timeout) = (4, 10_000);
    let mut driver = Driver::with(spec, 8, 4);
    driver.post_all(1..=3, SCSI_IO);
    driver.rig.run_until(Cycle(1_000_000));
    let timeouts = [1_000 + DMA + 10_000 + MSI, 90_000 + DMA + 10_000 + MSI];
    assert_eq!(driver.interrupt_times(), timeouts, "counted from the first reply of each");
}

#[test]
fn a_host_that_takes_replies_by_itself_is_not_interrupted_for_them() {
    for msi in [true, false] {
        let mut spec = spec(Latency::Listed(vec![1_000, 40_000]));
        (spec.coalescing_depth, spec.coalescing_timeout, spec.msi) = (2, 10_000, msi);
        let mut driver = Driver::with(spec, 8, 4);
        driver.post(1, SCSI_IO);
        driver.post(2, SCSI_IO);
        driver.rig.run_until(Cycle(5_000));
        assert_eq!(smids(&driver.service()), [1]);
        driver.rig.run_until(Cycle(30_000));
        assert_eq!(driver.interrupt_times(), []);
        driver.rig.run_until(Cycle(100_000));
        assert_eq!(driver.interrupt_times().len(), 1, "the second waits its own time");
    }
}

#[test]
fn intx_is_a_level() {
    let mut spec = spec(Latency::Listed(vec![1_000, 3_000, 50_000]));
    spec.msi = false;
    let mut driver = Driver::with(spec, 8, 4);
    driver.post_all(1..=3, SCSI_IO);
    let intx = u64::from(driver.rig.spec.intx);
    driver.rig.run_until(Cycle(20_000));
    assert_eq!(driver.interrupt_times(), [1_000 + DMA + intx], "asserted already");
    driver.rig.write(0x6c, 1);
    assert_eq!(driver.interrupt_times().len(), 2, "one is left: sent again");
    driver.rig.write(0x6c, 2);
    assert_eq!(driver.interrupt_times().len(), 2, "deasserted");
    driver.rig.run_until(Cycle(60_000));
    assert_eq!(driver.interrupt_times()[2], 50_000 + DMA + intx);
}

#[test]
fn the_interrupts_latency_can_be_overridden() {
    let mut spec = spec(Latency::Constant(1_000));
    spec.interrupt_latency = Some(7);
    let mut driver = Driver::with(spec, 8, 4);
    driver.post(1, SCSI_IO);
    driver.rig.run_until(Cycle(10_000));
    assert_eq!(driver.interrupt_times(), [1_000 + DMA + 7]);
}

#[test]
fn no_msi_is_sent_unless_enabled() {
    let mut driver = Driver::new(100);
    driver.rig.write(0x140, 0x51);
    driver.post(1, SCSI_IO);
    driver.rig.run_until(Cycle(10_000));
    assert_eq!(driver.interrupt_times(), []);
    assert_eq!(smids(&driver.service()), [1]);
}

#[test]
fn a_reset_drops_requests_and_ends_in_ready() {
    for (offset, value) in [(0x08, 1 << 2), (0x00, 0x40 << 24)] {
        let mut driver = Driver::new(10_000);
        driver.post(1, DEFAULT);
        driver.rig.run_until(Cycle(5_000));
        driver.rig.write(offset, value);
        assert_eq!(driver.state(), 0, "RESET");
        driver.post(2, DEFAULT);
        driver.rig.run_until(Cycle(54_999));
        assert_eq!((driver.state(), driver.rig.read(0x148)), (0, 0));
        driver.rig.run_until(Cycle(55_000));
        assert_eq!(driver.state(), 1, "READY");
        driver.start();
        assert_eq!(driver.state(), 2, "OPERATIONAL");
        driver.rig.run_until(Cycle(200_000));
        assert_eq!(driver.service(), []);
        driver.post(3, DEFAULT);
        driver.rig.run_until(Cycle(300_000));
        assert_eq!(smids(&driver.service()), [3]);
    }
}

#[test]
fn a_reset_during_the_dma_of_a_reply_leaves_no_trace_of_it() {
    let mut driver = Driver::new(1_000);
    driver.post(1, DEFAULT);
    driver.rig.run_until(Cycle(1_000 + DMA / 2));
    driver.rig.write(0x08, 1 << 2);
    driver.rig.run_until(Cycle(60_000));
    driver.start();
    driver.post(2, DEFAULT);
    driver.rig.run_until(Cycle(100_000));
    assert_eq!(smids(&driver.service()), [2]);
    assert_eq!(driver.interrupt_times().len(), 1);
}

#[test]
fn a_second_reset_starts_the_wait_again() {
    let mut driver = Driver::new(1_000);
    driver.rig.write(0x08, 1 << 2);
    driver.rig.run_until(Cycle(30_000));
    driver.rig.write(0x08, 1 << 2);
    driver.rig.run_until(Cycle(79_999));
    assert_eq!(driver.state(), 0);
    driver.rig.run_until(Cycle(80_000));
    assert_eq!(driver.state(), 1);
}

#[test]
fn the_diagnostic_register_tells_of_keys_and_resets() {
    let mut driver = Driver::new(1_000);
    for key in [0, 0xf, 0x4, 0xb, 0x2, 0x7] {
        driver.rig.write(0x04, key);
        assert_eq!(driver.rig.read(0x08), 0);
    }
    driver.rig.write(0x04, 0xd);
    assert_eq!(driver.rig.read(0x08), 1 << 7);
    driver.rig.write(0x04, 0);
    assert_eq!(driver.rig.read(0x08), 0, "locked again");
    driver.rig.write(0x08, 1 << 2);
    assert_eq!(driver.rig.read(0x08), 1 << 5 | 1 << 2);
    driver.rig.run_until(Cycle(60_000));
    assert_eq!(driver.rig.read(0x08), 1 << 5);
}

#[test]
fn the_latency_can_be_replaced_before_it_is_drawn() {
    let mut driver = Driver::new(10_000);
    driver.rig.device.set_latency(&Latency::Constant(300));
    assert_eq!(driver.rig.device.draws(), 0);
    driver.post(1, SCSI_IO);
    assert_eq!(driver.rig.device.draws(), 1);
    driver.rig.run_until(Cycle(300 + DMA));
    assert_eq!(smids(&driver.service()), [1]);
}

/// Requests at these distances, each with its latency and whether it is a SCSI I/O.
type Load = Vec<(u64, u64, bool)>;

fn loads() -> impl Strategy<Value = Load> {
    prop::collection::vec((0u64..4_000, 0u64..20_000, any::<bool>()), 1..60)
}

proptest! {
    /// Whatever the load, the queue sizes and the coalescing: a driver that looks at the queue
    /// only when an interrupt has arrived gets every reply once, in order of completion.
    #[test]
    fn no_reply_is_lost(
        load in loads(),
        depth in 2u32..10,
        frames in 2u32..6,
        coalescing in 1u32..4,
        msi: bool,
    ) {
        let latencies = load.iter().map(|&(_, latency, _)| latency).collect();
        let mut spec = spec(Latency::Listed(latencies));
        (spec.coalescing_depth, spec.coalescing_timeout) = (coalescing, 5_000);
        spec.msi = msi;
        let mut driver = Driver::with(spec, depth, frames);
        let (mut got, mut completions, mut posted, mut next) = (Vec::new(), Vec::new(), 0u64, 0);
        let mut waiting = load.iter().enumerate().peekable();
        for now in (0..2_000_000).step_by(100) {
            driver.rig.run_until(Cycle(now));
            while let Some(&(n, &(gap, latency, scsi))) = waiting.peek() {
                if posted + gap > now {
                    break;
                }
                posted = now;
                driver.post(n as u16 + 1, if scsi { SCSI_IO } else { DEFAULT });
                completions.push((now + latency, n as u16 + 1));
                waiting.next();
            }
            while driver.rig.interrupts.get(next).is_some_and(|&(at, ..)| at <= Cycle(now)) {
                next += 1;
                got.extend(smids(&driver.service()));
            }
        }
        completions.sort_unstable();
        let expected: Vec<u16> = completions.into_iter().map(|(_, smid)| smid).collect();
        prop_assert_eq!(got, expected);
        prop_assert_eq!(driver.rig.read(STATUS), 0);
    }
}
