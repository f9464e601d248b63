//! What others measured or stated, for the presets' machines or their nearest relatives.
//!
//! Figures marked *recalled* are from publications that were not at hand.

use super::memory::State;

/// A published figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// Cycles of the preset's clock.
    pub cycles: f64,
    /// Where it is from.
    pub source: &'static str,
}

/// What is done to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Load,
    /// A store, until it is visible.
    Store,
    /// A locked read-modify-write.
    Atomic,
}

const CPU7: &str = "7-cpu.com, Westmere X5650";
const PAG: &str = "Intel Performance Analysis Guide, Xeon 5500, p. 22";
const MOLKA: &str = "Molka et al., PACT 2009 (recalled)";
const DAVID: &str = "David et al., SOSP 2013 (recalled)";
const REPORT: &str = "techreport.com/articles.x/21987 (3960X)";
const RECALLED: &str = "recalled";

fn figure(cycles: f64, source: &'static str) -> Option<Published> {
    Some(Published { cycles, source })
}

/// Load-to-use of a level of the hierarchy.
pub(super) fn level(preset: &str, level: &str) -> Option<Published> {
    match (preset, level) {
        ("westmere-ep" | "nehalem-ep", "L1") => figure(4.0, CPU7),
        ("westmere-ep" | "nehalem-ep", "L2") => figure(10.0, CPU7),
        // 40 to 42 at 2.67 GHz, by the position of the core.
        ("westmere-ep", "L3") => figure(42.0, CPU7),
        // L3 and 67 ns, L3 and 105 ns, at 2.93 GHz.
        ("westmere-ep", "local DRAM") => figure(44.0 + 67.0 * 2.93, CPU7),
        ("westmere-ep", "DRAM, one hop") => figure(44.0 + 105.0 * 2.93, CPU7),
        ("nehalem-ep", "L3") => figure(38.0, MOLKA),
        ("nehalem-ep", "local DRAM") => figure(191.0, MOLKA),
        ("nehalem-ep", "DRAM, one hop") => figure(310.0, MOLKA),
        ("sandybridge-ep", "L1") => figure(4.0, REPORT),
        ("sandybridge-ep", "L2") => figure(12.0, REPORT),
        ("sandybridge-ep", "L3") => figure(41.5, RECALLED),
        ("sandybridge-ep", "local DRAM") => figure(77.5 * 2.7, RECALLED),
        ("sandybridge-ep", "DRAM, one hop") => figure(127.5 * 2.7, RECALLED),
        ("magny-cours", "L1") => figure(3.0, DAVID),
        ("magny-cours", "L2") => figure(15.0, DAVID),
        ("magny-cours", "L3") => figure(40.0, DAVID),
        ("magny-cours", "local DRAM") => figure(136.0, DAVID),
        ("magny-cours", "DRAM, same package") => figure(237.0, DAVID),
        ("magny-cours", "DRAM, one hop") => figure(247.0, DAVID),
        ("magny-cours", "DRAM, two hops") => figure(327.0, DAVID),
        _ => None,
    }
}

/// An access by state and distance (index as in [`sim_x86::spec::ByDistance`]).
pub(super) fn coherence(
    preset: &str,
    what: Access,
    state: State,
    distance: usize,
) -> Option<Published> {
    use Access::{Atomic, Load, Store};
    use State::{Exclusive, Modified, Shared};
    if preset == "magny-cours" {
        let row: [f64; 4] = match (what, state) {
            (Load, Modified) => [81.0, 161.0, 172.0, 252.0],
            (Load, Exclusive) => [83.0, 163.0, 175.0, 253.0],
            (Load, Shared) => [83.0, 164.0, 176.0, 254.0],
            (Store, Modified) => [83.0, 172.0, 191.0, 273.0],
            (Store, Exclusive) => [83.0, 171.0, 191.0, 271.0],
            (Store, Shared) => [246.0, 255.0, 286.0, 296.0],
            (Atomic, Modified | Exclusive) => [110.0, 197.0, 216.0, 296.0],
            (Atomic, Shared) => [272.0, 283.0, 312.0, 332.0],
        };
        return figure(row[distance], DAVID);
    }
    let near = distance == 0;
    match (preset, what, state) {
        ("westmere-ep" | "nehalem-ep", Load, Modified) if near => figure(75.0, PAG),
        ("westmere-ep" | "nehalem-ep", Load, Exclusive) if near => figure(65.0, PAG),
        ("westmere-ep", Load, Shared) if near => figure(42.0, CPU7),
        ("nehalem-ep", Load, Shared) if near => figure(38.0, MOLKA),
        ("westmere-ep" | "nehalem-ep", Load, Modified) => figure(300.0, MOLKA),
        ("westmere-ep" | "nehalem-ep", Load, Exclusive) => figure(186.0, MOLKA),
        ("westmere-ep" | "nehalem-ep", Load, Shared) => figure(170.0, MOLKA),
        ("sandybridge-ep", Load, Modified) if near => figure(92.5, RECALLED),
        ("sandybridge-ep", Load, Modified) => figure(275.0, RECALLED),
        _ => None,
    }
}

/// A locked operation on an own Modified line.
pub(super) fn own_atomic(preset: &str) -> Option<Published> {
    match preset {
        "westmere-ep" | "nehalem-ep" => {
            figure(20.0, "Agner Fog, instruction_tables 2021-08-17, Nehalem (XCHG)")
        }
        "sandybridge-ep" => figure(20.6, "spayne, gist.github.com (i7-3930K)"),
        "magny-cours" => figure(17.0, "rygorous, gist.github.com (Phenom II)"),
        _ => None,
    }
}

/// What belongs to no table: interrupts, devices, system calls, the guest kernel.
pub(super) fn other(preset: &str, name: &str) -> Option<Published> {
    // Client CPUs; cycles are taken as they are.
    const SGX: &str = "sgx-step, app/selftest (client CPUs, one package)";
    // Measured in nanoseconds: at the preset's clock.
    let ns = |ns: f64| match preset {
        "sandybridge-ep" => ns * 2.7,
        "magny-cours" => ns * 2.1,
        _ => ns * 2.93,
    };
    match name {
        "IPI, same die" | "NMI by IPI, same die" => figure(935.0, SGX),
        "INT n and IRETQ" => figure(350.0, SGX),
        "MMIO read" => figure(ns(787.0), "pcie-lat, issue 4"),
        "SYSCALL and SYSRET" if preset == "westmere-ep" => {
            figure(124.0, "tsuna 2010: null system call with kernel code, L5630")
        }
        "SYSCALL and SYSRET" if preset == "nehalem-ep" => {
            figure(139.0, "tsuna 2010: null system call with kernel code, X5550")
        }
        "Context switch" => {
            figure(ns(1_450.0), "tsuna 2010: futex ping-pong, two system calls each way (recalled)")
        }
        _ => None,
    }
}
