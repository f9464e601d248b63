//! What a scenario can say, as Rust types with the places where it was said.
//!
//! Decoding ([`decode`]) checks everything that can be told from the text alone: fields, types,
//! units and words. What depends on the machine, the guest image or other parts of the file
//! (CPUs, devices, symbols) is checked by [`crate::plan`].

mod decode;
mod devices;
mod kernel;
mod machine;
mod ops;
mod tasks;
mod verdict;

pub use devices::{
    Arrivals, Device, DeviceKind, Handler, Hba, IrqLine, Latency, Stall, Variable, VariableKind,
};
pub use kernel::{Driver, Idle, Kernel, OnLockup, Watchdog};
pub use machine::{Machine, Override, OverrideValue};
pub use ops::{Argument, KernelOp, MptFunction, ObjectOp, Submit, UserOp};
pub use tasks::{Cpus, Population, Program, Task};
pub use verdict::{Condition, Expect, ExpectedFinding};

use crate::diagnostics::Diagnostics;
use crate::tree::{Node, Spanned};
pub(crate) use decode::{Decoder, Fields};

/// A scenario as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// One line that says what happens.
    pub title: Spanned<String>,
    /// More about it.
    pub description: Option<Spanned<String>>,
    /// Seed of all random streams; 0 if left out.
    pub seed: u64,
    /// The machine.
    pub machine: Machine,
    /// The guest kernel's settings.
    pub kernel: Option<Spanned<Kernel>>,
    /// Devices in order of their names' appearance.
    pub devices: Vec<Device>,
    /// Further ELF objects, linked against the guest kernel.
    pub objects: Vec<Spanned<String>>,
    /// A bare-metal program that runs instead of the guest kernel.
    pub image: Option<Spanned<String>>,
    /// Named words, locks and completions for scripts.
    pub variables: Vec<Variable>,
    /// Tasks.
    pub tasks: Vec<Task>,
    /// Groups of equal tasks.
    pub populations: Vec<Population>,
    /// When the run ends.
    pub until: Vec<Spanned<Condition>>,
    /// What must come out.
    pub expect: Option<Expect>,
}

/// Takes a scenario out of a tree; everything that is wrong with it goes to `diags`.
pub fn decode(node: &Node, diags: &mut Diagnostics) -> Scenario {
    let mut decoder = Decoder { diags: std::mem::take(diags) };
    let scenario = Scenario::decode(&mut decoder, node);
    *diags = decoder.diags;
    scenario.unwrap_or_default()
}

impl Scenario {
    fn decode(d: &mut Decoder, node: &Node) -> Option<Scenario> {
        let mut f = d.structure(node, "the scenario", Some("Scenario"))?;
        let scenario = Scenario {
            title: f.required(d, "title", Decoder::string).unwrap_or_default(),
            description: f.optional(d, "description", Decoder::string),
            seed: f
                .optional(d, "seed", |d, n| d.uint(n, "the seed", 0..=u64::MAX))
                .map_or(0, |seed| seed.value),
            machine: f.optional(d, "machine", Machine::decode).unwrap_or_default(),
            kernel: f.optional(d, "kernel", |d, n| {
                Kernel::decode(d, n).map(|kernel| Spanned::new(kernel, n.span))
            }),
            devices: f
                .optional(d, "devices", |d, n| d.map(n, "devices", Device::decode))
                .unwrap_or_default(),
            objects: f
                .optional(d, "objects", |d, n| d.list(n, "file names", Decoder::string))
                .unwrap_or_default(),
            image: f.optional(d, "image", Decoder::string),
            variables: f
                .optional(d, "variables", |d, n| d.map(n, "variables", Variable::decode))
                .unwrap_or_default(),
            tasks: f
                .optional(d, "tasks", |d, n| d.list(n, "tasks", Task::decode))
                .unwrap_or_default(),
            populations: f
                .optional(d, "populations", |d, n| d.list(n, "populations", Population::decode))
                .unwrap_or_default(),
            until: f.optional(d, "until", verdict::conditions).unwrap_or_default(),
            expect: f.optional(d, "expect", Expect::decode),
        };
        f.finish(d);
        Some(scenario)
    }
}
