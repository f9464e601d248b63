//! CPUID and the MSRs that only hold a value.
//!
//! CPUID describes the preset's CPU as far as the model goes: integer instructions only. SSE and
//! SSE2 are reported because every 64-bit CPU has them, later extensions are not; neither are AVX,
//! XSAVE, BMI and machine-check banks. Leaves and bits: SDM vol. 2A, CPUID (2009 edition), and
//! AMD's CPUID specification (25481).

use crate::ids::{CoreId, LINE_BYTES};
use crate::spec::MachineSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// EAX, EBX, ECX, EDX.
pub type Leaf = [u32; 4];

/// Highest basic leaf of Intel's CPUs; AMD's end at 5.
const INTEL_LEAVES: u32 = 0xb;
const AMD_LEAVES: u32 = 0x5;
const EXTENDED_LEAVES: u32 = 0x8000_0008;

/// Leaf 1 EDX: FPU PSE TSC MSR PAE CX8 APIC SEP MTRR PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2
/// HTT.
const LEAF1_EDX: u32 = 1 << 0
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 8
    | 1 << 9
    | 1 << 11
    | 1 << 12
    | 1 << 13
    | 1 << 15
    | 1 << 16
    | 1 << 17
    | 1 << 19
    | 1 << 23
    | 1 << 24
    | 1 << 25
    | 1 << 26
    | 1 << 28;
/// Leaf 1 ECX: MONITOR, CX16, POPCNT.
const LEAF1_ECX: u32 = 1 << 3 | 1 << 13 | 1 << 23;
const X2APIC: u32 = 1 << 21;
const TSC_DEADLINE: u32 = 1 << 24;
/// Leaf 0x80000001 EDX: SYSCALL, NX, 1 GB pages, RDTSCP, long mode.
const EXTENDED_EDX: u32 = 1 << 11 | 1 << 20 | 1 << 26 | 1 << 27 | 1 << 29;

/// Family, model and stepping as leaf 1 shows them.
fn signature(spec: &MachineSpec) -> u32 {
    match spec.preset.as_str() {
        // 06_1AH, 06_2DH, 06_2CH (SDM vol. 3B table B-1); AMD family 10h model 9.
        "nehalem-ep" => 0x0001_06a5,
        "sandybridge-ep" => 0x0002_06d7,
        _ if spec.intel_pmu => 0x0002_06c2,
        _ => 0x0010_0f91,
    }
}

/// What CPUID gives on `core` for EAX = `leaf`, ECX = `subleaf`. A leaf above the highest gives
/// zeros (Intel repeats the last basic leaf, which no software may rely on).
#[must_use]
pub fn cpuid(spec: &MachineSpec, core: CoreId, leaf: u32, subleaf: u32) -> Leaf {
    match (leaf, spec.intel_pmu) {
        (0, true) => [INTEL_LEAVES, text(b"Genu"), text(b"ntel"), text(b"ineI")],
        (0, false) => [AMD_LEAVES, text(b"Auth"), text(b"cAMD"), text(b"enti")],
        (0x8000_0000, true) => [EXTENDED_LEAVES, 0, 0, 0],
        (0x8000_0000, false) => [EXTENDED_LEAVES, text(b"Auth"), text(b"cAMD"), text(b"enti")],
        (1, _) => features(spec, core),
        (4, true) => cache(spec, subleaf),
        // MONITOR: line sizes; ECX: interrupts break MWAIT even if masked; EDX: C0–C3 (Intel).
        (5, intel) => [LINE_BYTES as u32, LINE_BYTES as u32, 3, if intel { 0x1120 } else { 0 }],
        // The APIC timer runs in every C-state (ARAT): Westmere was the first.
        (6, true) => [if spec.preset == "nehalem-ep" { 0 } else { 4 }, 0, 0, 0],
        // PMU version 3, four general and three fixed counters of 48 bits; of the seven
        // architectural events only cycles, instructions and reference cycles are counted.
        (0xa, true) => [0x0730_0403, 0x78, 0, 0x603],
        (0xb, true) => topology(spec, core, subleaf),
        (0x8000_0001, intel) => [if intel { 0 } else { signature(spec) }, 0, 1, EXTENDED_EDX],
        (0x8000_0002..=0x8000_0004, _) => brand(spec, leaf - 0x8000_0002),
        (0x8000_0005, false) => [0, 0, amd_l1(spec, false), amd_l1(spec, true)],
        (0x8000_0006, intel) => [0, 0, extended_l2(spec), if intel { 0 } else { amd_l3(spec) }],
        // The TSC runs at a constant rate in every state.
        (0x8000_0007, _) => [0, 0, 0, 1 << 8],
        // 40 physical and 48 linear address bits; AMD: cores per package less 1.
        (0x8000_0008, true) => [0x3028, 0, 0, 0],
        (0x8000_0008, false) => [0x3028, 0, per_package(spec) - 1, 0],
        _ => [0; 4],
    }
}

fn text(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes)
}

/// CPUs in one package.
fn per_package(spec: &MachineSpec) -> u32 {
    (spec.topology.cores_per_die * spec.topology.dies_per_package).clamp(1, spec.cores.max(1))
}

fn features(spec: &MachineSpec, core: CoreId) -> Leaf {
    let deadline = spec.preset == "sandybridge-ep";
    let ecx =
        LEAF1_ECX | if spec.x2apic { X2APIC } else { 0 } | if deadline { TSC_DEADLINE } else { 0 };
    let clflush = (LINE_BYTES as u32 / 8) << 8;
    let ebx = u32::from(core.0) << 24 | per_package(spec).min(0xff) << 16 | clflush;
    [signature(spec), ebx, ecx, LEAF1_EDX]
}

/// Leaf 4, deterministic cache parameters: L1D, L1I, L2, L3.
fn cache(spec: &MachineSpec, index: u32) -> Leaf {
    const DATA: u32 = 1;
    const INSTRUCTIONS: u32 = 2;
    const UNIFIED: u32 = 3;
    let m = &spec.memory;
    let (kind, level, sets, ways, sharing) = match index {
        0 => (DATA, 1, m.l1d_sets, m.l1d_ways, 1),
        1 => (INSTRUCTIONS, 1, m.l1i_sets, m.l1i_ways, 1),
        2 => (UNIFIED, 2, m.l2_sets, m.l2_ways, 1),
        3 => (UNIFIED, 3, m.l3_sets, m.l3_ways, spec.topology.cores_per_die),
        _ => return [0; 4],
    };
    let self_initialising = 1 << 8;
    let cores = (per_package(spec) - 1).min(0x3f) << 26;
    let eax = kind | level << 5 | self_initialising | (sharing.max(1) - 1) << 14 | cores;
    let inclusive = u32::from(level == 3) << 1;
    [eax, (ways - 1) << 22 | (LINE_BYTES as u32 - 1), sets - 1, inclusive]
}

/// Leaf 0xb. APIC ids are CPU numbers, so packages have equal ids above the shift only if the CPUs
/// of a package are a power of two; real machines leave gaps in their ids instead.
fn topology(spec: &MachineSpec, core: CoreId, level: u32) -> Leaf {
    const SMT: u32 = 1 << 8;
    const CORE: u32 = 2 << 8;
    let id = u32::from(core.0);
    match level {
        0 => [0, 1, SMT, id],
        1 => {
            let cores = per_package(spec);
            [cores.next_power_of_two().trailing_zeros(), cores, CORE | 1, id]
        }
        _ => [0, 0, level & 0xff, id],
    }
}

/// The name: 48 bytes over three leaves.
fn brand(spec: &MachineSpec, part: u32) -> Leaf {
    let megahertz = spec.clock.0 / 1_000_000;
    let name =
        format!("latchup {} @ {}.{:02}GHz", spec.preset, megahertz / 1000, megahertz % 1000 / 10);
    let mut bytes = name.into_bytes();
    // The last byte is always a terminator.
    bytes.truncate(47);
    bytes.resize(48, 0);
    let at = part as usize * 16;
    let mut leaf = [0; 4];
    for (word, four) in leaf.iter_mut().zip(bytes[at..at + 16].chunks_exact(4)) {
        *word = four.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    leaf
}

fn kilobytes(sets: u32, ways: u32) -> u32 {
    (u64::from(sets) * u64::from(ways) * LINE_BYTES / 1024) as u32
}

/// Associativity as the extended leaves encode it.
fn associativity(ways: u32) -> u32 {
    match ways {
        0..=4 => ways,
        5..=8 => 6,
        9..=16 => 8,
        17..=32 => 10,
        33..=48 => 11,
        _ => 0xf,
    }
}

fn amd_l1(spec: &MachineSpec, instructions: bool) -> u32 {
    let m = &spec.memory;
    let (sets, ways) = match instructions {
        true => (m.l1i_sets, m.l1i_ways),
        false => (m.l1d_sets, m.l1d_ways),
    };
    kilobytes(sets, ways) << 24 | ways << 16 | 1 << 8 | LINE_BYTES as u32
}

fn extended_l2(spec: &MachineSpec) -> u32 {
    let m = &spec.memory;
    kilobytes(m.l2_sets, m.l2_ways) << 16 | associativity(m.l2_ways) << 12 | LINE_BYTES as u32
}

/// L3 of one die, in units of 512 KB.
fn amd_l3(spec: &MachineSpec) -> u32 {
    let m = &spec.memory;
    let units = kilobytes(m.l3_sets, m.l3_ways) / 512;
    units << 18 | associativity(m.l3_ways) << 12 | 1 << 8 | LINE_BYTES as u32
}

/// The value of an MSR that the model keeps constant or that starts with a value: `None` if there
/// is no such MSR (#GP). Registers that do something — TSC, APIC, PMU, EFER, SYSCALL, segment
/// bases — belong to their chips.
#[must_use]
pub fn constant_msr(spec: &MachineSpec, msr: u32) -> Option<u64> {
    // Ratios are in units of the 133.33 MHz (Sandy Bridge: 100 MHz) bus clock, bits 15:8 and 47:40.
    let bus = if spec.preset == "sandybridge-ep" { 100_000_000 } else { 133_333_333 };
    let ratio = ((spec.clock.0 + bus / 2) / bus) & 0xff;
    Some(match msr {
        // IA32_MTRRCAP: write-combining, fixed ranges, eight variable ones.
        0xfe => 0x508,
        // IA32_MCG_CAP: no machine-check banks; IA32_MCG_STATUS.
        0x179 | 0x17a => 0,
        // IA32_BIOS_SIGN_ID: microcode revision, in the upper half.
        0x8b => 1 << 32,
        // IA32_PLATFORM_ID, IA32_FEATURE_CONTROL (locked, no VMX), IA32_THERM_STATUS.
        0x17 | 0x19c => 0,
        0x3a if spec.intel_pmu => 1,
        // MSR_PLATFORM_INFO, IA32_PERF_STATUS, and TURBO_RATIO_LIMIT: one ratio, no turbo.
        0xce if spec.intel_pmu => ratio << 40 | ratio << 8,
        0x198 if spec.intel_pmu => ratio,
        0x1ad if spec.intel_pmu => 0,
        // IA32_MISC_ENABLE: fast strings, PMU available, no BTS, no PEBS, MONITOR.
        0x1a0 if spec.intel_pmu => 0x4_1881,
        // IA32_PAT after reset (SDM table 10-12).
        0x277 => 0x0007_0406_0007_0406,
        // SYSENTER, DEBUGCTL, PERF_CTL, THERM_INTERRUPT, ENERGY_PERF_BIAS, MTRRs.
        0x174..=0x176 | 0x1d9 | 0x199 | 0x19b | 0x1b0 => 0,
        0x200..=0x20f | 0x250 | 0x258 | 0x259 | 0x268..=0x26f | 0x2ff => 0,
        // AMD: SYSCFG, HWCR, P-state limits and status, interrupt pending, patch level.
        0xc001_0010 | 0xc001_0015 | 0xc001_0055 | 0xc001_0061..=0xc001_0063 if !spec.intel_pmu => 0,
        _ => return None,
    })
}

/// True if WRMSR may change the MSR; the value has no effect but to be read again.
fn is_writable(msr: u32) -> bool {
    matches!(
        msr,
        0x17a | 0x174..=0x176 | 0x1a0 | 0x1d9 | 0x199 | 0x19b | 0x1b0 | 0x277
            | 0x200..=0x20f | 0x250 | 0x258 | 0x259 | 0x268..=0x26f | 0x2ff
            | 0xc001_0010 | 0xc001_0015 | 0xc001_0055 | 0xc001_0062
    )
}

/// One CPU's MSRs that only hold a value, as far as software has changed them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainMsrs {
    written: BTreeMap<u32, u64>,
}

impl PlainMsrs {
    /// RDMSR; `None` is #GP.
    #[must_use]
    pub fn read(&self, spec: &MachineSpec, msr: u32) -> Option<u64> {
        self.written.get(&msr).copied().or_else(|| constant_msr(spec, msr))
    }

    /// WRMSR; `None` is #GP: there is no such MSR or it is read-only. A write to the microcode
    /// revision is ignored, as that is how software asks for the revision to be loaded.
    pub fn write(&mut self, spec: &MachineSpec, msr: u32, value: u64) -> Option<()> {
        const BIOS_SIGN_ID: u32 = 0x8b;
        constant_msr(spec, msr)?;
        match msr {
            BIOS_SIGN_ID => Some(()),
            _ if is_writable(msr) => {
                self.written.insert(msr, value);
                Some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::{magny_cours, westmere_ep};

    fn string(leaves: impl IntoIterator<Item = u32>) -> String {
        let bytes: Vec<u8> = leaves.into_iter().flat_map(u32::to_le_bytes).collect();
        String::from_utf8(bytes).expect("ASCII").trim_end_matches('\0').to_owned()
    }

    fn vendor(spec: &MachineSpec) -> String {
        let [_, ebx, ecx, edx] = cpuid(spec, CoreId(0), 0, 0);
        string([ebx, edx, ecx])
    }

    #[test]
    fn vendors_and_models_follow_the_preset() {
        assert_eq!(vendor(&westmere_ep()), "GenuineIntel");
        assert_eq!(vendor(&magny_cours()), "AuthenticAMD");
        let [eax, ebx, _, _] = cpuid(&westmere_ep(), CoreId(18), 1, 0);
        // Family 6, model 2Ch.
        assert_eq!((eax >> 8 & 0xf, eax >> 16 << 4 & 0xf0 | eax >> 4 & 0xf), (6, 0x2c));
        assert_eq!(ebx >> 24, 18);
        // Base family 0xf plus extended 1: family 10h.
        let [eax, ..] = cpuid(&magny_cours(), CoreId(0), 1, 0);
        assert_eq!((eax >> 8 & 0xf) + (eax >> 20 & 0xff), 0x10);
    }

    #[test]
    fn x2apic_is_reported_only_when_the_machine_offers_it() {
        let mut spec = westmere_ep();
        for offered in [false, true] {
            spec.x2apic = offered;
            assert_eq!(cpuid(&spec, CoreId(0), 1, 0)[2] & X2APIC != 0, offered);
        }
    }

    #[test]
    fn leaf_4_gives_the_sizes_of_the_caches() {
        let size = |index| {
            let [_, ebx, ecx, _] = cpuid(&westmere_ep(), CoreId(0), 4, index);
            u64::from((ebx >> 22) + 1) * u64::from((ebx & 0xfff) + 1) * u64::from(ecx + 1)
        };
        assert_eq!([0, 1, 2].map(size), [32 << 10, 32 << 10, 256 << 10]);
        assert_eq!(size(3), 12 << 20);
        assert_eq!(cpuid(&westmere_ep(), CoreId(0), 4, 4), [0; 4]);
    }

    #[test]
    fn the_topology_leaf_counts_threads_and_cores() {
        let leaf = |level| cpuid(&westmere_ep(), CoreId(18), 0xb, level);
        assert_eq!(leaf(0), [0, 1, 1 << 8, 18]);
        assert_eq!(leaf(1), [4, 12, 2 << 8 | 1, 18]);
        assert_eq!(leaf(2), [0, 0, 2, 18]);
    }

    #[test]
    fn amd_gives_its_caches_in_extended_leaves() {
        let leaf = |n| cpuid(&magny_cours(), CoreId(0), n, 0);
        let l1 = 64 << 24 | 2 << 16 | 1 << 8 | 64;
        assert_eq!(leaf(0x8000_0005), [0, 0, l1, l1]);
        // 512 KB 16-way; ten times 512 KB, 40-way.
        assert_eq!(
            leaf(0x8000_0006)[2..],
            [512 << 16 | 8 << 12 | 64, 10 << 18 | 0xb << 12 | 1 << 8 | 64]
        );
        assert_eq!(leaf(0x8000_0008)[2], 11, "twelve cores in a package");
        assert_eq!([leaf(4), leaf(0xa), leaf(0xb)], [[0; 4]; 3], "Intel's leaves");
    }

    #[test]
    fn nothing_is_reported_that_the_core_cannot_execute() {
        for spec in [westmere_ep(), magny_cours()] {
            let [_, _, ecx, _] = cpuid(&spec, CoreId(0), 1, 0);
            // SSE3, SSSE3, FMA, SSE4.1, SSE4.2, MOVBE, AES, XSAVE, AVX, RDRAND.
            for bit in [0, 9, 12, 19, 20, 22, 25, 26, 28, 30] {
                assert_eq!(ecx >> bit & 1, 0, "bit {bit}");
            }
            assert_eq!(cpuid(&spec, CoreId(0), 7, 0), [0; 4], "BMI and the like");
        }
    }

    #[test]
    fn the_brand_string_names_the_model_and_ends_in_a_zero() {
        let spec = westmere_ep();
        let leaves = (0x8000_0002..=0x8000_0004).flat_map(|leaf| cpuid(&spec, CoreId(0), leaf, 0));
        assert_eq!(string(leaves), "latchup westmere-ep @ 2.93GHz");
    }

    #[test]
    fn the_pmu_leaf_agrees_with_the_pmu() {
        let [eax, ebx, _, edx] = cpuid(&westmere_ep(), CoreId(0), 0xa, 0);
        assert_eq!((eax & 0xff, eax >> 8 & 0xff, eax >> 16 & 0xff), (3, 4, 48));
        assert_eq!((edx & 0x1f, edx >> 5 & 0xff), (3, 48));
        assert_eq!(ebx & 7, 0, "cycles, instructions and reference cycles are available");
    }

    #[test]
    fn plain_msrs_keep_what_is_written_and_refuse_the_rest() {
        let spec = westmere_ep();
        let mut msrs = PlainMsrs::default();
        assert_eq!(msrs.read(&spec, 0x277), Some(0x0007_0406_0007_0406));
        assert_eq!(msrs.write(&spec, 0x277, 6), Some(()));
        assert_eq!(msrs.read(&spec, 0x277), Some(6));
        assert_eq!(msrs.write(&spec, 0xce, 0), None, "read-only");
        assert_eq!(msrs.read(&spec, 0xce), Some(22 << 40 | 22 << 8));
        assert_eq!(msrs.read(&spec, 0xc001_0015), None, "AMD's");
        assert_eq!(msrs.write(&spec, 0x1234, 0), None);
    }
}
