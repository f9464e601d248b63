//! Runs scenarios that are written in a test.

use scenarios::diagnosis::StopReason;
use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::image::physical;
use scenarios::load::{Files, Loaded};
use scenarios::simulation::{NoFiles, RunOptions, Simulation};
use sim_x86::ids::PhysAddr;

/// Loads a scenario that has no mistakes.
fn load(files: &dyn Files, text: &str) -> Loaded {
    let document = Document::parse("test.ron", text).unwrap_or_else(|diags| panic!("{diags}"));
    document.load(&Guest::shipped().image, files).unwrap_or_else(|diags| panic!("{diags}"))
}

/// A scenario after its run.
pub(crate) struct Ran {
    simulation: Simulation,
    pub(crate) stop: StopReason,
}

/// Boots and runs until the scenario's own end, but at most so many cycles from the epoch on.
pub(crate) fn run(text: &str, cycles: u64) -> Ran {
    run_with(&NoFiles, text, cycles)
}

/// Like [`run`], for a scenario that names files.
pub(crate) fn run_with(files: &dyn Files, text: &str, cycles: u64) -> Ran {
    let mut simulation = Simulation::new(load(files, text)).expect("a possible machine");
    let options = RunOptions { limit: Some(cycles), ..RunOptions::default() };
    let stop = simulation.run(&options).expect("a guest that boots");
    Ran { simulation, stop }
}

impl Ran {
    /// What the guest printed.
    pub(crate) fn console(&self) -> String {
        String::from_utf8_lossy(self.simulation.machine().console()).into_owned()
    }

    fn word(&self, addr: PhysAddr) -> u64 {
        let mut bytes = [0; 8];
        self.simulation.machine().read_physical(addr, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// The first 64 bits of a variable.
    pub(crate) fn variable(&self, name: &str) -> u64 {
        let variables = &self.simulation.loaded().variables;
        let variable = variables.iter().find(|variable| variable.name == name);
        self.word(variable.expect(name).phys)
    }

    /// 64 bits at a symbol.
    pub(crate) fn symbol(&self, name: &str) -> u64 {
        let addr = self.simulation.loaded().symbols.address(name).expect(name);
        self.word(physical(addr).expect("kernel memory"))
    }

    /// Which tasks have come to their end.
    pub(crate) fn done(&self) -> Vec<bool> {
        let tasks = &self.simulation.loaded().tasks;
        tasks.iter().map(|task| self.word(task.done) != 0).collect()
    }
}
