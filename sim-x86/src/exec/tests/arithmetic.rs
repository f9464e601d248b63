//! Results and flags of the pure cores.

use super::*;
use crate::exec::operand::mask;
use crate::exec::{alu, bits, mov, muldiv, shift};
use crate::op::Kind;
use proptest::prelude::*;

use Size::{B1, B2, B4, B8};

fn check(out: (u64, u64), value: u64, status: &str) {
    assert_eq!((out.0, names(out.1).as_str()), (value, status));
}

#[test]
fn additions_and_subtractions() {
    check(alu::add(0xff, 1, B1), 0, "ZF AF PF CF");
    check(alu::add(0x7f, 1, B1), 0x80, "OF SF AF");
    check(alu::add(0x8000, 0x8000, B2), 0, "OF ZF PF CF");
    check(alu::add(0xffff_ffff, 2, B4), 1, "AF CF");
    check(alu::add(1 << 63, 1 << 63, B8), 0, "OF ZF PF CF");
    check(alu::adc(0xff, 0xff, 1, B1), 0xff, "SF AF PF CF");
    check(alu::sub(0, 1, B8), u64::MAX, "SF AF PF CF");
    check(alu::sub(0x80, 1, B1), 0x7f, "OF AF");
    check(alu::sbb(0, 0xffff_ffff, 1, B4), 0, "ZF AF PF CF");
    check(alu::inc(0xff, flags::CF, B1), 0, "ZF AF PF CF");
    check(alu::inc(0x7fff, 0, B2), 0x8000, "OF SF AF PF");
    check(alu::dec(0, 0, B4), 0xffff_ffff, "SF AF PF");
    check(alu::neg(0, B8), 0, "ZF PF");
    check(alu::neg(0x80, B1), 0x80, "OF SF CF");
    check(alu::not(0xf0, flags::CF | flags::OF, B1), 0x0f, "OF CF");
    check(alu::logic(0x8000_0000, B4), 0x8000_0000, "SF PF");
}

#[test]
fn shifts_and_rotates() {
    check(shift::shl(0x81, 1, 0, B1), 2, "OF CF");
    check(shift::shl(1, 33, flags::OF, B4), 2, "");
    check(shift::shl(1, 32, flags::OF | flags::CF, B4), 1, "OF CF");
    check(shift::shl(1, 64, flags::ZF, B8), 1, "ZF");
    check(shift::shr(0x81, 1, 0, B1), 0x40, "OF CF");
    check(shift::sar(0x81, 1, 0, B1), 0xc0, "SF PF CF");
    check(shift::sar(0x8000_0000, 31, 0, B4), 0xffff_ffff, "SF PF");
    check(shift::rol(0x80, 1, flags::ZF, B1), 1, "OF ZF CF");
    check(shift::rol(1, 8, 0, B1), 1, "OF CF");
    check(shift::ror(1, 1, flags::SF, B8), 1 << 63, "OF SF CF");
    check(shift::rcl(0x80, 1, flags::CF, B1), 1, "OF CF");
    check(shift::rcl(0x1234, 17, flags::CF, B2), 0x1234, "CF");
    check(shift::rcr(1, 1, 0, B4), 0, "CF");
    check(shift::rcr(0, 1, flags::CF, B8), 1 << 63, "OF");
    check(shift::shld(0x8000_0000, 0x8000_0000, 1, 0, B4), 1, "OF CF");
    check(shift::shrd(1, 1, 1, 0, B8), 1 << 63, "OF SF PF CF");
}

#[test]
fn multiplication_and_division() {
    let (high, (low, status)) = muldiv::mul(u64::MAX, u64::MAX, B8);
    assert_eq!((high, low), (u64::MAX - 1, 1));
    assert_eq!(status & (flags::CF | flags::OF), flags::CF | flags::OF);
    let (high, (low, status)) = muldiv::imul(0xff, 2, B1);
    assert_eq!((high, low), (0xff, 0xfe));
    assert_eq!(status & (flags::CF | flags::OF), 0);
    assert_eq!(muldiv::div(1, 0, 2, B8), Ok((1 << 63, 0)));
    assert_eq!(muldiv::div(2, 0, 2, B4), Err(Stall::Fault(Exception::DivideError)));
    assert_eq!(muldiv::div(0, 5, 0, B1), Err(Stall::Fault(Exception::DivideError)));
    assert_eq!(muldiv::idiv(0xff, 0xf9, 2, B1), Ok((0xfd, 0xff)));
    assert_eq!(muldiv::idiv(0xff, 0x80, 0xff, B1), Err(Stall::Fault(Exception::DivideError)));
    let lowest = muldiv::idiv(1 << 63, 0, u64::MAX, B8);
    assert_eq!(lowest, Err(Stall::Fault(Exception::DivideError)));
}

#[test]
fn bit_instructions() {
    check(bits::bit_test(Kind::Bts, 0, 35, flags::ZF, B4), 8, "ZF");
    check(bits::bit_test(Kind::Btr, 8, 3, 0, B8), 0, "CF");
    check(bits::bit_test(Kind::Btc, 8, 3, 0, B2), 0, "CF");
    check(bits::bit_test(Kind::Bt, 8, 3, flags::SF, B2), 8, "SF CF");
    assert_eq!(bits::scan(Kind::Bsf, 0x50, B4).0, Some(4));
    assert_eq!(bits::scan(Kind::Bsr, 0x50, B8).0, Some(6));
    assert_eq!(bits::scan(Kind::Bsr, 0, B8).0, None);
}

#[test]
fn every_condition_against_its_definition() {
    for rflags in 0..1u64 << 12 {
        let is = |bit: u64| rflags & bit != 0;
        let less = is(flags::SF) != is(flags::OF);
        let expected = [
            is(flags::OF),
            is(flags::CF),
            is(flags::ZF),
            is(flags::CF) || is(flags::ZF),
            is(flags::SF),
            is(flags::PF),
            less,
            less || is(flags::ZF),
        ];
        for (pair, &value) in expected.iter().enumerate() {
            let rflags = rflags & !(1 << 3) | flags::FIXED;
            assert_eq!(mov::condition(2 * pair as u8, rflags), value);
            assert_eq!(mov::condition(2 * pair as u8 + 1, rflags), !value);
        }
    }
}

proptest! {
    /// Near each other and near the limits as often as far apart.
    #[test]
    fn a_comparison_decides_as_its_flags_do(
        a in prop_oneof![any::<u64>(), 0u64..3, Just(1 << 63), Just(0x8000_0000_8000_8080)],
        near in prop_oneof![any::<u64>(), 0u64..3, (u64::MAX - 2)..],
        size in prop::sample::select(vec![B1, B2, B4, B8]),
    ) {
        let b = a.wrapping_add(near);
        let (_, status) = alu::sub(a & mask(size), b & mask(size), size);
        for cond in (0..16).filter(|&cond| mov::compares(cond)) {
            prop_assert_eq!(mov::holds_after_cmp(cond, a, b, size), mov::condition(cond, status));
        }
        prop_assert_eq!((0..16).filter(|&cond| mov::compares(cond)).count(), 10);
    }

    /// The carry vector against arithmetic one bit wider, and the sign rule for overflow.
    #[test]
    fn adc_and_sbb_agree_with_wide_arithmetic(
        a: u64, b: u64, carry in 0u64..2, size in prop::sample::select(vec![B1, B2, B4, B8]),
    ) {
        let (a, b) = (a & mask(size), b & mask(size));
        let sum = u128::from(a) + u128::from(b) + u128::from(carry);
        let (value, status) = alu::adc(a, b, carry, size);
        prop_assert_eq!(value, sum as u64 & mask(size));
        prop_assert_eq!(status & flags::CF != 0, sum > u128::from(mask(size)));
        prop_assert_eq!(status & flags::AF != 0, (a & 15) + (b & 15) + carry > 15);
        let (difference, status) = alu::sbb(a, b, carry, size);
        prop_assert_eq!(difference, a.wrapping_sub(b).wrapping_sub(carry) & mask(size));
        prop_assert_eq!(status & flags::CF != 0, u128::from(a) < u128::from(b) + u128::from(carry));
        prop_assert_eq!(status & flags::AF != 0, (a & 15) < (b & 15) + carry);
        let even = (difference & 0xff).count_ones().is_multiple_of(2);
        prop_assert_eq!(status & flags::PF != 0, even);
    }
}
