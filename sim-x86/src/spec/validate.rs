//! What makes a machine impossible: all of it is reported at once.

use super::{DISTANCES, MachineSpec, MemorySpec, StateLatency};
use crate::dev::{Arrivals, Device, DeviceSpec, Latency};
use crate::ids::{CoreId, DeviceId};
use crate::mem::store_buffer::MOST_STORES;
use crate::trace::Delivery;
use std::fmt::{self, Display};

/// CPUs run ahead of each other by less than the least latency between them; with less than this
/// that would not pay, and no machine has it.
const LEAST_LATENCY: u32 = 8;
/// APIC id 255 is the broadcast of xAPIC mode.
const XAPIC_CPUS: u32 = 255;
/// The largest machine of x2APIC CPUs.
const X2APIC_CPUS: u32 = 1_024;
/// CPUs of one die: an L3 keeps a bit for each.
const DIE_CPUS: u32 = 64;
/// Interrupts in closer succession leave the interrupted program no time.
const LEAST_PERIOD: u32 = 8;
/// Physical addresses have 40 bits.
const PHYSICAL: u64 = 1 << 40;
/// Device registers lie here (see [`crate::dev`]).
const REGISTERS: std::ops::Range<u64> = 0xe000_0000..0xf000_0000;

/// One thing that is wrong with a [`MachineSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SpecError {
    /// Path of the field, e.g. `devices[0].firmware_latency`.
    pub field: String,
    /// What is wrong with its value.
    pub problem: String,
}

/// Everything that is wrong with a [`MachineSpec`]; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SpecErrors(pub Vec<SpecError>);

impl Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// Collects problems.
#[derive(Default)]
struct Problems(Vec<SpecError>);

impl Problems {
    fn require(&mut self, ok: bool, field: impl Display, problem: impl Display) {
        if !ok {
            let (field, problem) = (field.to_string(), problem.to_string());
            self.0.push(SpecError { field, problem });
        }
    }

    fn at_least(&mut self, value: u32, least: u32, field: impl Display) {
        let problem = format_args!("must be at least {least}, is {value}").to_string();
        self.require(value >= least, field, problem);
    }
}

impl MachineSpec {
    /// Checks that such a machine can be built.
    ///
    /// # Errors
    /// All problems, in the order of the fields.
    pub fn validate(&self) -> Result<(), SpecErrors> {
        let mut problems = Problems::default();
        self.check_size(&mut problems);
        self.check_topology(&mut problems);
        check_memory(&self.memory, &mut problems);
        self.check_split_locks(&mut problems);
        self.check_costs(&mut problems);
        self.check_interrupts(&mut problems);
        self.check_devices(&mut problems);
        self.check_triggers(&mut problems);
        self.check_perturbation(&mut problems);
        if problems.0.is_empty() { Ok(()) } else { Err(SpecErrors(problems.0)) }
    }

    fn check_size(&self, problems: &mut Problems) {
        let most = if self.x2apic { X2APIC_CPUS } else { XAPIC_CPUS };
        let problem =
            if self.x2apic { "must be 1–1024" } else { "must be 1–255 without x2APIC" };
        problems.require((1..=most).contains(&self.cores), "cores", problem);
        problems.require(self.clock.0 >= 1_000_000, "clock", "must be at least 1 MHz");
    }

    fn check_topology(&self, problems: &mut Problems) {
        let t = &self.topology;
        let problem = format!("must be 1–{DIE_CPUS}, is {}", t.cores_per_die);
        let possible = (1..=DIE_CPUS).contains(&t.cores_per_die);
        problems.require(possible, "topology.cores_per_die", problem);
        problems.at_least(t.dies_per_package, 1, "topology.dies_per_package");
        let packages = t.hops.len();
        problems.require(packages > 0, "topology.hops", "needs a row for each package");
        let square = t.hops.iter().all(|row| row.len() == packages);
        problems.require(square, "topology.hops", "must have as many columns as rows");
        if square {
            for (a, row) in t.hops.iter().enumerate() {
                for (b, &hops) in row.iter().enumerate() {
                    let field = format!("topology.hops[{a}][{b}]");
                    let right = if a == b { hops == 0 } else { (1..=2).contains(&hops) };
                    let want = if a == b { "must be 0" } else { "must be 1 or 2" };
                    problems.require(right, &field, want);
                    problems.require(hops == t.hops[b][a], &field, "must be the same both ways");
                }
            }
        }
        let seats = t.seats();
        let problem = format!("{} CPUs don't fit the topology, which has {seats}", self.cores);
        problems.require(self.cores <= seats, "cores", problem);
    }

    fn check_perturbation(&self, problems: &mut Problems) {
        let perturb = &self.perturb;
        for (every, field) in
            [(perturb.interrupt_every, "interrupt_every"), (perturb.nmi_every, "nmi_every")]
        {
            let problem = format!("must be 0 or at least {LEAST_PERIOD}, is {every}");
            problems.require(
                every == 0 || every >= LEAST_PERIOD,
                format_args!("perturb.{field}"),
                problem,
            );
        }
        let vector_ok = perturb.interrupt_every == 0 || perturb.vector >= 32;
        problems.require(vector_ok, "perturb.vector", "must be at least 32");
    }

    /// A locked operation on two lines holds the first until it has the second, and a way of an L3
    /// whose line is held and asked for by somebody else can't make room. Operations that wait for
    /// each other in a circle can't wait for lines only, since the second line is the one after
    /// the first. So one of them waits for a set all of whose ways are held; and as a second line
    /// lies in the set after the first one's, some line is held in every other set too. That takes
    /// a core for each line: with fewer cores, somebody always goes on.
    fn check_split_locks(&self, problems: &mut Problems) {
        let MemorySpec { l3_sets, l3_ways, .. } = self.memory;
        let held = (u64::from(l3_sets) + u64::from(l3_ways)).saturating_sub(1);
        let problem = format!(
            "{l3_sets} sets of {l3_ways} ways are too few for locked operations across two lines \
             on {} CPUs: sets and ways must be {} together",
            self.cores,
            u64::from(self.cores) + 2
        );
        let possible = l3_sets == 0 || l3_ways == 0 || held > u64::from(self.cores);
        problems.require(possible, "memory.l3_ways", problem);
    }

    fn check_costs(&self, problems: &mut Problems) {
        let costs = &self.costs;
        // A loop of free instructions would never let time pass.
        problems.at_least(costs.alu, 1, "costs.alu");
        problems.at_least(costs.branch_taken, 1, "costs.branch_taken");
        problems.at_least(costs.string_step, 1, "costs.string_step");
        problems.at_least(costs.pause, 1, "costs.pause");
    }

    fn check_interrupts(&self, problems: &mut Problems) {
        let i = &self.interrupts;
        by_distance(&i.ipi, "interrupts.ipi", problems);
        problems.at_least(i.entry, 1, "interrupts.entry");
        problems.at_least(i.entry_ring, 1, "interrupts.entry_ring");
        problems.at_least(i.apic_timer_tick, 1, "interrupts.apic_timer_tick");
        problems.at_least(i.mmio_write, 1, "interrupts.mmio_write");
        problems.at_least(i.mmio_read, 1, "interrupts.mmio_read");
        problems.at_least(i.dma_write, 1, "interrupts.dma_write");
    }

    fn check_devices(&self, problems: &mut Problems) {
        let most = usize::from(u8::MAX) + 1;
        problems.require(self.devices.len() <= most, "devices", "there may be 256 at most");
        let mut taken: Vec<(std::ops::Range<u64>, &str)> = Vec::new();
        for (n, spec) in self.devices.iter().enumerate() {
            let field = format!("devices[{n}]");
            let name = spec.name();
            problems.require(!name.is_empty(), format!("{field}.name"), "is empty");
            let first = self.devices[..n].iter().all(|other| other.name() != name);
            problems.require(first, format!("{field}.name"), format!("{name:?} is taken"));
            match spec {
                DeviceSpec::Hba(hba) => {
                    latency(&hba.firmware_latency, &format!("{field}.firmware_latency"), problems);
                    problems.at_least(hba.coalescing_depth, 1, format!("{field}.coalescing_depth"));
                }
                DeviceSpec::IrqSource(source) => {
                    arrivals(&source.arrivals, &format!("{field}.arrivals"), problems);
                    self.check_core(source.to, &format!("{field}.to"), problems);
                    let legal = !matches!(source.delivery, Delivery::Fixed(0..=15));
                    problems.require(
                        legal,
                        format!("{field}.delivery"),
                        "vectors 0–15 are illegal",
                    );
                }
                DeviceSpec::Stall(stall) => {
                    arrivals(&stall.arrivals, &format!("{field}.arrivals"), problems);
                    latency(&stall.duration, &format!("{field}.duration"), problems);
                    if let Some(core) = stall.core {
                        self.check_core(core, &format!("{field}.core"), problems);
                    }
                }
            }
            let Ok(id) = u8::try_from(n) else { continue };
            let registers = Device::new(spec, DeviceId(id), 0).registers();
            let Some((start, bytes)) = registers else { continue };
            let range = start.0..start.0.saturating_add(bytes);
            let field = format!("{field}.regs");
            let inside = range.start >= REGISTERS.start && range.end <= REGISTERS.end;
            problems.require(inside, &field, "must lie in 0xe0000000–0xefffffff");
            problems.require(range.start.is_multiple_of(0x1000), &field, "must be page-aligned");
            for (other, name) in &taken {
                let apart = range.end <= other.start || other.end <= range.start;
                problems.require(apart, &field, format!("overlap those of {name:?}"));
            }
            taken.push((range, name));
        }
    }

    fn check_triggers(&self, problems: &mut Problems) {
        for (n, trigger) in self.triggers.iter().enumerate() {
            let field = format!("triggers[{n}]");
            if let Some(core) = trigger.core {
                self.check_core(core, &format!("{field}.core"), problems);
            }
            problems.require(trigger.nth > 0, format!("{field}.nth"), "counts from 1");
            let arrivals = self.devices.get(trigger.device.index()).and_then(|spec| match spec {
                DeviceSpec::Hba(_) => None,
                DeviceSpec::IrqSource(source) => Some(&source.arrivals),
                DeviceSpec::Stall(stall) => Some(&stall.arrivals),
            });
            let reach = matches!(arrivals, Some(Arrivals::Reach { .. }));
            let problem = "names no device that waits for a trigger";
            problems.require(reach, format!("{field}.device"), problem);
        }
    }

    fn check_core(&self, core: CoreId, field: &str, problems: &mut Problems) {
        let problem = format!("there is no {core}; the machine has {}", self.cores);
        problems.require(u32::from(core.0) < self.cores, field, problem);
    }
}

fn check_memory(memory: &MemorySpec, problems: &mut Problems) {
    let sizes = [
        (memory.l1d_sets, "l1d_sets"),
        (memory.l1d_ways, "l1d_ways"),
        (memory.l1i_sets, "l1i_sets"),
        (memory.l1i_ways, "l1i_ways"),
        (memory.l2_sets, "l2_sets"),
        (memory.l2_ways, "l2_ways"),
        (memory.l3_sets, "l3_sets"),
        (memory.l3_ways, "l3_ways"),
        (memory.l1_hit, "l1_hit"),
        (memory.l2_hit, "l2_hit"),
        (memory.store_buffer, "store_buffer"),
        (memory.locked, "locked"),
    ];
    for (value, field) in sizes {
        problems.at_least(value, 1, format_args!("memory.{field}"));
    }
    let buffered = memory.store_buffer <= MOST_STORES;
    let most = format!("must be at most {MOST_STORES}");
    problems.require(buffered, "memory.store_buffer", &most);
    let ordered = memory.l1_hit <= memory.l2_hit;
    problems.require(ordered, "memory.l2_hit", "must not be less than memory.l1_hit");
    states(&memory.load, "memory.load", problems);
    states(&memory.store, "memory.store", problems);
    let ram = memory.ram_bytes;
    let possible = (1..=PHYSICAL).contains(&ram) && ram.is_multiple_of(0x1000);
    problems.require(possible, "memory.ram_bytes", "must be whole pages, at most 1 TiB");
}

fn states(table: &StateLatency, field: &str, problems: &mut Problems) {
    by_distance(&table.modified, &format!("{field}.modified"), problems);
    by_distance(&table.exclusive, &format!("{field}.exclusive"), problems);
    by_distance(&table.shared, &format!("{field}.shared"), problems);
    by_distance(&table.memory, &format!("{field}.memory"), problems);
}

fn by_distance(row: &[u32; DISTANCES], field: &str, problems: &mut Problems) {
    for (distance, &value) in row.iter().enumerate() {
        problems.at_least(value, LEAST_LATENCY, format_args!("{field}[{distance}]"));
    }
}

fn latency(latency: &Latency, field: &str, problems: &mut Problems) {
    let not_negative = |x: f64| x.is_finite() && x >= 0.0;
    let (ok, problem) = match *latency {
        Latency::Constant(_) => (true, ""),
        Latency::Uniform { lo, hi } => (lo <= hi, "its range is empty"),
        Latency::Normal { mean, sd } => (
            mean.is_finite() && not_negative(sd),
            "needs a finite mean and a deviation of 0 or more",
        ),
        Latency::LogNormal { median, sigma } => (
            not_negative(median) && median > 0.0 && not_negative(sigma),
            "needs a median above 0 and a sigma of 0 or more",
        ),
        Latency::Listed(ref values) => (!values.is_empty(), "lists nothing"),
    };
    problems.require(ok, field, problem);
}

fn arrivals(arrivals: &Arrivals, field: &str, problems: &mut Problems) {
    match arrivals {
        Arrivals::Listed(_) => {}
        Arrivals::Periodic { period, .. } => {
            problems.require(*period > 0, format!("{field}.period"), "must be above 0");
        }
        Arrivals::Poisson { mean, .. } => {
            let ok = mean.is_finite() && *mean > 0.0;
            problems.require(ok, format!("{field}.mean"), "must be above 0");
        }
        Arrivals::Reach { delay } => latency(delay, &format!("{field}.delay"), problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::{HbaSpec, IrqSourceSpec, Trigger};
    use crate::ids::PhysAddr;
    use crate::presets::westmere_ep;

    fn fields(spec: &MachineSpec) -> Vec<String> {
        let errors = spec.validate().expect_err("invalid");
        errors.0.into_iter().map(|error| error.field).collect()
    }

    fn hba(name: &str, regs: u64) -> DeviceSpec {
        DeviceSpec::Hba(HbaSpec {
            name: name.to_owned(),
            regs: PhysAddr(regs),
            firmware_latency: Latency::Constant(1),
            first_latencies: Vec::new(),
            msi: true,
            interrupt_latency: None,
            coalescing_depth: 1,
            coalescing_timeout: 0,
            reset_time: 1,
        })
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut spec = westmere_ep();
        spec.cores = 25;
        spec.memory.l2_ways = 0;
        spec.memory.load.shared[2] = 7;
        spec.topology.hops[0][1] = 3;
        spec.costs.alu = 0;
        let expected = [
            "topology.hops[0][1]",
            "topology.hops[0][1]",
            "topology.hops[1][0]",
            "cores",
            "memory.l2_ways",
            "memory.load.shared[2]",
            "costs.alu",
        ];
        assert_eq!(fields(&spec), expected);
        let text = spec.validate().expect_err("invalid").to_string();
        assert!(text.contains("cores: 25 CPUs don't fit the topology, which has 24\n"), "{text}");
    }

    #[test]
    fn a_die_has_as_many_cpus_as_its_directory_has_bits() {
        let mut spec = westmere_ep();
        for (cores_per_die, possible) in [(0, false), (1, true), (64, true), (65, false)] {
            spec.topology.cores_per_die = cores_per_die;
            spec.cores = 2 * cores_per_die.max(1);
            assert_eq!(spec.validate().is_ok(), possible, "{cores_per_die}");
        }
    }

    #[test]
    fn an_l3_has_room_for_the_lines_of_all_split_locks() {
        let mut spec = westmere_ep();
        spec.cores = 2;
        for (sets, ways, possible) in [(1, 1, false), (1, 2, false), (1, 3, true), (2, 2, true)] {
            spec.memory.l3_sets = sets;
            spec.memory.l3_ways = ways;
            assert_eq!(spec.validate().is_ok(), possible, "{sets} sets of {ways} ways");
        }
        spec.memory.l3_ways = 1;
        assert_eq!(fields(&spec), ["memory.l3_ways"]);
    }

    #[test]
    fn devices_must_not_share_names_or_registers() {
        let mut spec = westmere_ep();
        spec.devices = vec![hba("ioc0", 0xe000_0000), hba("ioc0", 0xe000_8000)];
        assert_eq!(fields(&spec), ["devices[1].name", "devices[1].regs"]);
        spec.devices = vec![hba("ioc0", 0xe000_0000), hba("ioc1", 0xe001_0000)];
        assert_eq!(spec.validate(), Ok(()));
        spec.devices = vec![hba("ioc0", 0xf000_0000)];
        assert_eq!(fields(&spec), ["devices[0].regs"]);
    }

    #[test]
    fn distributions_must_make_sense() {
        let bad = [
            Latency::Uniform { lo: 2, hi: 1 },
            Latency::Normal { mean: f64::NAN, sd: 1.0 },
            Latency::Normal { mean: 1.0, sd: -1.0 },
            Latency::LogNormal { median: 0.0, sigma: 1.0 },
            Latency::Listed(vec![]),
        ];
        for latency in bad {
            let mut spec = westmere_ep();
            let mut device = hba("ioc0", 0xe000_0000);
            if let DeviceSpec::Hba(hba) = &mut device {
                hba.firmware_latency = latency.clone();
            }
            spec.devices = vec![device];
            assert_eq!(fields(&spec), ["devices[0].firmware_latency"], "{latency:?}");
        }
    }

    #[test]
    fn triggers_must_name_a_device_that_waits_for_one() {
        let mut spec = westmere_ep();
        let source = |arrivals| {
            DeviceSpec::IrqSource(IrqSourceSpec {
                name: "eth0".to_owned(),
                arrivals,
                to: CoreId(5),
                delivery: Delivery::Fixed(0x41),
                limit: None,
            })
        };
        let trigger = |device| Trigger { core: None, rip: 0, nth: 1, device: DeviceId(device) };
        spec.devices = vec![source(Arrivals::Reach { delay: Latency::Constant(0) })];
        spec.triggers = vec![trigger(0)];
        assert_eq!(spec.validate(), Ok(()));
        spec.triggers = vec![trigger(1)];
        assert_eq!(fields(&spec), ["triggers[0].device"]);
        spec.triggers = vec![trigger(0)];
        spec.devices = vec![source(Arrivals::Listed(vec![1]))];
        assert_eq!(fields(&spec), ["triggers[0].device"]);
    }
}
