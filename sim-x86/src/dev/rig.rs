//! A device on the bench: memory, an event queue and a record of what came out.

use super::{DevCtx, DevEffect, Device, DmaRead};
use crate::ids::{CoreId, DeviceId, PhysAddr};
use crate::presets::westmere_ep;
use crate::spec::InterruptSpec;
use crate::trace::{Delivery, Trace};
use sim_core::{Cycle, EventQueue, Source};

/// The device's id on the bench.
pub(super) const ID: DeviceId = DeviceId(2);

/// Memory from address 0 on.
struct Ram(Vec<u8>);

impl DmaRead for Ram {
    fn read(&self, addr: PhysAddr, bytes: &mut [u8]) {
        let at = addr.0 as usize;
        bytes.copy_from_slice(&self.0[at..at + bytes.len()]);
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Pending {
    Event(u32),
    /// Index in `dma`.
    Dma(usize),
}

pub(super) struct Rig {
    pub(super) device: Device,
    pub(super) now: Cycle,
    pub(super) interrupts: Vec<(Cycle, CoreId, Delivery)>,
    pub(super) stalls: Vec<(Cycle, Option<CoreId>, Cycle)>,
    pub(super) traces: Vec<(Cycle, Trace)>,
    /// Where DMA writes landed, in order.
    pub(super) landed: Vec<(Cycle, PhysAddr)>,
    pub(super) spec: InterruptSpec,
    ram: Ram,
    queue: EventQueue<Pending>,
    dma: Vec<(PhysAddr, Vec<u8>, u32)>,
}

impl Rig {
    pub(super) fn new(device: Device) -> Self {
        Rig {
            device,
            now: Cycle(0),
            interrupts: Vec::new(),
            stalls: Vec::new(),
            traces: Vec::new(),
            landed: Vec::new(),
            spec: westmere_ep().interrupts,
            ram: Ram(vec![0; 0x1_0000]),
            queue: EventQueue::new(1),
            dma: Vec::new(),
        }
    }

    pub(super) fn call(&mut self, f: impl FnOnce(&mut Device, &mut DevCtx)) {
        let mut effects = Vec::new();
        let mut ctx = DevCtx {
            now: self.now,
            interrupts: &self.spec,
            memory: &self.ram,
            effects: &mut effects,
        };
        f(&mut self.device, &mut ctx);
        for effect in effects {
            match effect {
                DevEffect::Event { at, token } => {
                    self.queue.schedule(at, Source(0), Pending::Event(token));
                }
                DevEffect::DmaWrite { addr, bytes, token } => {
                    let last = PhysAddr(addr.0 + bytes.len() as u64 - 1);
                    assert_eq!(addr.line(), last.line(), "a write must not cross a line");
                    let visible = self.now + u64::from(self.spec.dma_write);
                    self.queue.schedule(visible, Source(0), Pending::Dma(self.dma.len()));
                    self.dma.push((addr, bytes, token));
                }
                DevEffect::Interrupt { at, to, delivery } => {
                    self.interrupts.push((at, to, delivery));
                }
                DevEffect::Stall { core, until } => self.stalls.push((self.now, core, until)),
                DevEffect::Trace(trace) => self.traces.push((self.now, trace)),
            }
        }
    }

    /// Runs everything that is due up to and including `until`.
    pub(super) fn run_until(&mut self, until: Cycle) {
        while self.queue.next_at().is_some_and(|at| at <= until) {
            let (at, pending) = self.queue.pop().expect("there is one");
            self.now = at;
            match pending {
                Pending::Event(token) => self.call(|device, ctx| device.on_event(token, ctx)),
                Pending::Dma(n) => {
                    let (addr, bytes, token) = self.dma[n].clone();
                    self.poke(addr.0, &bytes);
                    self.landed.push((at, addr));
                    self.call(|device, ctx| device.on_dma_done(token, ctx));
                }
            }
        }
        self.now = until;
    }

    pub(super) fn write(&mut self, offset: u32, value: u32) {
        self.call(|device, ctx| device.write(offset, value, ctx));
    }

    pub(super) fn read(&self, offset: u32) -> u32 {
        self.device.read(offset)
    }

    pub(super) fn poke(&mut self, addr: u64, bytes: &[u8]) {
        let at = addr as usize;
        self.ram.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn peek<const N: usize>(&self, addr: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.ram.read(PhysAddr(addr), &mut bytes);
        bytes
    }
}
