//! Runs a scenario on the real guest kernel, without the report around it.

use scenarios::document::Document;
use scenarios::image::Image;
use scenarios::load::{Files, Loaded, Until};
use sim_core::Cycle;
use sim_x86::ids::PhysAddr;
use sim_x86::{Machine, Speed, Stop};

/// A scenario without files.
pub(crate) struct NoFiles;

impl Files for NoFiles {
    fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("no {name}")))
    }
}

/// Loads a scenario that has no mistakes.
pub(crate) fn load(text: &str) -> Loaded {
    let document = Document::parse("test.ron", text).unwrap_or_else(|diags| panic!("{diags}"));
    let guest = Image::guest().expect("the guest image");
    document.load(&guest, &NoFiles).unwrap_or_else(|diags| panic!("{diags}"))
}

/// A scenario's machine after its run.
pub(crate) struct Ran {
    pub(crate) loaded: Loaded,
    pub(crate) machine: Machine,
    pub(crate) stop: Stop,
}

/// Boots and runs until all listed tasks are done, the guest exits, or so many cycles have passed
/// since the epoch.
pub(crate) fn run(text: &str, cycles: u64) -> Ran {
    let loaded = load(text);
    let mut machine = loaded.machine().expect("a possible machine");
    let epoch = loaded.epoch.expect("a guest kernel");
    machine.stop_on_write(epoch, 8);
    let mut stop = machine.run(Cycle(2_000_000_000), Speed::default(), &mut ());
    machine.clear_stops();
    let mut ran = Ran { loaded, machine, stop };
    if !matches!(stop, Stop::Written(_)) {
        panic!("the guest did not boot: {stop:?}\n{}", ran.console());
    }
    let start = Cycle(ran.word(epoch));
    ran.machine.arm_devices(start);
    let deadline = start + cycles;
    while ran.machine.now() < deadline {
        let next = (ran.machine.now() + 100_000).min(deadline);
        stop = ran.machine.run(next, Speed::default(), &mut ());
        if stop != Stop::Deadline || (ran.waits_for_tasks() && ran.all_done()) {
            break;
        }
    }
    ran.stop = stop;
    ran
}

impl Ran {
    /// What the guest printed.
    pub(crate) fn console(&self) -> String {
        String::from_utf8_lossy(self.machine.console()).into_owned()
    }

    /// The 64-bit word at a physical address.
    pub(crate) fn word(&self, addr: PhysAddr) -> u64 {
        let mut bytes = [0; 8];
        self.machine.read_physical(addr, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// The first 64 bits of a variable.
    pub(crate) fn variable(&self, name: &str) -> u64 {
        let variable = self.loaded.variables.iter().find(|variable| variable.name == name);
        self.word(variable.expect(name).phys)
    }

    /// Which tasks have come to their end.
    pub(crate) fn done(&self) -> Vec<bool> {
        self.loaded.tasks.iter().map(|task| self.word(task.done) != 0).collect()
    }

    fn waits_for_tasks(&self) -> bool {
        self.loaded.until.contains(&Until::AllTasksDone)
    }

    fn all_done(&self) -> bool {
        let mut tasks = self.loaded.tasks.iter().filter(|task| task.listed && task.finite);
        tasks.all(|task| self.word(task.done) != 0)
    }
}
