//! Details that the manuals leave open or hide, as the native oracle has found them on a processor.

use super::*;
use crate::core::regs::gpr::{RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP};

const GP0: Stall = Stall::Fault(Exception::GeneralProtection(0));

fn page_fault(addr: u64, code: u16) -> Stall {
    Stall::Fault(Exception::PageFault { addr, code })
}

#[test]
fn enter_probes_the_new_top_of_the_stack_last() {
    let enter = |bytes, level| asm(|a| a.enter(bytes, level));
    enter(0x1000, 0).fails(page_fault(DATA + 0x800 - 8 - 0x1000, 2));
    enter(0x1000, 2).with(&[(RBP, 0x48)]).fails(page_fault(0x40, 0));
    // The first push, not the new top.
    enter(0x1000, 0).with(&[(RSP, DATA - 8)]).fails(page_fault(DATA - 16, 2));
}

#[test]
fn enter_reads_what_it_has_just_pushed() {
    let words = |done: &Bench| [0x7f8, 0x7f0, 0x7e8, 0x7e0].map(|at| done.word(at));
    let frame = DATA + 0x800;
    let done = asm(|a| a.enter(0, 3)).with(&[(RBP, frame)]).run();
    assert_eq!(words(&done), [frame, frame, frame, DATA + 0x7f8]);
    // Two bytes off.
    let frame = DATA + 0x7fe;
    let done = asm(|a| a.enter(0, 3)).with(&[(RBP, frame)]).run();
    assert_eq!(words(&done), [frame, frame << 16, frame << 32, DATA + 0x7f8]);
}

#[test]
fn string_io_is_privileged_even_if_nothing_moves() {
    bytes(&[0xf3, 0x6e]).user().with(&[(RCX, 0)]).fails(GP0);
    bytes(&[0xf3, 0x6c]).user().with(&[(RCX, 0)]).fails(GP0);
}

#[test]
fn short_addresses_cut_the_pointers_of_repeated_moves() {
    let wide = 0x1111_1111_0000_0000;
    let start = [(RSI, wide + DATA), (RDI, wide + DATA + 64), (RCX, wide)];
    let done = bytes(&[0x67, 0xf3, 0xa4]).with(&start).run();
    assert_eq!([RSI, RDI, RCX].map(|n| done.reg(n)), [DATA, DATA + 64, 0], "movs");
    let done = bytes(&[0x67, 0xf3, 0xa6]).with(&start).run();
    assert_eq!([RSI, RDI, RCX].map(|n| done.reg(n)), [start[0].1, start[1].1, 0], "cmps");
}

#[test]
fn comparing_strings_reads_the_destination_first() {
    bytes(&[0xa6]).with(&[(RSI, 0x10), (RDI, 0x20)]).fails(page_fault(0x20, 0));
}

#[test]
fn a_bit_offset_is_cut_with_the_address() {
    // bt [ebx], rax with 67: the sum of base and distance has 32 bits.
    let start = [(RBX, DATA + 0x10), (RAX, (1 << 32) * 8 + 5)];
    let done = bytes(&[0x67, 0x48, 0x0f, 0xa3, 0x03]).with(&start).poke(0x10, 1 << 5).run();
    assert_eq!(done.regs.rflags & flags::CF, flags::CF);
    // bt [0x100010], rax with 67: so it has without a base.
    let start = [(RAX, 1 << 63)];
    let absolute = [0x67, 0x48, 0x0f, 0xa3, 0x04, 0x25, 0x10, 0, 0x10, 0];
    let done = bytes(&absolute).with(&start).poke(0x10, 1).run();
    assert_eq!(done.regs.rflags & flags::CF, flags::CF);
}

#[test]
fn only_base_registers_choose_the_stack_segment() {
    let stack = Stall::Fault(Exception::StackFault(0));
    bytes(&[0x36, 0x8b, 0x03]).with(&[(RBX, 1 << 63)]).fails(GP0);
    bytes(&[0x3e, 0x8b, 0x45, 0]).with(&[(RBP, 1 << 63)]).fails(stack);
    let mut other = bytes(&[0x65, 0x8b, 0x45, 0]).with(&[(RBP, 1 << 63)]);
    assert_eq!(other.step(), Err(GP0));
}

#[test]
fn an_access_that_leaves_the_canonical_half_is_not_canonical() {
    bytes(&[0x48, 0x8b, 0x03]).with(&[(RBX, (1 << 47) - 4)]).fails(GP0);
}

#[test]
fn a_page_fault_names_the_first_byte_that_is_not_there() {
    let end = DATA + 0x1000;
    bytes(&[0x48, 0x8b, 0x03]).with(&[(RBX, end - 3)]).fails(page_fault(end, 0));
    bytes(&[0x48, 0x8b, 0x03]).with(&[(RBX, DATA - 3)]).fails(page_fault(DATA - 3, 0));
}

#[test]
fn a_far_return_reads_the_selector_first() {
    bytes(&[0xcb]).with(&[(RSP, 0x20)]).fails(page_fault(0x24, 0));
}

#[test]
fn a_call_faults_at_its_push_before_its_target() {
    let call = |top| bytes(&[0xff, 0xd2]).with(&[(RDX, 1 << 63), (RSP, top)]);
    call(0x20).fails(page_fault(0x18, 2));
    call(DATA + 0x100).fails(GP0);
}

#[test]
fn iret_reads_the_flags_first() {
    bytes(&[0x48, 0xcf]).with(&[(RSP, 0x20)]).fails(page_fault(0x30, 0));
}
