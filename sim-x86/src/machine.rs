//! The whole machine, as a value.
//!
//! `clone` forks it (large state is copy-on-write), `==` compares it, serde stores it. All time
//! passes in [`Machine::run`].

mod agenda;
pub mod invariants;
pub mod log;
mod run;
pub mod snapshot;
mod speed;
mod sweep;

use crate::core::carry;
use crate::core::code::CodeCache;
use crate::core::regs::Registers;
use crate::core::step::{Parts, Scratch};
use crate::core::translate::{DEVICE_BASE, Purpose, Target, translate};
use crate::core::{Core, Run};
use crate::dev::{Device, Latency};
use crate::event::Event;
use crate::ids::{CoreId, DeviceId, PhysAddr};
use crate::mem::home::{Home, Send};
use crate::mem::ram::Ram;
use crate::perturb::{Perturbation, Site};
use crate::spec::{MachineSpec, SpecErrors};
use agenda::Agenda;
use log::{Ranges, TraceLog};
pub use run::{Stop, Until};
use serde::{Deserialize, Serialize};
use sim_core::{Cycle, EventQueue, Source, TraceHash};
pub use speed::Speed;
use std::collections::VecDeque;
use std::sync::Arc;

/// A DMA write on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct DmaWrite {
    addr: PhysAddr,
    bytes: Vec<u8>,
    token: u32,
    /// When it reaches the home agent.
    arrives: Cycle,
}

/// Everything that a run changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    now: Cycle,
    cores: Vec<Core>,
    ram: Ram,
    home: Home,
    queue: EventQueue<Event>,
    devices: Vec<Device>,
    /// Per device: its DMA writes in order; the first one is in flight.
    dma: Vec<VecDeque<DmaWrite>>,
    /// How often each trigger of the spec was reached.
    triggers: Vec<u64>,
    console: Vec<u8>,
    /// What devices did, hashed.
    device_hash: TraceHash,
}

/// What can be rebuilt at any time and never changes a result.
#[derive(Clone, Debug)]
struct Derived {
    code: CodeCache,
    scratch: Vec<Scratch>,
    log: TraceLog,
    map: DeviceMap,
    agenda: Agenda,
    /// That of the run that is going on, or was the last.
    speed: Speed,
    /// The home agent's messages, on their way to the queue: empty but for its room.
    sends: Vec<Send>,
    stops: Ranges,
    /// Instructions that end a run when reached, by any CPU or by one.
    breakpoints: Vec<(u64, Option<CoreId>)>,
}

/// Where devices answer.
#[derive(Clone, Debug, Default)]
pub struct DeviceMap(Vec<(PhysAddr, u64, DeviceId)>);

impl DeviceMap {
    /// The device at `addr` and the offset into its registers.
    #[must_use]
    pub fn find(&self, addr: PhysAddr) -> Option<(DeviceId, u32)> {
        let hit = |&&(base, len, _): &&(PhysAddr, u64, DeviceId)| {
            addr.0.checked_sub(base.0).is_some_and(|offset| offset < len)
        };
        self.0.iter().find(hit).map(|&(base, _, id)| (id, (addr.0 - base.0) as u32))
    }
}

/// A multicore x86-64 machine.
#[derive(Clone, Debug)]
pub struct Machine {
    spec: Arc<MachineSpec>,
    state: State,
    derived: Derived,
}

impl PartialEq for Machine {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && self.state == other.state
    }
}

impl Derived {
    fn new(spec: &MachineSpec, devices: &[Device]) -> Self {
        let ranges = devices.iter().enumerate().filter_map(|(id, device)| {
            let (base, len) = device.registers()?;
            Some((base, len, DeviceId(id as u8)))
        });
        Derived {
            speed: Speed::default(),
            code: CodeCache::default(),
            scratch: vec![Scratch::default(); spec.cores as usize],
            log: TraceLog::new(spec.cores),
            map: DeviceMap(ranges.collect()),
            agenda: Agenda::default(),
            sends: Vec::new(),
            stops: Ranges::default(),
            breakpoints: Vec::new(),
        }
    }
}

/// Names of the registers that [`Machine::start_core`] can set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// First instruction.
    pub rip: u64,
    /// RDI: first argument.
    pub rdi: u64,
    /// RSP.
    pub rsp: u64,
}

impl Machine {
    /// A machine after reset: memory zero, no CPU started, devices silent.
    ///
    /// # Errors
    /// Everything that is wrong with `spec`, at once.
    pub fn new(spec: MachineSpec) -> Result<Self, SpecErrors> {
        spec.validate()?;
        let devices: Vec<Device> = spec
            .devices
            .iter()
            .enumerate()
            .map(|(id, device)| Device::new(device, DeviceId(id as u8), spec.seed))
            .collect();
        let sources = spec.cores as usize + 1 + devices.len();
        let derived = Derived::new(&spec, &devices);
        let state = State {
            now: Cycle(0),
            cores: (0..spec.cores as u16).map(|id| Core::new(CoreId(id), &spec)).collect(),
            ram: Ram::new(DEVICE_BASE),
            home: Home::new(&spec),
            queue: EventQueue::new(sources),
            dma: vec![VecDeque::new(); devices.len()],
            devices,
            triggers: vec![0; spec.triggers.len()],
            console: Vec::new(),
            device_hash: TraceHash::default(),
        };
        Ok(Machine { spec: Arc::new(spec), state, derived })
    }

    /// What it is made of.
    #[must_use]
    pub fn spec(&self) -> &MachineSpec {
        &self.spec
    }

    /// Current cycle: every event before it has happened.
    #[must_use]
    pub fn now(&self) -> Cycle {
        self.state.now
    }

    /// Starts a CPU at the current cycle in 64-bit mode, ring 0, interrupts off (the state in
    /// which a boot loader hands over; see `start_registers` for the values).
    pub fn start_core(&mut self, core: CoreId, start: Start) {
        let now = self.state.now;
        let perturb = &self.spec.perturb;
        let skew = perturb.delay(perturb.start_skew, Site::Start, core, now.0);
        let core = &mut self.state.cores[core.index()];
        core.regs = start_registers(start);
        core.unit.resume(now + skew);
    }

    /// Perturbs the timing from now on as `perturbation` says, instead of what the specification
    /// said so far.
    pub fn perturb(&mut self, perturbation: Perturbation) {
        Arc::make_mut(&mut self.spec).perturb = perturbation;
        for core in &mut self.state.cores {
            core.unit.attention |= perturbation.at_boundaries();
        }
    }

    /// Architectural registers of a CPU.
    #[must_use]
    pub fn registers(&self, core: CoreId) -> &Registers {
        &self.state.cores[core.index()].regs
    }

    /// Changes architectural registers of a CPU, as a debugger does.
    pub fn registers_mut(&mut self, core: CoreId) -> &mut Registers {
        &mut self.state.cores[core.index()].regs
    }

    /// What a CPU is doing.
    #[must_use]
    pub fn run_state(&self, core: CoreId) -> Run {
        self.state.cores[core.index()].unit.run
    }

    /// Cycle at which a CPU starts its next instruction.
    #[must_use]
    pub fn clock(&self, core: CoreId) -> Cycle {
        self.state.cores[core.index()].unit.clock
    }

    /// Instructions retired by all CPUs.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.state.cores.iter().map(|core| core.unit.instructions).sum()
    }

    /// Instructions that the host executed since derived state was last dropped; the rest of
    /// [`Machine::instructions`] was computed by skipping loops.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.derived.scratch.iter().map(|scratch| scratch.executed).sum()
    }

    /// How often events have carried CPUs on since derived state was last dropped.
    #[must_use]
    pub fn carried(&self) -> carry::Counts {
        self.derived.scratch.iter().map(|scratch| scratch.carried.counts).sum()
    }

    /// Bytes that left by the debug console port.
    #[must_use]
    pub fn console(&self) -> &[u8] {
        &self.state.console
    }

    /// Reads memory without disturbing anything: what is globally visible.
    pub fn read_physical(&self, addr: PhysAddr, bytes: &mut [u8]) {
        self.state.ram.read_bytes(addr, bytes);
    }

    /// Writes memory without disturbing anything but the value: for loaders and debuggers.
    pub fn write_physical(&mut self, addr: PhysAddr, bytes: &[u8]) {
        self.state.ram.write_bytes(addr, bytes);
        self.forget_derived();
    }

    /// Physical address behind a linear one, for ring 0; `None` if nothing or no RAM is there.
    #[must_use]
    pub fn translate(&self, addr: u64) -> Option<PhysAddr> {
        match translate(self.spec.translation, addr, false, Purpose::Read) {
            Ok(Target::Ram(addr)) => Some(addr),
            Ok(Target::Device(_) | Target::Apic(_)) | Err(_) => None,
        }
    }

    /// Reads linear memory; false if part of it isn't RAM.
    pub fn read_virtual(&self, addr: u64, bytes: &mut [u8]) -> bool {
        for (i, byte) in bytes.iter_mut().enumerate() {
            let Some(addr) = self.translate(addr.wrapping_add(i as u64)) else { return false };
            self.state.ram.read_bytes(addr, std::slice::from_mut(byte));
        }
        true
    }

    /// Reports reads and writes of the `len` bytes at `addr` to observers from now on.
    pub fn watch(&mut self, addr: PhysAddr, len: u64) {
        self.derived.log.watch(addr, len);
    }

    /// Ends a run with [`Stop::Written`] when any of the `len` bytes at `addr` is written.
    pub fn stop_on_write(&mut self, addr: PhysAddr, len: u64) {
        self.derived.stops.add(addr, len);
        self.derived.log.set_stops(self.derived.stops.clone());
    }

    /// Ends a run with [`Stop::Reached`] when a CPU (any, if `core` is `None`) is about to execute
    /// the instruction at linear address `rip`.
    pub fn stop_at(&mut self, rip: u64, core: Option<CoreId>) {
        self.derived.breakpoints.push((rip, core));
        self.forget_derived();
    }

    /// Forgets what [`Machine::stop_on_write`] and [`Machine::stop_at`] have set.
    pub fn clear_stops(&mut self) {
        self.derived.breakpoints.clear();
        self.forget_derived();
        self.derived.stops = Ranges::default();
        self.derived.log.set_stops(Ranges::default());
    }

    /// Holds a CPU up for `cycles` before its next instruction, as an SMI would: nothing interrupts
    /// it meanwhile. Stores that it has buffered leave as they would have, and nobody else notices.
    pub fn hold_up(&mut self, core: CoreId, cycles: u64) {
        let now = self.state.now;
        let next = self.clock(core).max(now);
        self.stall(now, Some(core), next + cycles);
    }

    /// Replaces a device's latency (see [`Device::set_latency`]) for draws from now on: a fork made
    /// before the first draw then runs as if it had been built with it.
    pub fn set_latency(&mut self, device: DeviceId, latency: &Latency) {
        self.state.devices[device.index()].set_latency(latency);
    }

    /// How many latencies a device has drawn.
    #[must_use]
    pub fn latencies_drawn(&self, device: DeviceId) -> u64 {
        self.state.devices[device.index()].draws()
    }

    /// Hash of everything that happened, and of where it led.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        let core = |core: &Core| {
            let mut hash = core.unit.hash;
            hash.add(core.unit.clock.0);
            hash.add(core.unit.instructions);
            hash.add(core.regs.rip);
            hash.add(core.regs.rflags);
            core.regs.gpr.iter().for_each(|&word| hash.add(word));
            hash
        };
        let mut devices = self.state.device_hash;
        devices.add(self.state.now.0);
        TraceHash::combine(self.state.cores.iter().map(core).chain([devices]))
    }

    /// Makes clones of this machine cheap: what it has written since the last time becomes
    /// shareable. Changes nothing else.
    pub fn freeze(&mut self) {
        self.state.ram.freeze();
        self.state.home.freeze();
        for core in &mut self.state.cores {
            core.unit.caches.freeze();
        }
    }

    /// Drops everything that can be rebuilt (decoded code, loop detection).
    pub fn forget_derived(&mut self) {
        self.derived.code = CodeCache::default();
        self.derived.scratch = vec![Scratch::default(); self.state.cores.len()];
    }

    /// Bytes of host memory behind the machine's RAM and decoded code.
    #[must_use]
    pub fn host_bytes(&self) -> usize {
        self.state.ram.host_bytes() + self.derived.code.host_bytes()
    }

    fn home_source(&self) -> Source {
        Source(self.spec.cores as u16)
    }

    fn device_source(&self, device: DeviceId) -> Source {
        Source(self.spec.cores as u16 + 1 + u16::from(device.0))
    }

    /// The cores and, separately, what a running core needs of the rest.
    fn split(&mut self) -> (&mut [Core], &mut [Scratch], Parts<'_>) {
        let State { cores, ram, queue, triggers, .. } = &mut self.state;
        let Derived { code, scratch, log, map, breakpoints, .. } = &mut self.derived;
        let spec = &*self.spec;
        let speed = Speed::exact_steps();
        let parts = Parts { ram, queue, spec, log, code, triggers, map, breakpoints, speed };
        (cores, scratch, parts)
    }
}

/// Registers in which a boot loader hands a CPU over to 64-bit code.
fn start_registers(start: Start) -> Registers {
    use crate::core::regs::{flags, gpr};
    let mut regs = Registers { rip: start.rip, rflags: flags::FIXED, ..Registers::default() };
    regs.gpr[gpr::RDI] = start.rdi;
    regs.gpr[gpr::RSP] = start.rsp;
    // Selectors as Linux lays out its GDT: kernel code 0x10, data 0x18.
    regs.sel.cs = 0x10;
    regs.sel.ss = 0x18;
    // PG, AM, WP, NE, ET, MP, PE; OSXMMEXCPT, OSFXSR, PGE, MCE, PAE, PSE, DE; NXE, LMA, LME, SCE.
    regs.sys.cr0 = 0x8005_0033;
    regs.sys.cr4 = 0x6f8;
    regs.sys.efer = 0xd01;
    regs
}
