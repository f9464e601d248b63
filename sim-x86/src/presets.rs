//! Named machines. Every value says where it is from:
//!
//! - **measured**: published by someone who measured it or by the maker; the source is named;
//! - **recalled**: from general knowledge of a publication that wasn't at hand;
//! - **estimate**: an engineering default where nothing better is known.
//!
//! Sources by short name:
//!
//! - *7-cpu*: 7-cpu.com, Westmere (Xeon X5650, 2.67 GHz);
//! - *Intel PAG*: Performance Analysis Guide for Intel Core i7 and Xeon 5500, p. 22;
//! - *Molka*: Molka et al., PACT 2009 (Xeon X5570, 2.93 GHz); all figures recalled;
//! - *David*: David, Guerraoui, Trigonakis, SOSP 2013 (Xeon E7-8867L at 2.13 GHz, Opteron 6172
//!   at 2.1 GHz); measured where it says so (course notes quote that column), else recalled;
//! - *Agner*: Agner Fog, instruction_tables, 2021-08-17, Nehalem, Sandy Bridge and K10;
//! - *sgx-step*: github.com/jovanbulck/sgx-step, IPI and interrupt-gate measurements (client CPUs);
//! - *pcie-lat*: github.com/andre-richter/pcie-lat, issue 4.
//!
//! Tables by distance hold: same die, other die of the package, one hop, two hops. Two hops are
//! for machines of more packages ([`MachineSpec::with_sockets`]); where the preset has no such
//! distance itself, the second hop is taken to cost as much as the first (estimate). Simultaneous
//! threads are modelled as CPUs of their own, each with private L1 and L2: sharing of a core's
//! pipeline and caches between two threads is not modelled.

use crate::perturb::Perturbation;
use crate::spec::{
    InstructionCosts, InterruptSpec, MachineSpec, MemorySpec, StateLatency, Topology, Translation,
};
use sim_core::Hertz;

/// Names that [`preset`] knows.
const NAMES: [&str; 4] = ["westmere-ep", "nehalem-ep", "sandybridge-ep", "magny-cours"];

/// Names of all presets.
#[must_use]
pub fn names() -> &'static [&'static str] {
    &NAMES
}

/// The machine called `name`; `None` if there is none.
#[must_use]
pub fn preset(name: &str) -> Option<MachineSpec> {
    Some(match name {
        "westmere-ep" => westmere_ep(),
        "nehalem-ep" => nehalem_ep(),
        "sandybridge-ep" => sandybridge_ep(),
        "magny-cours" => magny_cours(),
        _ => return None,
    })
}

/// Two Xeon X5670 (Westmere-EP, 2.93 GHz): 24 CPUs, 12 threads on each of two dies.
#[must_use]
pub fn westmere_ep() -> MachineSpec {
    MachineSpec {
        preset: "westmere-ep".to_owned(),
        cores: 24,
        clock: Hertz(2_930_000_000),
        topology: two_sockets(12),
        memory: westmere_memory(),
        costs: nehalem_costs(),
        interrupts: westmere_interrupts(),
        translation: Translation::Kernel,
        x2apic: false,
        intel_pmu: true,
        devices: Vec::new(),
        triggers: Vec::new(),
        seed: 0,
        perturb: Perturbation::default(),
    }
}

/// Two Xeon X5570 (Nehalem-EP, 2.93 GHz): 16 CPUs, 8 threads on each of two dies.
#[must_use]
pub fn nehalem_ep() -> MachineSpec {
    let westmere = westmere_ep();
    MachineSpec {
        preset: "nehalem-ep".to_owned(),
        cores: 16,
        topology: two_sockets(8),
        memory: MemorySpec {
            // 8 MB, 16 ways: recalled.
            l3_sets: 8_192,
            // Molka: S 38 / 170, E 65 / 186, M 75–83 / above 300, memory 191 / 310.
            load: StateLatency {
                modified: one_die_per_package(80, 300),
                exclusive: one_die_per_package(65, 186),
                shared: one_die_per_package(38, 170),
                memory: one_die_per_package(191, 310),
            },
            // As on Westmere; exclusive and memory follow this preset's loads.
            store: StateLatency {
                exclusive: one_die_per_package(71, 197),
                memory: one_die_per_package(191, 310),
                ..westmere.memory.store
            },
            ..westmere.memory
        },
        ..westmere
    }
}

/// Two Xeon E5-2680 (Sandy Bridge-EP, 2.7 GHz): 32 CPUs, 16 threads on each of two dies.
#[must_use]
pub fn sandybridge_ep() -> MachineSpec {
    let clock = Hertz(2_700_000_000);
    let westmere = westmere_ep();
    MachineSpec {
        preset: "sandybridge-ep".to_owned(),
        cores: 32,
        clock,
        topology: two_sockets(16),
        memory: sandybridge_memory(),
        costs: InstructionCosts {
            // Agner, Sandy Bridge; the rest as on Nehalem (estimate).
            popf: 18,
            pause: 11,
            mfence: 33,
            rdtsc: 28,
            div64: 62,
            ..westmere.costs
        },
        interrupts: InterruptSpec {
            // 100 MHz bus clock at 2.7 GHz (recalled).
            apic_timer_tick: 27,
            ..io_at(clock, westmere.interrupts)
        },
        ..westmere
    }
}

/// Four Opteron 6172 (Magny-Cours, 2.1 GHz): 48 CPUs, two dies of six in each package.
#[must_use]
pub fn magny_cours() -> MachineSpec {
    let clock = Hertz(2_100_000_000);
    MachineSpec {
        preset: "magny-cours".to_owned(),
        cores: 48,
        clock,
        topology: Topology {
            cores_per_die: 6,
            dies_per_package: 2,
            // A square of packages, diagonals two hops apart (estimate; David gives two hops as
            // the greatest distance).
            hops: vec![vec![0, 1, 1, 2], vec![1, 0, 2, 1], vec![1, 2, 0, 1], vec![2, 1, 1, 0]],
        },
        memory: magny_cours_memory(),
        costs: k10_costs(),
        interrupts: InterruptSpec {
            // 200 MHz reference clock at 2.1 GHz (recalled).
            apic_timer_tick: 11,
            // End to end 900 / 1000 / 1150 / 1400 less the entry of 130 (estimate).
            ipi: [770, 870, 1_020, 1_270],
            ..io_at(clock, westmere_interrupts())
        },
        translation: Translation::Kernel,
        x2apic: false,
        intel_pmu: false,
        devices: Vec::new(),
        triggers: Vec::new(),
        seed: 0,
        perturb: Perturbation::default(),
    }
}

fn two_sockets(cores_per_die: u32) -> Topology {
    Topology { cores_per_die, dies_per_package: 1, hops: vec![vec![0, 1], vec![1, 0]] }
}

/// A table for packages of one die: the entry for another die of the package is never used and
/// repeats its neighbour.
fn one_die_per_package(same: u32, other: u32) -> [u32; 4] {
    [same, same, other, other + (other - same)]
}

fn westmere_memory() -> MemorySpec {
    MemorySpec {
        // 7-cpu, measured: L1D 32 KB 8-way, L1I 32 KB 4-way, L2 256 KB 8-way, L3 12 MB 16-way.
        l1d_sets: 64,
        l1d_ways: 8,
        l1i_sets: 128,
        l1i_ways: 4,
        l2_sets: 512,
        l2_ways: 8,
        l3_sets: 12_288,
        l3_ways: 16,
        // 7-cpu, measured.
        l1_hit: 4,
        l2_hit: 10,
        load: StateLatency {
            // 75 in L2 (Intel PAG), 83 in L1, above 300 in the other socket, where MESIF writes it
            // back first (Molka).
            modified: one_die_per_package(80, 300),
            // A snoop: 65 (Intel PAG), 190 (Molka 186).
            exclusive: one_die_per_package(65, 190),
            // The L3 answers: 40–42 at 2.67 GHz (7-cpu), scaled; 170 (Molka).
            shared: one_die_per_package(44, 170),
            // L3 plus 67 ns and plus 105 ns (7-cpu).
            memory: one_die_per_package(240, 350),
        },
        store: StateLatency {
            // Loads plus 6 on the die, plus 11 off it: David measured 109 for a load, 115 for a
            // store on a Modified line of the same die; the 11 is an estimate.
            modified: one_die_per_package(86, 311),
            exclusive: one_die_per_package(71, 201),
            // Upgrades wait for the farthest copy to go (estimate).
            shared: one_die_per_package(70, 190),
            // Reading for ownership takes memory no longer than reading (estimate).
            memory: one_die_per_package(240, 350),
        },
        // David, measured: compare-and-swap 120, store 115.
        atomic_extra: 5,
        // 7-cpu.
        store_buffer: 32,
        // Drains one store per cycle into owned lines (estimate).
        store_commit: 1,
        // XCHG with memory on Nehalem (Agner).
        locked: 20,
        // 1470 on Sandy Bridge (measured by spayne, gist.github.com).
        split_lock: 1_500,
        // 7-cpu: crossing a 64-byte line.
        split_access: 4,
        ram_bytes: 0x10_0000_0000,
    }
}

fn sandybridge_memory() -> MemorySpec {
    MemorySpec {
        // L1I 8-way, L3 20 MB 20-way: recalled.
        l1i_sets: 64,
        l1i_ways: 8,
        l3_sets: 16_384,
        l3_ways: 20,
        // Measured by techreport.com/articles.x/21987 (3960X): 4, 12.
        l1_hit: 4,
        l2_hit: 12,
        load: StateLatency {
            // Same die 85–100, other socket 250–300: recalled.
            modified: one_die_per_package(95, 275),
            exclusive: one_die_per_package(85, 250),
            // L3 38–45 recalled; other socket estimated from the step between S and E on Nehalem.
            shared: one_die_per_package(40, 230),
            // 75–80 ns and 120–135 ns, recalled.
            memory: one_die_per_package(209, 344),
        },
        // The same steps over loads as on Westmere (estimate).
        store: StateLatency {
            modified: one_die_per_package(101, 286),
            exclusive: one_die_per_package(91, 261),
            shared: one_die_per_package(91, 250),
            memory: one_die_per_package(209, 344),
        },
        // Recalled.
        store_buffer: 36,
        // 20.5–20.7 and 1470 measured by spayne (i7-3930K).
        locked: 21,
        split_lock: 1_470,
        ..westmere_memory()
    }
}

fn magny_cours_memory() -> MemorySpec {
    MemorySpec {
        // 64 KB 2-way L1s, 512 KB 16-way L2, 6 MB 48-way L3 per die of which the probe filter
        // takes 1 MB: recalled.
        l1d_sets: 512,
        l1d_ways: 2,
        l1i_sets: 512,
        l1i_ways: 2,
        l2_sets: 512,
        l2_ways: 16,
        l3_sets: 2_048,
        l3_ways: 40,
        // David, recalled: 3, 15. Its local L3 hit of 40 has no place in the tables, where the
        // L3 answers with the latency of a Shared line.
        l1_hit: 3,
        l2_hit: 15,
        // David, recalled. Owned lines cost as much as Shared ones.
        load: StateLatency {
            modified: [81, 161, 172, 252],
            exclusive: [83, 163, 175, 253],
            shared: [83, 164, 176, 254],
            memory: [136, 237, 247, 327],
        },
        store: StateLatency {
            modified: [83, 172, 191, 273],
            exclusive: [83, 171, 191, 271],
            // The probe filter doesn't know the sharers of a line and asks everyone: three times
            // the price of a store to a Modified line.
            shared: [246, 255, 286, 296],
            // Loads plus what a store costs more than a load on Modified lines (estimate).
            memory: [138, 248, 266, 348],
        },
        // David, recalled: atomics on Modified lines 110, 197, 216, 296.
        atomic_extra: 25,
        // Estimate.
        store_buffer: 32,
        store_commit: 1,
        // Measured on a Phenom II by rygorous (gist.github.com): 16–18, and 137 when misaligned.
        locked: 18,
        split_lock: 137,
        // Estimate.
        split_access: 4,
        ram_bytes: 0x10_0000_0000,
    }
}

/// Nehalem and Westmere.
fn nehalem_costs() -> InstructionCosts {
    InstructionCosts {
        // Agner, Nehalem (measured) up to `cld`; CLI and STI recalled.
        alu: 1,
        cmov_adc: 2,
        imul: 3,
        mul_wide: 3,
        div32: 22,
        div64: 60,
        bit_scan: 3,
        double_shift: 4,
        branch_taken: 2,
        branch_not_taken: 1,
        pushf: 2,
        popf: 14,
        cli: 7,
        sti: 5,
        cld: 4,
        // Agner, measured.
        pause: 9,
        mfence: 23,
        lfence: 9,
        sfence: 5,
        rdtsc: 24,
        rdpmc: 50,
        cpuid: 200,
        // Recalled: 60–90, 100–250, 40–60.
        rdmsr: 80,
        wrmsr: 120,
        wrmsr_x2apic: 60,
        // A whole null system call takes 124–139 cycles (measured, tsuna 2010).
        syscall: 45,
        sysret: 40,
        // Recalled; 350–414 for a whole software interrupt on newer CPUs (sgx-step).
        iret: 90,
        iret_ring: 120,
        // Estimate.
        swapgs: 20,
        // Recalled: 120–200, 150–250.
        invlpg: 150,
        mov_cr3: 200,
        // Estimate.
        system: 100,
        // Agner, measured.
        mov_seg: 13,
        // Recalled: 1–2 µs.
        port_io: 4_400,
        // Estimate.
        cache_flush: 100,
        // Agner, measured: 12 + n for short strings.
        rep_start: 12,
        string_step: 1,
    }
}

/// Family 10h.
fn k10_costs() -> InstructionCosts {
    InstructionCosts {
        // Agner, K10 (measured).
        popf: 13,
        cli: 5,
        sti: 27,
        mfence: 33,
        rdtsc: 67,
        // Recalled.
        mul_wide: 4,
        div32: 30,
        div64: 46,
        bit_scan: 4,
        pause: 5,
        cmov_adc: 1,
        // 1.5 µs at 2.1 GHz (recalled: 1–2 µs).
        port_io: 3_150,
        // Estimate: as on Nehalem.
        ..nehalem_costs()
    }
}

fn westmere_interrupts() -> InterruptSpec {
    InterruptSpec {
        // Recalled; sgx-step measured 350–414 for entry and IRET together on newer CPUs.
        entry: 130,
        entry_ring: 170,
        // Estimate.
        entry_ist: 25,
        // C1, 0.2 µs: recalled.
        hlt_wake: 600,
        // From the ICR write to the first instruction of the handler sgx-step measured 935 (client
        // CPUs, one package). 900 in one package and 1150 between two, less the entry of 130.
        ipi: one_die_per_package(770, 1_020),
        // Estimate: the message doesn't leave the chip.
        self_ipi: 300,
        // Recalled.
        timer: 60,
        // Estimate.
        pmi: 100,
        // Recalled: an uncached access within the chip.
        apic_write: 60,
        apic_read: 90,
        // 133.33 MHz bus clock at 2.93 GHz: recalled.
        apic_timer_tick: 22,
        // Estimates: a posted write retires when it is in the uncore, and reaches the device
        // within 0.26 µs.
        mmio_retire: 60,
        mmio_write: 750,
        // 787 ns measured (pcie-lat).
        mmio_read: 2_300,
        // Estimates: 0.2 µs, 0.3 µs, 0.8 µs.
        dma_write: 600,
        msi: 900,
        intx: 2_400,
    }
}

/// The same I/O latencies in nanoseconds at another core clock.
fn io_at(clock: Hertz, at_westmere: InterruptSpec) -> InterruptSpec {
    let westmere_megahertz = 2_930;
    let scaled = |cycles: u32| {
        let exact = u64::from(cycles) * (clock.0 / 1_000_000) / westmere_megahertz;
        u32::try_from(exact).unwrap_or(u32::MAX)
    };
    InterruptSpec {
        mmio_write: scaled(at_westmere.mmio_write),
        mmio_read: scaled(at_westmere.mmio_read),
        dma_write: scaled(at_westmere.dma_write),
        msi: scaled(at_westmere.msi),
        intx: scaled(at_westmere.intx),
        ..at_westmere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_knows_its_name() {
        for &name in names() {
            let spec = preset(name).expect("listed");
            assert_eq!(spec.preset, name);
            assert_eq!(spec.validate(), Ok(()), "{name}");
        }
        assert!(preset("z80").is_none());
    }

    #[test]
    fn presets_fill_their_topology() {
        for &name in names() {
            let spec = preset(name).expect("listed");
            let t = &spec.topology;
            let seats = t.cores_per_die * t.dies_per_package * t.hops.len() as u32;
            assert_eq!(spec.cores, seats, "{name}");
        }
    }

    #[test]
    fn farther_is_never_nearer() {
        for &name in names() {
            let memory = preset(name).expect("listed").memory;
            for table in [memory.load, memory.store] {
                for row in [table.modified, table.exclusive, table.shared, table.memory] {
                    assert!(row.is_sorted(), "{name}: {row:?}");
                }
            }
        }
    }

    #[test]
    fn a_store_to_a_shared_line_is_dear_on_opteron_only() {
        let ratio = |spec: MachineSpec| {
            f64::from(spec.memory.store.shared[0]) / f64::from(spec.memory.store.modified[0])
        };
        assert!(ratio(magny_cours()) > 2.5);
        assert!(ratio(westmere_ep()) < 1.1);
    }

    #[test]
    fn ipi_end_to_end_is_900_in_one_package_and_1150_between_two() {
        let interrupts = westmere_ep().interrupts;
        assert_eq!(interrupts.ipi[0] + interrupts.entry, 900);
        assert_eq!(interrupts.ipi[2] + interrupts.entry, 1_150);
    }
}
