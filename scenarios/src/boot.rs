//! Boot data: what the guest kernel finds in memory about its machine, its settings, its tasks
//! and its symbols. The layouts are those of `guest/include/boot_params.h`.

use crate::image::{DIRECT_MAP, Image, ImageError, Segment, physical};
use crate::plan::{HBA_STRIDE, Plan};
use crate::schema::{Driver, Idle, OnLockup};
use crate::symbols::{Symbol, SymbolKind};
use sim_x86::ids::PhysAddr;

/// "LATCHUP1", as the image holds it.
const BOOT_MAGIC: u64 = 0x3150_5548_4354_414c;
/// Version of the protocol.
const BOOT_VERSION: u32 = 1;
/// CPUs that the guest's per-CPU tables have room for.
pub(crate) const MAX_CPUS: u32 = 256;
/// Bytes of `struct boot_params`.
const PARAMS_BYTES: usize = 248;
/// Offset of `epoch_tsc` in it.
const EPOCH_OFFSET: u64 = 160;
/// Arrays are placed here; the guest's heap follows.
const BOOT_DATA: u64 = 0x600_0000;
/// First physical address of the guest's page allocator.
const HEAP_START: u64 = 0x800_0000;
/// End of it: modules follow.
const HEAP_END: u64 = 0x2000_0000;
/// Linear address of the first HBA's registers.
const HBA_MAP: u64 = 0xffff_c900_0000_0000;

const TASK_KTHREAD: u32 = 1;
const TASK_PINNED: u32 = 2;
const TASK_FIFO: u32 = 4;

/// A task as the guest creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootTask<'a> {
    pub(crate) comm: &'a str,
    pub(crate) pid: u32,
    pub(crate) cpu: u16,
    pub(crate) mm: u32,
    pub(crate) kernel: bool,
    pub(crate) fifo: bool,
    pub(crate) start_ns: u64,
    pub(crate) entry: u64,
    pub(crate) arg: u64,
    pub(crate) user_stack: u64,
}

/// An interrupt handler as the guest binds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootIrq<'a> {
    pub(crate) name: &'a str,
    pub(crate) vector: u8,
    pub(crate) cpu: u16,
    pub(crate) handler: u64,
    pub(crate) irqs_disabled: bool,
}

/// Checks that `image` is a guest kernel that speaks this protocol; says where its
/// `boot_params` is.
pub(crate) fn params_address(image: &Image) -> Result<PhysAddr, ImageError> {
    let addr = image.symbols.address("boot_params").and_then(physical);
    let addr = addr.ok_or(ImageError::NoSymbol("boot_params"))?;
    let magic = image.read::<8>(addr).map(u64::from_le_bytes);
    let version = image.read::<4>(PhysAddr(addr.0 + 8)).map(u32::from_le_bytes);
    let size = image.read::<4>(PhysAddr(addr.0 + 12)).map(u32::from_le_bytes);
    let fits = magic == Some(BOOT_MAGIC)
        && version == Some(BOOT_VERSION)
        && size == Some(PARAMS_BYTES as u32);
    if fits { Ok(addr) } else { Err(ImageError::Protocol) }
}

/// Where the guest writes the TSC at which it has finished booting.
pub(crate) fn epoch_address(params: PhysAddr) -> PhysAddr {
    PhysAddr(params.0 + EPOCH_OFFSET)
}

/// Bytes that grow field by field, little-endian.
#[derive(Clone, Debug, Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A name of 16 bytes, cut to 15 and a NUL.
    fn name(&mut self, name: &str) -> &mut Self {
        let bytes = &name.as_bytes()[..name.len().min(15)];
        self.0.extend(bytes);
        self.0.resize(self.0.len() + 16 - bytes.len(), 0);
        self
    }

    fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }
}

/// Arrays of the boot data, one after the other.
struct Arrays {
    bytes: Vec<u8>,
}

impl Arrays {
    /// Adds an array; its linear address.
    fn add(&mut self, fields: &Fields) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(64), 0);
        let addr = DIRECT_MAP + BOOT_DATA + self.bytes.len() as u64;
        self.bytes.extend(&fields.0);
        addr
    }
}

/// Everything the guest reads at boot. `symbols` are those that its backtraces can name.
pub(crate) fn data(
    plan: &Plan<'_>,
    params: PhysAddr,
    tasks: &[BootTask<'_>],
    irqs: &[BootIrq<'_>],
    symbols: &[Symbol],
) -> Vec<Segment> {
    let mut arrays = Arrays { bytes: Vec::new() };
    let mut fields = Fields::default();
    tasks.iter().for_each(|task| boot_task(&mut fields, task));
    let tasks_at = arrays.add(&fields);
    let mut fields = Fields::default();
    irqs.iter().for_each(|irq| boot_irq(&mut fields, irq));
    let irqs_at = arrays.add(&fields);
    let iocs_at = arrays.add(&boot_iocs(plan));
    let (table, names, count) = kallsyms(symbols);
    let kallsyms_at = arrays.add(&table);
    let names_at = arrays.add(&names);
    let mut f = settings(plan);
    f.u32(tasks.len() as u32).u32(irqs.len() as u32);
    f.u64(tasks_at).u64(irqs_at);
    f.u64(count).u64(kallsyms_at).u64(names_at);
    f.u64(DIRECT_MAP + HEAP_START).u64(DIRECT_MAP + HEAP_END);
    f.u64(plan.hbas.len() as u64).u64(iocs_at);
    f.u64(0); // epoch_tsc: the guest's answer
    f.u32(1); // exit_on_panic
    f.u32(match plan.kernel.idle {
        Idle::Hlt => 0,
        Idle::Mwait => 1,
        Idle::Poll => 2,
    });
    f.u32(u32::from(plan.kernel.skewed_ticks)).u32(0);
    f.zeros(PARAMS_BYTES.saturating_sub(f.0.len()));
    vec![
        Segment { addr: params, bytes: f.0 },
        Segment { addr: PhysAddr(BOOT_DATA), bytes: arrays.bytes },
    ]
}

/// `struct boot_params` up to `kdump_loaded`.
fn settings(plan: &Plan<'_>) -> Fields {
    let (spec, kernel) = (&plan.spec, &plan.kernel);
    let clock = spec.clock;
    let panics = |reaction| u32::from(reaction == OnLockup::Panic);
    let mut f = Fields::default();
    f.u64(BOOT_MAGIC).u32(BOOT_VERSION).u32(PARAMS_BYTES as u32);
    f.u32(spec.cores).u32(kernel.hz.value as u32);
    f.u32(u32::try_from(clock.0 / 1000).unwrap_or(u32::MAX)).u32(spec.interrupts.apic_timer_tick);
    f.u32(u32::from(spec.x2apic));
    f.u32(match kernel.driver {
        Driver::StaleDone => 0,
        Driver::InitAfterPost => 1,
        Driver::InitBeforePost => 2,
    });
    let watchdog = kernel.watchdog.as_ref();
    let soft = watchdog.filter(|watchdog| watchdog.soft);
    let hard = watchdog.filter(|watchdog| watchdog.hard);
    f.u64(soft.map_or(0, |watchdog| watchdog.thresh.value.nanos(clock)));
    f.u64(hard.map_or(0, |watchdog| {
        watchdog.nmi_period.as_ref().unwrap_or(&watchdog.thresh).value.cycles(clock)
    }));
    f.u32(watchdog.map_or(0, |watchdog| panics(watchdog.on_hard_lockup)));
    f.u32(watchdog.map_or(0, |watchdog| panics(watchdog.on_soft_lockup)));
    f.u64(kernel.hung_task.as_ref().map_or(0, |timeout| timeout.value.nanos(clock)));
    f.u32(u32::from(kernel.hung_task_panic)).u32(u32::from(kernel.kdump));
    f
}

fn boot_task(f: &mut Fields, task: &BootTask<'_>) {
    let kernel = if task.kernel { TASK_KTHREAD } else { 0 };
    let fifo = if task.fifo { TASK_FIFO } else { 0 };
    f.name(task.comm).u32(task.pid).u32(u32::from(task.cpu)).u32(task.mm);
    f.u32(kernel | TASK_PINNED | fifo);
    f.u64(task.start_ns).u64(task.entry).u64(task.arg).u64(task.user_stack);
    f.zeros(8 + 16);
}

fn boot_irq(f: &mut Fields, irq: &BootIrq<'_>) {
    f.u32(u32::from(irq.vector)).u32(u32::from(irq.cpu)).u64(irq.handler).u64(0);
    f.u32(u32::from(irq.irqs_disabled)).u32(0).name(irq.name);
}

fn boot_iocs(plan: &Plan<'_>) -> Fields {
    let mut f = Fields::default();
    for (index, hba) in plan.hbas.iter().enumerate() {
        f.u64(HBA_MAP + index as u64 * HBA_STRIDE);
        f.u32(u32::from(hba.vector)).u32(u32::from(hba.irq_cpu)).u32(u32::from(hba.msi));
        f.u32(u32::from(hba.first_use_uninitialised)).u32(u32::from(hba.initial_uses)).u32(0);
        f.name(&hba.name).zeros(16);
    }
    f
}

/// `struct kallsym[]` by ascending addresses, its names, and how many there are. Symbols without
/// a size reach to the next one.
fn kallsyms(symbols: &[Symbol]) -> (Fields, Fields, u64) {
    let mut text: Vec<&Symbol> =
        symbols.iter().filter(|symbol| symbol.kind == SymbolKind::Text).collect();
    text.sort_by(|a, b| (a.addr, b.size, &a.name).cmp(&(b.addr, a.size, &b.name)));
    text.dedup_by_key(|symbol| symbol.addr);
    let mut table = Fields::default();
    let mut names = Fields::default();
    for (index, symbol) in text.iter().enumerate() {
        let next = text.get(index + 1).map_or(symbol.addr, |next| next.addr);
        let size = if symbol.size == 0 { next - symbol.addr } else { symbol.size };
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        table.u64(symbol.addr).u32(size).u32(names.0.len() as u32);
        names.0.extend(symbol.name.as_bytes());
        names.0.push(0);
    }
    (table, names, text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Guest;
    use crate::image::{data_symbol, text_symbol};

    /// The size of a record as the guest's debugging information has it.
    fn guest_size(name: &str) -> usize {
        let debug = &Guest::shipped().debug;
        let ty = debug.type_named(name).unwrap_or_else(|| panic!("struct {name}"));
        usize::try_from(debug.size_of(ty)).expect("a small struct")
    }

    #[test]
    fn records_are_as_long_as_the_guest_reads_them() {
        let task = BootTask {
            comm: "a command name that is too long",
            pid: 1,
            cpu: 2,
            mm: 3,
            kernel: true,
            fifo: false,
            start_ns: 4,
            entry: 5,
            arg: 6,
            user_stack: 7,
        };
        let mut fields = Fields::default();
        boot_task(&mut fields, &task);
        assert_eq!(fields.0.len(), guest_size("boot_task"));
        assert_eq!(&fields.0[..16], b"a command name \0");
        let irq = BootIrq { name: "eth0", vector: 0x41, cpu: 0, handler: 0, irqs_disabled: true };
        let mut fields = Fields::default();
        boot_irq(&mut fields, &irq);
        assert_eq!(fields.0.len(), guest_size("boot_irq"));
        assert_eq!(PARAMS_BYTES, guest_size("boot_params"));
        let epoch = Guest::shipped().debug.offset("boot_params", "epoch_tsc");
        assert_eq!(epoch, Some(EPOCH_OFFSET));
    }

    #[test]
    fn the_guest_has_room_for_as_many_cpus_as_are_allowed() {
        let debug = &Guest::shipped().debug;
        let areas = debug.variable("per_cpu_area").expect("an array of per-CPU areas");
        let (_, count) = debug.array(areas.ty).expect("an array");
        assert_eq!(count, u64::from(MAX_CPUS));
    }

    #[test]
    fn kallsyms_are_sorted_functions_with_sizes() {
        let symbols = [
            text_symbol("late", 0x300, 0),
            data_symbol("data", 0x200, 8),
            text_symbol("early", 0x100, 0),
            text_symbol("alias", 0x100, 0x20),
        ];
        let (table, names, count) = kallsyms(&symbols);
        assert_eq!(count, 2);
        let mut expect = Fields::default();
        expect.u64(0x100).u32(0x20).u32(0).u64(0x300).u32(0).u32(6);
        assert_eq!(table.0, expect.0);
        assert_eq!(names.0, b"alias\0late\0");
    }

    #[test]
    fn the_shipped_image_speaks_this_protocol() {
        let image = &Guest::shipped().image;
        let params = params_address(image).expect("boot_params");
        assert_eq!(image.read::<8>(params), Some(BOOT_MAGIC.to_le_bytes()));
        let mut broken = image.clone();
        for segment in &mut broken.segments {
            segment.bytes.fill(0);
        }
        assert!(matches!(params_address(&broken), Err(ImageError::Protocol)));
    }
}
