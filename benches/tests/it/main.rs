//! What a fork costs in memory. Alone in its program, so that nobody else's memory is counted.

use latchup_benches::lockup;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MEBIBYTE: isize = 1 << 20;

/// Bytes that are in use since `region` began.
fn used(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated as isize - change.bytes_deallocated as isize + change.bytes_reallocated
}

#[test]
fn a_clone_of_the_whole_machine_at_its_race_takes_less_than_a_mebibyte() {
    let whole = Region::new(ALLOCATOR);
    let simulation = lockup::at_race();
    let machine = simulation.machine();
    let whole = used(&whole);
    assert!(whole < 200 * MEBIBYTE, "the machine takes {whole} bytes");

    let region = Region::new(ALLOCATOR);
    let clone = machine.clone();
    let bytes = used(&region);
    assert!(clone == *machine);
    assert!((1..MEBIBYTE).contains(&bytes), "a clone takes {bytes} bytes");
}
