//! Decoding: which instructions there are, their operands and their costs.

use super::*;
use crate::exec::tests::costs;
use iced_x86::{Code, CpuidFeature};

fn decode(bytes: &[u8]) -> Op {
    match Op::decode(bytes, 0x1000, &costs()) {
        Decoded::Op(op) => op,
        Decoded::NeedMore => panic!("{bytes:02x?} is complete"),
    }
}

#[test]
fn older_meanings_of_encodings() {
    assert_eq!(decode(&[0xf3, 0x0f, 0xbc, 0xc3]).kind, Kind::Bsf);
    assert_eq!(decode(&[0xf3, 0x0f, 0xbd, 0xc3]).kind, Kind::Bsr);
    assert_eq!(decode(&[0xf3, 0x0f, 0x1e, 0xfa]).kind, Kind::Nop, "endbr64");
    assert_eq!(decode(&[0xf3, 0x0f, 0x09]).kind, Kind::Wbinvd, "wbnoinvd");
    assert_eq!(decode(&[0xf3, 0x90]).kind, Kind::Pause);
}

#[test]
fn nothing_is_newer_than_the_machine() {
    use CpuidFeature as F;
    let hints = [F::CET_SS, F::CET_IBT, F::CLDEMOTE, F::PREFETCHW, F::PREFETCHWT1];
    let old = [
        F::INTEL8086,
        F::INTEL8086_ONLY,
        F::INTEL186,
        F::INTEL286,
        F::INTEL386,
        F::INTEL486,
        F::X64,
        F::CMOV,
        F::CX8,
        F::CMPXCHG16B,
        F::CLFSH,
        F::SSE,
        F::SSE2,
        F::PAUSE,
        F::POPCNT,
        F::RDTSCP,
        F::MONITOR,
        F::MSR,
        F::TSC,
        F::RDPMC,
        F::SYSCALL,
        F::CPUID,
        F::FPU,
        F::MULTIBYTENOP,
    ];
    for code in Code::values().filter(|&code| implemented(code) && code.op_code().mode64()) {
        if kind::kind_of(code) == Some(Kind::Nop) || code == Code::Invlpg_m {
            continue;
        }
        for feature in code.cpuid_features() {
            assert!(old.contains(feature) || hints.contains(feature), "{code:?}: {feature:?}");
        }
    }
}

#[test]
fn incomplete_invalid_and_too_long() {
    assert_eq!(Op::decode(&[0x48, 0x8b], 0, &costs()), Decoded::NeedMore);
    assert_eq!(Op::decode(&[], 0, &costs()), Decoded::NeedMore);
    assert_eq!(decode(&[0x0f, 0x0b]).kind, Kind::Undefined);
    assert_eq!(decode(&[0x06, 0]).kind, Kind::Undefined, "push es: not in 64-bit mode");
    assert_eq!(decode(&[0xf0, 0x90]).kind, Kind::Undefined, "lock nop");
    let mut long = [0x66; 16];
    long[15] = 0x90;
    assert_eq!(decode(&long).kind, Kind::TooLong);
    assert!(decode(&[0xc5, 0xf8, 0x77]).is_unimplemented(), "vzeroupper");
}

#[test]
fn costs_follow_the_class() {
    let cost = |bytes: &[u8]| decode(bytes).cost();
    assert_eq!(cost(&[0x48, 0x89, 0xd8]), 1, "mov r, r");
    assert_eq!(cost(&[0x48, 0x8b, 0x03]), 0, "mov r, m: the load's time alone");
    assert_eq!(cost(&[0x48, 0x89, 0x03]), 1, "mov m, r");
    assert_eq!(cost(&[0x48, 0x01, 0x03]), 2, "add m, r");
    assert_eq!(cost(&[0x48, 0x39, 0x03]), 1, "cmp m, r");
    assert_eq!(cost(&[0x48, 0xf7, 0xf3]), 60, "div r64");
    assert_eq!(cost(&[0xf7, 0xf3]), 22, "div r32");
    assert_eq!(cost(&[0x75, 0x00]), 7, "jcc");
    assert_eq!(cost(&[0xeb, 0x00]), 9, "jmp");
    assert_eq!(cost(&[0x0f, 0x22, 0xd8]), 201, "mov cr3");
    assert_eq!(cost(&[0x0f, 0x22, 0xc0]), 70, "mov cr0");
    assert_eq!(cost(&[0xf3, 0x90]), 13, "pause");
}

#[test]
fn ends_of_straight_runs() {
    for bytes in [&[0xc3][..], &[0x75, 0], &[0xf3, 0xaa], &[0xfb], &[0xf4], &[0x0f, 0x05]] {
        assert!(decode(bytes).ends_block(), "{bytes:02x?}");
    }
    for bytes in [&[0x90][..], &[0xaa], &[0x48, 0x01, 0xd8], &[0xfa]] {
        assert!(!decode(bytes).ends_block(), "{bytes:02x?}");
    }
}

#[test]
fn disassembly_is_in_at_and_t_syntax() {
    assert_eq!(disassemble(&[0x48, 0x8b, 0x43, 0x08], 0), "mov 8(%rbx), %rax");
    assert_eq!(disassemble(&[0xe8, 0, 0, 0, 0], 0x1000), "call 0x1005");
}
