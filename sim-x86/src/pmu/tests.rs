//! Through the registers, with the running totals a core would give.

use super::*;
use proptest::prelude::*;

const FIXC1: u32 = 0x30a;
const FIXED_CTRL: u32 = 0x38d;
const STATUS: u32 = 0x38e;
const CTRL: u32 = 0x38f;
const OVF_CTRL: u32 = 0x390;
const PMC0: u32 = 0xc1;
const SELECT0: u32 = 0x186;
/// Fixed counter 1: both rings, interrupt.
const FIXED1_PMI: u64 = 0xb << 4;
const FIXED1: u64 = 1 << 33;
/// Enabled, both rings, interrupt, unhalted core cycles.
const CYCLES_PMI: u64 = 0x0053_003c;

fn at(instructions: u64, unhalted: u64) -> Counts {
    Counts { instructions, unhalted }
}

/// A counter of unhalted cycles, as the hard-lockup detector programs it: `left` to its overflow.
fn watchdog(left: u64, c: Counts) -> Pmu {
    let mut pmu = Pmu::new(true);
    for (msr, value) in [(FIXED_CTRL, FIXED1_PMI), (FIXC1, MODULUS - left), (CTRL, FIXED1)] {
        assert_eq!(pmu.wrmsr(msr, value, c), Some(()));
    }
    pmu
}

#[test]
fn the_watchdogs_counter_overflows_after_its_period() {
    let start = at(10, 1_000);
    let mut pmu = watchdog(500, start);
    assert_eq!(pmu.next_overflow(start), Some(500));
    assert_eq!(pmu.next_overflow(at(99, 1_400)), Some(100));
    assert!(!pmu.overflow(at(99, 1_499)), "not yet");
    assert!(pmu.overflow(at(99, 1_500)));
    assert!(!pmu.overflow(at(99, 1_500)), "once");
    assert_eq!(pmu.rdmsr(STATUS, at(99, 1_500)), Some(FIXED1));
    assert_eq!(pmu.rdmsr(FIXC1, at(99, 1_507)), Some(7), "it counts on from 0");
    assert_eq!(pmu.next_overflow(at(99, 1_500)), Some(MODULUS));
}

#[test]
fn instructions_do_not_move_a_counter_of_cycles() {
    let pmu = watchdog(500, at(0, 0));
    assert_eq!(pmu.next_overflow(at(1_000_000, 0)), Some(500));
    assert_eq!(pmu.next_overflow_by_instructions(at(1_000_000, 0)), None);
}

#[test]
fn the_handler_acknowledges_and_starts_again() {
    let mut pmu = watchdog(500, at(0, 0));
    let c = at(40, 500);
    assert!(pmu.overflow(c));
    pmu.wrmsr(CTRL, 0, c).expect("stops");
    assert_eq!(pmu.next_overflow(c), None);
    pmu.wrmsr(OVF_CTRL, FIXED1, c).expect("acknowledges");
    assert_eq!(pmu.rdmsr(STATUS, c), Some(0));
    let later = at(90, 900);
    assert_eq!(pmu.rdmsr(FIXC1, later), Some(0), "it stood still");
    pmu.wrmsr(FIXC1, MODULUS - 250, later).expect("sets");
    pmu.wrmsr(CTRL, FIXED1, later).expect("starts");
    assert_eq!(pmu.next_overflow(at(90, 1_000)), Some(150));
}

#[test]
fn an_overflow_found_by_a_write_still_interrupts() {
    let mut pmu = watchdog(500, at(0, 0));
    let c = at(0, 510);
    assert_eq!(pmu.rdmsr(STATUS, c), Some(FIXED1), "visible before the event");
    pmu.wrmsr(CTRL, 0, c).expect("stops");
    assert_eq!(pmu.next_overflow(c), Some(0));
    assert!(pmu.overflow(c));
    assert_eq!(pmu.next_overflow(c), None);
}

#[test]
fn without_the_interrupt_bit_only_the_status_tells() {
    let mut pmu = watchdog(500, at(0, 0));
    pmu.wrmsr(FIXED_CTRL, 3 << 4, at(0, 0)).expect("writes");
    assert_eq!(pmu.next_overflow(at(0, 0)), None);
    assert!(!pmu.overflow(at(0, 600)));
    assert_eq!(pmu.rdmsr(STATUS, at(0, 600)), Some(FIXED1));
}

#[test]
fn a_counter_runs_only_with_its_ring_and_its_global_bit() {
    for (control, global, counts) in
        [(0xb0, FIXED1, true), (0x80, FIXED1, false), (0xb0, 0xf, false)]
    {
        let mut pmu = Pmu::new(true);
        pmu.wrmsr(FIXED_CTRL, control, at(0, 0)).expect("writes");
        pmu.wrmsr(CTRL, global, at(0, 0)).expect("writes");
        let value = pmu.rdmsr(FIXC1, at(0, 77));
        assert_eq!(value, Some(if counts { 77 } else { 0 }), "{control:#x} {global:#x}");
    }
}

#[test]
fn general_counters_count_what_they_select() {
    let mut pmu = Pmu::new(true);
    let selects = [0x0043_00c0, 0x0041_003c, 0x0042_013c, 0x0043_412e];
    for (n, select) in selects.into_iter().enumerate() {
        pmu.wrmsr(SELECT0 + n as u32, select, at(0, 0)).expect("writes");
    }
    let c = at(30, 400);
    let counts = [0, 1, 2, 3].map(|n| pmu.rdpmc(n, c));
    assert_eq!(counts, [Some(30), Some(400), Some(400), Some(0)], "cache misses aren't modelled");
    pmu.wrmsr(SELECT0, 0x0003_00c0, c).expect("disables");
    assert_eq!(pmu.rdpmc(0, at(99, 999)), Some(30));
}

#[test]
fn intel_general_counters_sign_extend_32_bits() {
    let mut pmu = Pmu::new(true);
    pmu.wrmsr(PMC0, 0x1234_5678_8000_0000, at(0, 0)).expect("writes");
    assert_eq!(pmu.rdmsr(PMC0, at(0, 0)), Some(0xffff_8000_0000));
    pmu.wrmsr(PMC0, 0x1234_5678_7fff_ffff, at(0, 0)).expect("writes");
    assert_eq!(pmu.rdmsr(PMC0, at(0, 0)), Some(0x7fff_ffff));
    pmu.wrmsr(FIXC1, 0x8000_0000, at(0, 0)).expect("writes");
    assert_eq!(pmu.rdmsr(FIXC1, at(0, 0)), Some(0x8000_0000), "fixed ones take 48");
}

#[test]
fn the_first_of_several_overflows_comes_first() {
    let mut pmu = watchdog(500, at(0, 0));
    pmu.wrmsr(SELECT0, CYCLES_PMI, at(0, 0)).expect("writes");
    pmu.wrmsr(PMC0, (-200i64) as u64, at(0, 0)).expect("writes");
    pmu.wrmsr(CTRL, FIXED1 | 1, at(0, 0)).expect("writes");
    assert_eq!(pmu.next_overflow(at(0, 0)), Some(200));
    assert!(pmu.overflow(at(0, 200)));
    assert_eq!(pmu.next_overflow(at(0, 200)), Some(300));
    assert!(pmu.overflow(at(0, 500)));
    assert_eq!(pmu.rdmsr(STATUS, at(0, 500)), Some(FIXED1 | 1));
}

#[test]
fn counters_of_instructions_overflow_too() {
    let mut pmu = Pmu::new(true);
    pmu.wrmsr(FIXED_CTRL, 0xb, at(0, 0)).expect("writes");
    pmu.wrmsr(0x309, MODULUS - 50, at(0, 0)).expect("writes");
    pmu.wrmsr(CTRL, 1 << 32, at(0, 0)).expect("writes");
    assert_eq!(pmu.next_overflow(at(10, 0)), None);
    assert_eq!(pmu.next_overflow_by_instructions(at(10, 0)), Some(40));
    assert!(pmu.overflow(at(50, 0)));
}

#[test]
fn reserved_bits_and_unknown_registers_are_refused() {
    let mut pmu = Pmu::new(true);
    let c = at(0, 0);
    for (msr, value) in [
        (FIXED_CTRL, 1 << 12),
        (CTRL, 1 << 4),
        (CTRL, 1 << 35),
        (STATUS, 0),
        (0x345, 0),
        (SELECT0, 1 << 32),
        (FIXC1, MODULUS),
        (0x30c, 0),
        (0xc5, 0),
        (0xc001_0000, 0),
    ] {
        assert_eq!(pmu.wrmsr(msr, value, c), None, "{msr:#x} {value:#x}");
    }
    for msr in [OVF_CTRL, 0x30c, 0xc5, 0xc001_0000] {
        assert_eq!(pmu.rdmsr(msr, c), None, "{msr:#x}");
    }
    for index in [4, 1 << 30 | 3, 1 << 31] {
        assert_eq!(pmu.rdpmc(index, c), None, "{index:#x}");
    }
    assert_eq!(pmu.rdpmc(1 << 30 | 1, c), Some(0));
}

#[test]
fn amd_has_four_counters_of_48_bits_and_nothing_else() {
    let mut pmu = Pmu::new(false);
    let c = at(0, 0);
    // Enabled, both rings, interrupt, CPU clocks not halted.
    pmu.wrmsr(0xc001_0000, 0x0053_0076, c).expect("writes");
    pmu.wrmsr(0xc001_0004, MODULUS - 0x1_8000_0000, c).expect("writes");
    assert_eq!(pmu.next_overflow(c), Some(0x1_8000_0000));
    assert!(pmu.overflow(at(0, 0x1_8000_0000)));
    assert_eq!(pmu.rdmsr(0xc001_0004, at(0, 0x1_8000_0005)), Some(5));
    for msr in [PMC0, SELECT0, FIXC1, FIXED_CTRL, STATUS, CTRL] {
        assert_eq!(pmu.rdmsr(msr, c), None, "{msr:#x}");
    }
    assert_eq!(pmu.rdpmc(1 << 30, c), None);
}

proptest! {
    /// However often the counter is looked at on the way, it overflows at the same cycle.
    #[test]
    fn looking_changes_nothing(
        left in 1u64..1_000_000,
        looks in prop::collection::vec(1u64..50_000, 0..30),
    ) {
        let mut pmu = watchdog(left, at(0, 0));
        let mut now = 0;
        for step in looks {
            if now + step >= left {
                break;
            }
            now += step;
            prop_assert_eq!(pmu.next_overflow(at(0, now)), Some(left - now));
            prop_assert!(!pmu.overflow(at(0, now)));
            // Rewriting a control with its own value brings the counters up to date.
            pmu.wrmsr(FIXED_CTRL, FIXED1_PMI, at(0, now)).expect("writes");
        }
        prop_assert!(!pmu.overflow(at(0, left - 1)));
        prop_assert!(pmu.overflow(at(0, left)));
    }
}
