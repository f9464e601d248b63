//! The examples hold what they assert.

use std::error::Error;

#[path = "../../examples/fork_and_compare.rs"]
mod fork_and_compare;
#[path = "../../examples/observer.rs"]
mod observer;
#[path = "../../examples/read_guest.rs"]
mod read_guest;
#[path = "../../examples/run_scenario.rs"]
mod run_scenario;

#[test]
fn run_scenario_ends_well() -> Result<(), Box<dyn Error>> {
    run_scenario::main()
}

#[test]
fn observer_ends_well() -> Result<(), Box<dyn Error>> {
    observer::main()
}

#[test]
fn fork_and_compare_ends_well() -> Result<(), Box<dyn Error>> {
    fork_and_compare::main()
}

#[test]
fn read_guest_ends_well() -> Result<(), Box<dyn Error>> {
    read_guest::main()
}
