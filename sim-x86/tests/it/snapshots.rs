//! The machine is a value: run = snapshot + resume = clone.

use crate::guest::LONG;
use crate::locks::contention;
use sim_core::{Cycle, Stream};
use sim_x86::ids::PhysAddr;
use sim_x86::{Machine, Speed, Stop};

fn finish(mut machine: Machine) -> (Stop, u64, Machine) {
    let stop = machine.run(LONG, Speed::default(), &mut ());
    (stop, machine.trace_hash(), machine)
}

#[test]
fn resumed_and_cloned_runs_equal_the_straight_run() {
    let machine = contention(6, 15);
    let (stop, hash, end) = finish(machine.clone());
    let mut cycles = Stream::new(1, "snapshot cycles");
    for _ in 0..100 {
        let cut = Cycle(cycles.between(0, end.now().0));
        let mut half = machine.clone();
        half.run(cut, Speed::default(), &mut ());
        let bytes = half.snapshot().expect("a snapshot");
        let restored = Machine::restore(&bytes).expect("the same build");
        assert!(restored == half, "restored state differs at {cut}");
        let hash_of = |machine: &Machine| machine.state_hash().expect("a hash");
        assert_eq!(hash_of(&restored), hash_of(&half), "at {cut}");
        let mut dropped = half.clone();
        dropped.forget_derived();
        for other in [restored, half, dropped] {
            let (other_stop, other_hash, other_end) = finish(other);
            assert_eq!((other_stop, other_hash), (stop, hash), "cut at {cut}");
            assert!(other_end == end, "final state differs, cut at {cut}");
        }
    }
}

#[test]
fn equal_machines_have_equal_state_hashes_and_others_do_not() {
    let hash = |machine: &Machine| machine.state_hash().expect("a hash");
    let machine = contention(4, 10);
    let mut ends = Vec::new();
    for (name, speed) in Speed::variants() {
        let mut machine = machine.clone();
        machine.run(LONG, speed, &mut ());
        assert_ne!(hash(&machine), hash(&contention(4, 10)), "{name}");
        ends.push(hash(&machine));
    }
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:x?}");
    // A page that holds what was there anyway is no difference; one bit of it is.
    let mut written = machine.clone();
    written.write_physical(PhysAddr(0x70_0000), &[0; 16]);
    assert!(written == machine);
    assert_eq!(hash(&written), hash(&machine));
    written.write_physical(PhysAddr(0x70_0000), &[1]);
    assert_ne!(hash(&written), hash(&machine));
}

#[test]
fn a_fork_leaves_the_original_alone() {
    let mut original = contention(4, 10);
    original.run(Cycle(5_000), Speed::default(), &mut ());
    let before = original.clone();
    let _ = finish(original.clone());
    assert!(original == before);
}

#[test]
fn damaged_snapshots_are_refused() {
    let machine = contention(1, 1);
    let bytes = machine.snapshot().expect("a snapshot");
    assert!(Machine::restore(b"not a snapshot").is_err());
    assert!(Machine::restore(&bytes[..bytes.len() / 2]).is_err());
    let mut other_version = bytes;
    other_version[8] ^= 0xff;
    let error = Machine::restore(&other_version).expect_err("another version");
    assert!(error.to_string().contains("format"), "{error}");
}
