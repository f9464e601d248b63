//! Latencies that the home agent gives, by where a line is found; what it keeps of the order of use.

use crate::guest;
use sim_core::Cycle;
use sim_x86::event::Want;
use sim_x86::ids::{CoreId, LineAddr};
use sim_x86::mem::cache::Probed;
use sim_x86::mem::home::{Home, Requester, Send, leg};

/// A line whose memory is on the second die.
const LINE: LineAddr = LineAddr(64);

/// Cycles from a core's access until its line comes, if every probe finds `found`.
fn access(home: &mut Home, leg: u64, core: u16, want: Want, found: Probed) -> u64 {
    access_to(LINE, home, leg, core, want, found)
}

fn access_to(
    line: LineAddr,
    home: &mut Home,
    leg: u64,
    core: u16,
    want: Want,
    found: Probed,
) -> u64 {
    let now = Cycle(10_000);
    let mut out = Vec::new();
    home.request(now, line, Requester::Core(CoreId(core), want), &mut out);
    loop {
        match out.pop().expect("a message") {
            Send::Probe { at, line, .. } => home.probed(at, line, found, &mut out),
            Send::Fill { at, line, .. } => {
                home.finish(at, line, &mut out);
                return at.since(now) + leg;
            }
            Send::Retry { .. } => panic!("the L3 is empty"),
        }
    }
}

#[test]
fn a_store_takes_a_line_from_another_die_and_not_from_memory() {
    let spec = guest::spec(24);
    let (mut home, leg) = (Home::new(&spec), leg(&spec.memory));
    access(&mut home, leg, 12, Want::Own, Probed::Absent);
    let stored = access(&mut home, leg, 0, Want::Own, Probed::Modified);
    assert_eq!(stored, u64::from(spec.memory.store.modified[2]));
}

#[test]
fn a_line_in_several_cores_of_one_die_is_shared() {
    let spec = guest::spec(24);
    let (mut home, leg) = (Home::new(&spec), leg(&spec.memory));
    access(&mut home, leg, 12, Want::Read, Probed::Absent);
    access(&mut home, leg, 13, Want::Read, Probed::Clean);
    let loaded = access(&mut home.clone(), leg, 0, Want::Read, Probed::Absent);
    assert_eq!(loaded, u64::from(spec.memory.load.shared[2]));
    let stored = access(&mut home, leg, 13, Want::Own, Probed::Clean);
    assert_eq!(stored, u64::from(spec.memory.store.shared[0]));
}

#[test]
fn a_shared_line_that_is_read_is_the_most_recent_in_every_die() {
    let spec = guest::spec(24);
    let (mut home, leg) = (Home::new(&spec), leg(&spec.memory));
    // Another line of the same set.
    let other = LineAddr(LINE.0 + u64::from(spec.memory.l3_sets));
    let mut read = |line, core| access_to(line, &mut home, leg, core, Want::Read, Probed::Clean);
    read(LINE, 12);
    read(LINE, 0);
    read(other, 12);
    read(LINE, 1);
    let first = |die: usize| home.dies()[die].entries().next().map(|entry| entry.line);
    assert_eq!((first(0), first(1)), (Some(LINE), Some(LINE)));
}
