//! Through the registers, as a guest and a machine use the chip.

use super::regs::at;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: Cycle = Cycle(1_000);
const TICK: u32 = 22;

/// A software-enabled APIC with id 3 in xAPIC mode.
fn enabled() -> Lapic {
    let mut apic = Lapic::new(3, TICK, true);
    apic.write_mmio(at::SVR, 0x1ff, NOW);
    apic
}

/// The same in x2APIC mode.
fn x2apic() -> Lapic {
    let mut apic = enabled();
    assert_eq!(apic.wrmsr(0x1b, 0xfee0_0c00, NOW), Some(ApicEffect::Timer));
    apic
}

fn ipi(to: Destination, delivery: Delivery) -> ApicEffect {
    ApicEffect::Ipi(Ipi { to, delivery })
}

/// Arms the timer as one-shot or periodic with divide-by-1.
fn timer(lvt: u32, count: u32) -> Lapic {
    let mut apic = enabled();
    apic.write_mmio(at::DIVIDE, 0xb, NOW);
    apic.write_mmio(at::LVT_TIMER, lvt, NOW);
    apic.write_mmio(at::INITIAL_COUNT, count, NOW);
    apic
}

const PERIODIC: u32 = 1 << 17;
const DEADLINE: u32 = 2 << 17;

#[test]
fn after_reset_it_is_software_disabled_and_masks_everything() {
    let mut apic = Lapic::new(3, TICK, false);
    assert_eq!(apic.read_mmio(0x20, NOW), 3 << 24);
    assert_eq!(apic.read_mmio(0x30, NOW) & 0xff, 0x15);
    assert_eq!(apic.read_mmio(at::SVR, NOW), 0xff);
    for lvt in [0x2f0, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370] {
        assert_eq!(apic.read_mmio(lvt, NOW), LVT_MASKED, "{lvt:#x}");
        apic.write_mmio(lvt, 0x41, NOW);
        assert_eq!(apic.read_mmio(lvt, NOW), LVT_MASKED | 0x41, "mask bits can't be cleared");
    }
    apic.accept(0x41, false);
    assert_eq!(apic.deliverable(), None, "messages are lost");
}

#[test]
fn disabling_by_software_masks_the_lvt_and_keeps_what_was_accepted() {
    let mut apic = enabled();
    apic.write_mmio(at::LVT_PERFORMANCE, 0x400, NOW);
    apic.accept(0x41, false);
    apic.write_mmio(at::SVR, 0xff, NOW);
    apic.accept(0x51, false);
    assert_eq!(apic.read_mmio(at::LVT_PERFORMANCE, NOW), LVT_MASKED | 0x400);
    assert_eq!(apic.deliverable(), Some(0x41));
}

#[test]
fn the_highest_vector_is_taken_first_and_equal_ones_merge() {
    let mut apic = enabled();
    for vector in [0x41, 0xfd, 0x41, 0xf0] {
        apic.accept(vector, false);
    }
    let mut taken = Vec::new();
    while let Some(vector) = apic.acknowledge() {
        taken.push(vector);
        apic.write_mmio(at::EOI, 0, NOW);
    }
    assert_eq!(taken, [0xfd, 0xf0, 0x41]);
}

#[test]
fn one_vector_can_be_in_service_and_wait_again() {
    let mut apic = enabled();
    apic.accept(0xfd, false);
    assert_eq!(apic.acknowledge(), Some(0xfd));
    apic.accept(0xfd, false);
    apic.accept(0xfd, false);
    assert_eq!(apic.deliverable(), None, "its own class is in service");
    apic.write_mmio(at::EOI, 0, NOW);
    assert_eq!(apic.acknowledge(), Some(0xfd));
    apic.write_mmio(at::EOI, 0, NOW);
    assert_eq!(apic.acknowledge(), None, "two at most");
}

#[test]
fn only_a_higher_class_nests() {
    let mut apic = enabled();
    apic.accept(0x51, false);
    apic.acknowledge();
    assert_eq!(apic.ppr(), 0x50);
    apic.accept(0x5f, false);
    assert_eq!(apic.deliverable(), None);
    apic.accept(0x61, false);
    assert_eq!(apic.acknowledge(), Some(0x61));
    assert_eq!(apic.ppr(), 0x60);
    apic.write_mmio(at::EOI, 0, NOW);
    assert_eq!(apic.ppr(), 0x50, "the outer one is in service still");
    apic.write_mmio(at::EOI, 0, NOW);
    assert_eq!(apic.acknowledge(), Some(0x5f));
}

#[test]
fn the_task_priority_holds_back_its_class_and_those_below() {
    let mut apic = enabled();
    apic.accept(0x4f, false);
    apic.set_cr8(4);
    assert_eq!((apic.cr8(), apic.ppr(), apic.deliverable()), (4, 0x40, None));
    assert_eq!(apic.read_mmio(at::TPR, NOW), 0x40);
    apic.write_mmio(at::TPR, 0x3f, NOW);
    assert_eq!((apic.cr8(), apic.ppr(), apic.deliverable()), (3, 0x3f, Some(0x4f)));
}

#[test]
fn the_end_of_a_level_interrupt_is_broadcast() {
    let mut apic = enabled();
    apic.accept(0x41, true);
    assert_eq!(apic.read_mmio(0x1a0, NOW), 1 << 1, "TMR word 2, vector 0x41");
    apic.acknowledge();
    assert_eq!(apic.write_mmio(at::EOI, 0, NOW), ApicEffect::Eoi(0x41));
    apic.accept(0x41, false);
    apic.acknowledge();
    assert_eq!(apic.write_mmio(at::EOI, 0, NOW), ApicEffect::None);
    assert_eq!(apic.write_mmio(at::EOI, 0, NOW), ApicEffect::None, "nothing in service");
}

#[test]
fn irr_and_isr_are_readable_by_words() {
    let mut apic = enabled();
    apic.accept(0x41, false);
    apic.accept(0xff, false);
    assert_eq!((apic.read_mmio(0x220, NOW), apic.read_mmio(0x270, NOW)), (1 << 1, 1 << 31));
    apic.acknowledge();
    assert_eq!((apic.read_mmio(0x270, NOW), apic.read_mmio(0x170, NOW)), (0, 1 << 31));
}

#[test]
fn icr_says_what_is_sent_to_whom() {
    use Delivery::{Fixed, Init, Nmi, Startup};
    use Destination::{All, AllButSelf, Logical, One, Self_};
    let cases = [
        (0x0000_00fd, ipi(One(7), Fixed(0xfd))),
        (0x0000_01fd, ipi(One(7), Fixed(0xfd))),
        (0x0000_0400, ipi(One(7), Nmi)),
        (0x0000_4500, ipi(One(7), Init)),
        (0x0000_c500, ipi(One(7), Init)),
        (0x0000_8500, ApicEffect::None),
        (0x0000_0699, ipi(One(7), Startup(0x99))),
        (0x0000_08fc, ipi(Logical(7), Fixed(0xfc))),
        (0x0004_00fb, ipi(Self_, Fixed(0xfb))),
        (0x0008_00f8, ipi(All, Fixed(0xf8))),
        (0x000c_0400, ipi(AllButSelf, Nmi)),
        (0x0000_0200, ApicEffect::None),
    ];
    for (icr, effect) in cases {
        let mut xapic = enabled();
        assert_eq!(xapic.write_mmio(at::ICR2, 7 << 24, NOW), ApicEffect::None);
        assert_eq!(xapic.write_mmio(at::ICR, icr, NOW), effect, "{icr:#x}");
        assert_eq!(xapic.read_mmio(at::ICR, NOW), icr, "never busy");
        let msr = 7 << 32 | u64::from(icr);
        assert_eq!(x2apic().wrmsr(0x830, msr, NOW), Some(effect), "{icr:#x}");
    }
}

#[test]
fn the_broadcast_id_depends_on_the_mode() {
    let all = ipi(Destination::All, Delivery::Nmi);
    let mut xapic = enabled();
    xapic.write_mmio(at::ICR2, 0xff << 24, NOW);
    assert_eq!(xapic.write_mmio(at::ICR, 0x400, NOW), all);
    assert_eq!(x2apic().wrmsr(0x830, 0xffff_ffff_0000_0400, NOW), Some(all));
    let one = ipi(Destination::One(0xff), Delivery::Nmi);
    assert_eq!(x2apic().wrmsr(0x830, 0xff_0000_0400, NOW), Some(one));
}

#[test]
fn illegal_vectors_are_errors_in_both_directions() {
    let mut apic = enabled();
    apic.write_mmio(at::LVT_ERROR, 0xfe, NOW);
    assert_eq!(apic.write_mmio(at::ICR, 0x0f, NOW), ApicEffect::None);
    apic.accept(0x0f, false);
    assert_eq!(apic.read_mmio(at::ESR, NOW), 0, "ESR shows errors after it is written");
    apic.write_mmio(at::ESR, 0, NOW);
    assert_eq!(apic.read_mmio(at::ESR, NOW), 1 << 5 | 1 << 6);
    apic.write_mmio(at::ESR, 0, NOW);
    assert_eq!(apic.read_mmio(at::ESR, NOW), 0);
    assert_eq!(apic.acknowledge(), Some(0xfe));
}

#[test]
fn writes_to_unimplemented_registers_are_errors_and_to_read_only_ones_are_not() {
    let mut apic = enabled();
    apic.write_mmio(0x30, 0, NOW);
    apic.write_mmio(at::CURRENT_COUNT, 0, NOW);
    apic.write_mmio(at::ESR, 0, NOW);
    assert_eq!(apic.read_mmio(at::ESR, NOW), 0);
    apic.write_mmio(0x40, 0, NOW);
    apic.write_mmio(at::ESR, 0, NOW);
    assert_eq!(apic.read_mmio(at::ESR, NOW), 1 << 7);
    assert_eq!((apic.read_mmio(0x40, NOW), apic.read_mmio(0x84, NOW)), (0, 0));
}

#[test]
fn a_one_shot_timer_expires_once() {
    let mut apic = timer(0xef, 100);
    let expiry = NOW + 2_200;
    assert_eq!(apic.next_timer(), Some(expiry));
    assert_eq!(apic.timer_expired(expiry), Some(Delivery::Fixed(0xef)));
    assert_eq!(apic.next_timer(), None);
    assert_eq!(apic.timer_expired(expiry), None, "a stale event");
    assert_eq!(apic.read_mmio(at::CURRENT_COUNT, expiry), 0);
}

#[test]
fn an_event_before_the_expiry_is_stale() {
    let mut apic = timer(0xef, 100);
    apic.write_mmio(at::INITIAL_COUNT, 200, NOW + 500);
    assert_eq!(apic.timer_expired(NOW + 2_200), None);
    assert_eq!(apic.next_timer(), Some(NOW + 500 + 4_400));
}

#[test]
fn the_current_count_goes_down_by_one_each_tick() {
    let apic = timer(0xef, 100);
    let counts =
        [0, 21, 22, 23, 2_199, 2_200, 9_999].map(|d| apic.read_mmio(at::CURRENT_COUNT, NOW + d));
    assert_eq!(counts, [100, 100, 99, 99, 1, 0, 0]);
}

#[test]
fn a_periodic_timer_expires_at_exact_multiples() {
    let mut apic = timer(PERIODIC | 0xef, 10);
    for n in 1..=5 {
        let expiry = NOW + 220 * n;
        assert_eq!(apic.next_timer(), Some(expiry));
        assert_eq!(apic.timer_expired(expiry), Some(Delivery::Fixed(0xef)));
    }
    apic.write_mmio(at::INITIAL_COUNT, 0, NOW + 1_101);
    assert_eq!(apic.next_timer(), None, "0 stops it");
}

#[test]
fn each_divisor_divides() {
    let codes = [(0b0000, 2), (0b0001, 4), (0b0010, 8), (0b0011, 16), (0b1000, 32), (0b1001, 64)];
    for (code, divisor) in codes.into_iter().chain([(0b1010, 128), (0b1011, 1)]) {
        let mut apic = enabled();
        apic.write_mmio(at::DIVIDE, code, NOW);
        apic.write_mmio(at::LVT_TIMER, 0xef, NOW);
        apic.write_mmio(at::INITIAL_COUNT, 3, NOW);
        assert_eq!(apic.next_timer(), Some(NOW + 3 * divisor * u64::from(TICK)), "{code:#b}");
    }
}

#[test]
fn a_new_divisor_applies_to_what_is_left() {
    let mut apic = timer(0xef, 100);
    apic.write_mmio(at::DIVIDE, 0, NOW + 1_100);
    assert_eq!(apic.read_mmio(at::CURRENT_COUNT, NOW + 1_100), 50);
    assert_eq!(apic.next_timer(), Some(NOW + 1_100 + 50 * 44));
}

#[test]
fn an_expiry_while_masked_is_lost() {
    let mut apic = timer(LVT_MASKED | 0xef, 100);
    assert_eq!(apic.next_timer(), None);
    assert_eq!(apic.read_mmio(at::CURRENT_COUNT, NOW + 1_100), 50, "it counts all the same");
    apic.write_mmio(at::LVT_TIMER, 0xef, NOW + 5_000);
    assert_eq!(apic.next_timer(), None);
    let mut apic = timer(LVT_MASKED | PERIODIC | 0xef, 100);
    apic.write_mmio(at::LVT_TIMER, PERIODIC | 0xef, NOW + 5_000);
    assert_eq!(apic.next_timer(), Some(NOW + 6_600), "the next of its multiples");
}

#[test]
fn the_tsc_deadline_arms_once_and_may_lie_in_the_past() {
    let mut apic = timer(DEADLINE | 0xef, 100);
    assert_eq!(apic.next_timer(), None, "the initial count is ignored");
    assert_eq!(apic.wrmsr(0x6e0, 5_000, NOW), Some(ApicEffect::Timer));
    assert_eq!(apic.rdmsr(0x6e0, NOW), Some(5_000));
    assert_eq!(apic.timer_expired(Cycle(5_000)), Some(Delivery::Fixed(0xef)));
    assert_eq!((apic.rdmsr(0x6e0, NOW), apic.next_timer()), (Some(0), None));
    apic.wrmsr(0x6e0, 1, Cycle(6_000));
    assert_eq!(apic.next_timer(), Some(Cycle(6_000)));
    apic.wrmsr(0x6e0, 0, Cycle(6_000));
    assert_eq!(apic.next_timer(), None);
}

#[test]
fn changing_to_or_from_tsc_deadline_disarms() {
    let mut apic = timer(0xef, 100);
    apic.write_mmio(at::LVT_TIMER, DEADLINE | 0xef, NOW);
    assert_eq!(apic.next_timer(), None);
    apic.wrmsr(0x6e0, 5_000, NOW);
    apic.write_mmio(at::LVT_TIMER, 0xef, NOW);
    assert_eq!(apic.next_timer(), None);
    apic.wrmsr(0x6e0, 5_000, NOW);
    assert_eq!(apic.next_timer(), None, "the deadline is ignored in other modes");
}

#[test]
fn delivery_from_the_performance_entry_masks_it() {
    let mut apic = enabled();
    assert_eq!(apic.local(Lvt::Performance), None);
    apic.write_mmio(at::LVT_PERFORMANCE, 0x400, NOW);
    assert_eq!(apic.local(Lvt::Performance), Some(Delivery::Nmi));
    assert_eq!(apic.local(Lvt::Performance), None, "until the handler writes it again");
    assert_eq!(apic.read_mmio(at::LVT_PERFORMANCE, NOW), LVT_MASKED | 0x400);
    apic.write_mmio(at::LVT_PERFORMANCE, 0xd1, NOW);
    assert_eq!(apic.local(Lvt::Performance), Some(Delivery::Fixed(0xd1)));
}

#[test]
fn lint_pins_deliver_nmi_and_keep_their_mask() {
    let mut apic = enabled();
    apic.write_mmio(0x360, 0x400, NOW);
    assert_eq!(apic.local(Lvt::Lint1), Some(Delivery::Nmi));
    assert_eq!(apic.local(Lvt::Lint1), Some(Delivery::Nmi));
    apic.write_mmio(0x350, 0x700, NOW);
    assert_eq!(apic.local(Lvt::Lint0), None, "there is no 8259 behind ExtINT");
    apic.write_mmio(0x330, 0x005, NOW);
    assert_eq!(apic.local(Lvt::Thermal), None, "illegal vector");
    apic.write_mmio(at::ESR, 0, NOW);
    assert_eq!(apic.read_mmio(at::ESR, NOW), 1 << 6);
}

#[test]
fn modes_change_only_along_the_allowed_edges() {
    const OFF: u64 = 0xfee0_0000;
    const XAPIC: u64 = 0xfee0_0800;
    const X2APIC: u64 = 0xfee0_0c00;
    let reach = |states: &[u64]| {
        let mut apic = enabled();
        states.iter().map(|&base| apic.wrmsr(0x1b, base, NOW).is_some()).collect::<Vec<_>>()
    };
    assert_eq!(reach(&[XAPIC, X2APIC, X2APIC]), [true, true, true]);
    assert_eq!(reach(&[X2APIC, XAPIC]), [true, false], "only by way of off");
    assert_eq!(reach(&[X2APIC, OFF, X2APIC, XAPIC]), [true, true, false, true]);
    assert_eq!(reach(&[0xfee0_0400]), [false], "EXTD without EN");
    assert_eq!(reach(&[0xfed0_0800]), [false], "another base");
    let mut old = Lapic::new(0, TICK, false);
    assert_eq!(old.wrmsr(0x1b, X2APIC | 0x100, NOW), None, "not capable");
    assert_eq!(old.rdmsr(0x1b, NOW), Some(XAPIC | 0x100), "CPU 0 is the bootstrap processor");
}

#[test]
fn in_x2apic_mode_the_page_is_dead_and_the_msrs_live() {
    let mut apic = x2apic();
    assert_eq!(apic.read_mmio(0x20, NOW), u32::MAX);
    assert_eq!(apic.write_mmio(at::TPR, 0xff, NOW), ApicEffect::None);
    assert_eq!(apic.rdmsr(0x808, NOW), Some(0));
    assert_eq!(apic.rdmsr(0x802, NOW), Some(3));
    assert_eq!(apic.rdmsr(0x80d, NOW), Some(1 << 3));
    assert_eq!(enabled().rdmsr(0x802, NOW), None, "no MSRs in xAPIC mode");
    assert_eq!(enabled().wrmsr(0x80b, 0, NOW), None);
}

#[test]
fn x2apic_refuses_what_has_no_register_is_read_only_or_has_reserved_bits() {
    let mut apic = x2apic();
    for read in [0x800, 0x809, 0x80b, 0x80e, 0x831, 0x83f, 0x840, 0xbff] {
        assert_eq!(apic.rdmsr(read, NOW), None, "{read:#x}");
    }
    let writes = [
        (0x802, 0),
        (0x80b, 1),
        (0x80d, 0),
        (0x80e, 0),
        (0x828, 1),
        (0x808, 0x100),
        (0x830, 1 << 12),
        (0x831, 0),
        (0x839, 0),
        (0x83f, 0x100),
        (0x808, 1 << 32),
    ];
    for (msr, value) in writes {
        assert_eq!(apic.wrmsr(msr, value, NOW), None, "{msr:#x} {value:#x}");
    }
}

#[test]
fn x2apic_has_the_same_timer_lvt_eoi_and_self_ipi() {
    let mut apic = x2apic();
    assert_eq!(apic.wrmsr(0x83e, 0xb, NOW), Some(ApicEffect::Timer));
    assert_eq!(apic.wrmsr(0x832, 0xef, NOW), Some(ApicEffect::Timer));
    assert_eq!(apic.wrmsr(0x838, 10, NOW), Some(ApicEffect::Timer));
    assert_eq!(apic.next_timer(), Some(NOW + 220));
    assert_eq!(apic.rdmsr(0x839, NOW + 110), Some(5));
    let to_self = ipi(Destination::Self_, Delivery::Fixed(0xf6));
    assert_eq!(apic.wrmsr(0x83f, 0xf6, NOW), Some(to_self));
    apic.accept(0xf6, false);
    apic.acknowledge();
    assert_eq!(apic.wrmsr(0x80b, 0, NOW), Some(ApicEffect::None));
    assert_eq!(apic.ppr(), 0);
}

#[test]
fn logical_destinations_match_by_model() {
    let mut apic = enabled();
    apic.write_mmio(0xd0, 0x0400_0000, NOW);
    let flat: Vec<u32> =
        [4, 8, 0xc, 0xff].into_iter().filter(|&m| apic.matches_logical(m)).collect();
    assert_eq!(flat, [4, 0xc, 0xff]);
    apic.write_mmio(0xd0, 0x2400_0000, NOW);
    apic.write_mmio(0xe0, 0x0fff_ffff, NOW);
    let destinations = [0x24, 0x2f, 0x14, 0x28, 0xf4, 0xf8];
    let cluster: Vec<u32> = destinations.into_iter().filter(|&m| apic.matches_logical(m)).collect();
    assert_eq!(cluster, [0x24, 0x2f, 0xf4]);
    let mut x2 = Lapic::new(0x25, TICK, true);
    x2.wrmsr(0x1b, 0xfee0_0c00, NOW);
    assert_eq!(x2.rdmsr(0x80d, NOW), Some(2 << 16 | 1 << 5));
    assert!(x2.matches_logical(2 << 16 | 0x20) && x2.matches_logical(u32::MAX));
    assert!(!x2.matches_logical(2 << 16 | 0x10) && !x2.matches_logical(1 << 16 | 0x20));
}

#[test]
fn init_resets_all_but_id_and_mode() {
    for mut apic in [enabled(), x2apic()] {
        let x2 = apic.in_x2apic_mode();
        apic.accept(0x41, false);
        apic.set_cr8(5);
        apic.init();
        assert_eq!((apic.id(), apic.in_x2apic_mode(), apic.cr8()), (3, x2, 0));
        assert_eq!(apic.deliverable(), None);
        apic.accept(0x41, false);
        assert_eq!(apic.deliverable(), None, "software-disabled again");
    }
}

#[test]
fn turning_it_off_forgets_everything() {
    let mut apic = enabled();
    apic.accept(0x41, false);
    apic.wrmsr(0x1b, 0xfee0_0000, NOW);
    assert_eq!((apic.deliverable(), apic.read_mmio(0x20, NOW)), (None, u32::MAX));
    apic.wrmsr(0x1b, 0xfee0_0800, NOW);
    assert_eq!(apic.read_mmio(at::SVR, NOW), 0xff);
}

#[test]
fn it_survives_serialisation() {
    let mut apic = timer(PERIODIC | 0xef, 10);
    apic.accept(0x41, true);
    apic.accept(0xfd, false);
    apic.acknowledge();
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(&apic, config).expect("encodes");
    let (copy, _) = bincode::serde::decode_from_slice::<Lapic, _>(&bytes, config).expect("decodes");
    assert_eq!(copy, apic);
}

/// What happens to an APIC.
#[derive(Clone, Copy, Debug)]
enum Step {
    Accept(u8),
    Acknowledge,
    Eoi,
    Cr8(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (16u8..=255).prop_map(Step::Accept),
        3 => Just(Step::Acknowledge),
        2 => Just(Step::Eoi),
        1 => (0u8..16).prop_map(Step::Cr8),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Against a model of sets and the rule of SDM §10.9.3 written out.
    #[test]
    fn priorities_follow_the_model(steps in steps()) {
        let mut apic = enabled();
        let (mut irr, mut isr, mut cr8) = (BTreeSet::new(), BTreeSet::new(), 0u8);
        for step in steps {
            let class = isr.last().map_or(0, |&v: &u8| v >> 4).max(cr8);
            let next = irr.last().copied().filter(|v: &u8| v >> 4 > class);
            prop_assert_eq!(apic.deliverable(), next);
            prop_assert_eq!(apic.ppr() >> 4, class);
            match step {
                Step::Accept(vector) => {
                    apic.accept(vector, false);
                    irr.insert(vector);
                }
                Step::Acknowledge => {
                    prop_assert_eq!(apic.acknowledge(), next);
                    if let Some(vector) = next {
                        irr.remove(&vector);
                        isr.insert(vector);
                    }
                }
                Step::Eoi => {
                    apic.write_mmio(at::EOI, 0, NOW);
                    isr.pop_last();
                }
                Step::Cr8(value) => {
                    apic.set_cr8(value);
                    cr8 = value;
                }
            }
        }
    }

    /// However often and however it is looked at or reprogrammed to the same count, a periodic
    /// timer neither gains nor loses time.
    #[test]
    fn a_periodic_timer_does_not_drift(
        count in 1u32..5_000,
        looks in prop::collection::vec(0u64..400_000, 1..40),
    ) {
        let mut apic = timer(PERIODIC | 0xef, count);
        let period = u64::from(count) * u64::from(TICK);
        let mut looks = looks;
        looks.sort_unstable();
        let mut fired = 0;
        for look in looks {
            while let Some(expiry) = apic.next_timer().filter(|&e| e <= NOW + look) {
                fired += 1;
                prop_assert_eq!(expiry, NOW + fired * period);
                prop_assert!(apic.timer_expired(expiry).is_some());
            }
            let left = (NOW + (fired + 1) * period).since(NOW + look);
            let current = u64::from(apic.read_mmio(at::CURRENT_COUNT, NOW + look));
            prop_assert_eq!(current, left.div_ceil(u64::from(TICK)));
        }
    }
}
