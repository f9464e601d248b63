//! Interrupt sources and stalls.

use super::rig::{ID, Rig};
use super::*;

const ARMED: Cycle = Cycle(1_000);

fn source(arrivals: Arrivals, limit: Option<u64>) -> Device {
    let spec = IrqSourceSpec {
        name: "eth0".to_owned(),
        arrivals,
        to: CoreId(5),
        delivery: Delivery::Fixed(0x41),
        limit,
    };
    Device::new(&DeviceSpec::IrqSource(spec), ID, 7)
}

/// Arrival times up to `until` of a source armed at [`ARMED`].
fn times(arrivals: Arrivals, limit: Option<u64>, until: u64) -> Vec<u64> {
    let mut rig = Rig::new(source(arrivals, limit));
    rig.run_until(ARMED);
    rig.call(Device::arm);
    rig.run_until(ARMED + until);
    assert!(rig.interrupts.iter().all(|i| (i.1, i.2) == (CoreId(5), Delivery::Fixed(0x41))));
    rig.interrupts.iter().map(|&(at, ..)| at - ARMED).collect()
}

#[test]
fn listed_arrivals_count_from_the_epoch_in_order_of_time() {
    assert_eq!(times(Arrivals::Listed(vec![70, 0, 30, 30]), None, 1_000), [0, 30, 30, 70]);
    assert_eq!(times(Arrivals::Listed(vec![]), None, 1_000), []);
}

#[test]
fn periodic_arrivals_keep_their_period_until_the_limit() {
    let periodic = Arrivals::Periodic { first: 5, period: 100 };
    assert_eq!(times(periodic.clone(), None, 305), [5, 105, 205, 305]);
    assert_eq!(times(periodic, Some(2), 10_000), [5, 105]);
}

#[test]
fn nothing_arrives_before_the_epoch() {
    let mut rig = Rig::new(source(Arrivals::Listed(vec![0]), None));
    rig.run_until(Cycle(1_000_000));
    assert!(rig.interrupts.is_empty());
}

#[test]
fn poisson_arrivals_have_their_rate_and_depend_on_the_seed_alone() {
    let poisson = Arrivals::Poisson { first: 10_000, mean: 500.0 };
    let all = times(poisson.clone(), None, 1_010_000);
    assert!(all.iter().all(|&t| t > 10_000));
    assert!((1_900..2_100).contains(&all.len()), "{}", all.len());
    assert_eq!(times(poisson, None, 1_010_000), all);
}

#[test]
fn a_reached_instruction_fires_after_its_delay_each_time() {
    let reach = Arrivals::Reach { delay: Latency::Listed(vec![40, 0]) };
    let mut rig = Rig::new(source(reach, Some(3)));
    rig.call(Device::arm);
    for at in [100, 110, 500, 600] {
        rig.run_until(Cycle(at));
        rig.call(Device::on_trigger);
    }
    rig.run_until(Cycle(10_000));
    let at: Vec<u64> = rig.interrupts.iter().map(|&(at, ..)| at.0).collect();
    assert_eq!(at, [111, 140, 501], "a delay is at least one cycle; three at most");
    assert_eq!(rig.device.draws(), 3);
}

#[test]
fn a_new_latency_applies_to_draws_from_now_on() {
    let mut device = source(Arrivals::Reach { delay: Latency::Constant(10) }, None);
    device.set_latency(&Latency::Constant(25));
    let mut rig = Rig::new(device);
    rig.call(Device::on_trigger);
    rig.run_until(Cycle(100));
    assert_eq!(rig.interrupts[0].0, Cycle(25));
}

#[test]
fn its_registers_count_arrivals_and_what_was_not_acknowledged() {
    let mut rig = Rig::new(source(Arrivals::Periodic { first: 10, period: 10 }, None));
    assert_eq!(rig.device.registers(), Some((PhysAddr(0xe080_2000), 0x1000)));
    rig.call(Device::arm);
    rig.run_until(Cycle(35));
    assert_eq!((rig.read(0), rig.read(4)), (3, 3));
    rig.write(4, 0);
    rig.run_until(Cycle(45));
    assert_eq!((rig.read(0), rig.read(4), rig.read(8)), (4, 1, 0));
}

#[test]
fn each_arrival_is_traced() {
    let mut rig = Rig::new(source(Arrivals::Listed(vec![8]), None));
    rig.call(Device::arm);
    rig.run_until(Cycle(100));
    let trace = Trace::DeviceInterrupt { device: ID, to: CoreId(5), vector: 0x41 };
    assert_eq!(rig.traces, [(Cycle(8), trace)]);
}

#[test]
fn a_stall_strikes_for_its_duration() {
    let spec = StallSpec {
        name: "smi".to_owned(),
        arrivals: Arrivals::Periodic { first: 100, period: 1_000 },
        duration: Latency::Listed(vec![300, 50]),
        core: None,
        limit: Some(3),
    };
    let mut rig = Rig::new(Device::new(&DeviceSpec::Stall(spec), ID, 7));
    assert_eq!(rig.device.registers(), None);
    rig.call(Device::arm);
    rig.run_until(Cycle(100_000));
    let strike = |at: u64, length: u64| (Cycle(at), None, Cycle(at + length));
    assert_eq!(rig.stalls, [strike(100, 300), strike(1_100, 50), strike(2_100, 50)]);
}

#[test]
fn a_serialised_source_draws_on_as_if_nothing_had_happened() {
    let run = |serialise: bool| {
        let mut rig = Rig::new(source(Arrivals::Poisson { first: 0, mean: 300.0 }, None));
        rig.call(Device::arm);
        rig.run_until(Cycle(5_000));
        if serialise {
            let config = bincode::config::standard();
            let bytes = bincode::serde::encode_to_vec(&rig.device, config).expect("encodes");
            let decoded = bincode::serde::decode_from_slice(&bytes, config).expect("decodes");
            rig.device = decoded.0;
        }
        rig.run_until(Cycle(50_000));
        rig.interrupts
    };
    assert_eq!(run(true), run(false));
}
