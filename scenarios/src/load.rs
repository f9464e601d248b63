//! From a scenario's text to everything a machine starts from, as one plain value.

use crate::boot::{self, BootIrq, BootTask};
use crate::diagnostics::Diagnostics;
use crate::image::{Image, ImageError, Segment, data_symbol, physical};
use crate::link::{ObjectFile, link};
use crate::plan::{Plan, check_cpu, plan};
use crate::requests::most_requests;
use crate::schema::{Condition, Expect, Handler, Program, Scenario, VariableKind};
use crate::script::{Area, Assembled, Scripts, World, address};
use crate::symbols::SymbolTable;
use crate::tree::{Node, Spanned};
use sim_x86::dev::Trigger;
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::spec::{MachineSpec, Translation};

/// Variables of scenarios are placed from here on, each in cache lines of its own.
pub const VARIABLES: u64 = 0xffff_ffff_a880_0000;
/// Done words of kernel threads.
const KERNEL_BLOCKS: u64 = 0xffff_ffff_a8c0_0000;
/// Blocks of ring-3 tasks: a page each, stack below, done word in the last line.
const USER_BLOCKS: u64 = 0x1000_0000;
const BLOCK_BYTES: u64 = 0x1000;
const DONE_OFFSET: u64 = 0xfc0;

/// Reads the files that a scenario names.
pub trait Files {
    /// The bytes of the file called `name` in the scenario.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, name: &str) -> std::io::Result<Vec<u8>>;
}

/// A CPU that runs from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreStart {
    /// Which CPU.
    pub core: CoreId,
    /// Its first instruction.
    pub rip: u64,
    /// RDI: the CPU's number.
    pub rdi: u64,
}

/// A variable of the scenario in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedVariable {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: VariableKind,
    /// Its linear address.
    pub addr: u64,
    /// Its physical address.
    pub phys: PhysAddr,
}

/// A task of the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedTask {
    /// Command name.
    pub comm: String,
    /// Process id.
    pub pid: u32,
    /// CPU.
    pub cpu: u16,
    /// True if the run may wait for it: all of `tasks`, and populations that say so.
    pub listed: bool,
    /// True if its program has an end; `AllTasksDone` waits for the listed ones of these.
    pub finite: bool,
    /// The word that its program sets to 1 when it is done.
    pub done: PhysAddr,
}

/// Something that ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// A panic of the guest.
    Panic,
    /// So many cycles after the epoch.
    Cycles(u64),
    /// Every listed task with an end has come to it.
    AllTasksDone,
    /// A write to the exit port.
    Exit,
    /// A word of memory holds a value.
    Written {
        /// Where.
        addr: PhysAddr,
        /// Bytes: 4 or 8.
        size: u8,
        /// The value; `None`: any other than `initial`.
        value: Option<u64>,
        /// What it holds at the start.
        initial: u64,
    },
    /// A CPU has reached an instruction.
    Reached {
        /// Which.
        rip: u64,
        /// Which CPU; any if `None`.
        core: Option<CoreId>,
    },
}

/// What a machine starts from, and how its run is to be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Title of the scenario.
    pub title: String,
    /// More about it.
    pub description: Option<String>,
    /// The machine.
    pub spec: MachineSpec,
    /// Memory at the start; where segments overlap, the later one counts.
    pub segments: Vec<Segment>,
    /// CPUs that run from the start; the others are halted.
    pub starts: Vec<CoreStart>,
    /// Names of everything in the guest's address space.
    pub symbols: SymbolTable,
    /// Variables of the scenario.
    pub variables: Vec<PlacedVariable>,
    /// Tasks, those of `tasks` first.
    pub tasks: Vec<LoadedTask>,
    /// Where the guest writes the TSC at its epoch; `None` for bare-metal programs, whose epoch
    /// is the start.
    pub epoch: Option<PhysAddr>,
    /// What ends the run, whichever comes first.
    pub until: Vec<Until>,
    /// What must come out.
    pub expect: Option<Expect>,
    /// Most requests that its tasks make of adapters; `None` if that has no limit or is not known.
    pub requests: Option<u64>,
    /// Warnings.
    pub warnings: Diagnostics,
}

/// Loads a decoded scenario. `guest` is the guest kernel's image.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(
    scenario: &Scenario,
    tree: &Node,
    guest: &Image,
    files: &dyn Files,
    mut diags: Diagnostics,
) -> Result<Loaded, Diagnostics> {
    let plan = plan(scenario, tree, &mut diags);
    let loaded = match &scenario.image {
        Some(image) => bare_metal(&plan, image, files, &mut diags),
        None => Loader::new(&plan, guest, files, &mut diags).load(&mut diags),
    };
    diags.sort();
    match loaded {
        Some(mut loaded) if diags.errors() == 0 => {
            loaded.warnings = diags;
            Ok(loaded)
        }
        _ => Err(diags),
    }
}

/// A file of the scenario, or a note.
fn read(files: &dyn Files, name: &Spanned<String>, diags: &mut Diagnostics) -> Option<Vec<u8>> {
    match files.read(&name.value) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let message = format!("cannot read `{}`: {error}", name.value);
            let help = Some("paths are relative to the scenario's folder".to_owned());
            diags.error(name.span, message, help);
            None
        }
    }
}

/// A bare-metal program: linear = physical addresses, CPU 0 at its entry point, the others at
/// `ap_entry` if it has such a symbol.
fn bare_metal(
    plan: &Plan<'_>,
    name: &Spanned<String>,
    files: &dyn Files,
    diags: &mut Diagnostics,
) -> Option<Loaded> {
    let bytes = read(files, name, diags)?;
    let image = match Image::parse(&bytes, plan.spec.memory.ram_bytes) {
        Ok(image) => image,
        Err(error) => {
            diags.error(name.span, format!("`{}`: {error}", name.value), None);
            return None;
        }
    };
    let mut loaded = bare_image(plan.spec.clone(), &image);
    loaded.title.clone_from(&plan.scenario.title.value);
    loaded.until = until(plan, &image.symbols, &[], diags);
    loaded.expect.clone_from(&plan.scenario.expect);
    Some(loaded)
}

/// A machine that runs a bare-metal program: `latchup run PROG.elf`.
#[must_use]
pub fn bare_image(mut spec: MachineSpec, image: &Image) -> Loaded {
    spec.translation = Translation::Identity;
    let ap_entry = image.symbols.address("ap_entry");
    let starts = (0..spec.cores).filter_map(|cpu| {
        let rip = if cpu == 0 { Some(image.entry) } else { ap_entry };
        let core = CoreId(u16::try_from(cpu).ok()?);
        Some(CoreStart { core, rip: rip?, rdi: u64::from(cpu) })
    });
    Loaded {
        title: String::new(),
        description: None,
        starts: starts.collect(),
        spec,
        segments: image.segments.clone(),
        symbols: image.symbols.clone(),
        variables: Vec::new(),
        tasks: Vec::new(),
        epoch: None,
        until: vec![Until::Exit],
        expect: None,
        requests: None,
        warnings: Diagnostics::default(),
    }
}

/// Puts a scenario on the guest kernel together.
struct Loader<'p, 's> {
    plan: &'p Plan<'s>,
    image: &'p Image,
    segments: Vec<Segment>,
    symbols: SymbolTable,
    variables: Vec<PlacedVariable>,
}

impl<'p, 's> Loader<'p, 's> {
    /// Links objects and places variables, so that every name has its address.
    fn new(
        plan: &'p Plan<'s>,
        image: &'p Image,
        files: &dyn Files,
        diags: &mut Diagnostics,
    ) -> Self {
        let mut segments = image.segments.clone();
        let mut symbols = image.symbols.clone();
        let bytes: Vec<_> = plan
            .scenario
            .objects
            .iter()
            .filter_map(|name| Some((name, read(files, name, diags)?)))
            .collect();
        let objects: Vec<ObjectFile<'_>> =
            bytes.iter().map(|(name, bytes)| ObjectFile { name, bytes }).collect();
        let linked = link(&objects, &image.symbols, diags);
        segments.extend(linked.segments);
        symbols.extend(linked.symbols);
        let mut loader = Loader { plan, image, segments, symbols, variables: Vec::new() };
        loader.place_variables(diags);
        loader
    }

    fn place_variables(&mut self, diags: &mut Diagnostics) {
        let mut area = Area::new(VARIABLES);
        let mut named = Vec::new();
        for variable in &self.plan.scenario.variables {
            let name = &variable.name;
            if self.symbols.get(&name.value).is_some() {
                let message = format!("the guest kernel has a symbol `{}` already", name.value);
                diags.error(name.span, message, Some("choose another name".to_owned()));
            }
            let size = variable.kind.bytes(0).len() as u64;
            let addr = area.add(&[], 64);
            area.add(&variable.kind.bytes(addr), 64);
            named.push(data_symbol(name.value.clone(), addr, size));
            let phys = physical(addr).unwrap_or_default();
            let (name, kind) = (name.value.clone(), variable.kind);
            self.variables.push(PlacedVariable { name, kind, addr, phys });
        }
        self.symbols.extend(named);
        self.segments.extend(area.segment());
    }

    fn load(mut self, diags: &mut Diagnostics) -> Option<Loaded> {
        let plan = self.plan;
        let params = self.guest_problem(boot::params_address(self.image), diags)?;
        let entry = self.image.symbols.address("startup_64");
        let entry = entry.ok_or(ImageError::NoSymbol("startup_64"));
        let entry = self.guest_problem(entry, diags)?;
        let symbols = self.symbols.clone();
        let mut scripts = Scripts::new(World {
            spec: &plan.spec,
            hz: plan.kernel.hz.value,
            symbols: &symbols,
            hbas: plan.hbas.iter().map(|hba| hba.name.as_str()).collect(),
            mms: &plan.mms,
        });
        let (boot_tasks, tasks) = tasks(plan, &mut scripts, diags);
        let irqs = irqs(plan, &mut scripts, diags);
        let (segments, script_symbols) = scripts.finish();
        self.segments.extend(segments);
        self.symbols.extend(script_symbols);
        let mut spec = plan.spec.clone();
        spec.translation = Translation::Kernel;
        spec.triggers = triggers(plan, &self.symbols, diags);
        let until = until(plan, &self.symbols, &self.variables, diags);
        check_expect(plan, &self.variables, diags);
        let data = boot::data(plan, params, &boot_tasks, &irqs, self.symbols.symbols());
        self.segments.extend(data);
        let starts = (0..spec.cores).filter_map(|cpu| {
            let core = CoreId(u16::try_from(cpu).ok()?);
            Some(CoreStart { core, rip: entry, rdi: u64::from(cpu) })
        });
        Some(Loaded {
            title: plan.scenario.title.value.clone(),
            description: plan.scenario.description.as_ref().map(|text| text.value.clone()),
            starts: starts.collect(),
            spec,
            segments: self.segments,
            symbols: self.symbols,
            variables: self.variables,
            tasks,
            epoch: Some(boot::epoch_address(params)),
            until,
            expect: plan.scenario.expect.clone(),
            requests: most_requests(plan.scenario),
            warnings: Diagnostics::default(),
        })
    }

    fn guest_problem<T>(
        &self,
        result: Result<T, ImageError>,
        diags: &mut Diagnostics,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                diags.error(self.plan.scenario.title.span, error.to_string(), None);
                None
            }
        }
    }
}

impl VariableKind {
    /// Bytes of the variable's first word, by which scenarios judge it, and its first value.
    #[must_use]
    pub fn word(self) -> (u8, u64) {
        match self {
            VariableKind::Word(initial) => (8, initial),
            VariableKind::Mutex => (4, 1),
            VariableKind::Lock | VariableKind::Completion => (4, 0),
        }
    }

    /// The variable's first bytes if it lies at `addr`: lists point at themselves.
    #[must_use]
    pub fn bytes(self, addr: u64) -> Vec<u8> {
        let list = |offset: u64| [(addr + offset).to_le_bytes(); 2].concat();
        match self {
            VariableKind::Lock => vec![0; 4],
            VariableKind::Word(value) => value.to_le_bytes().to_vec(),
            // done, wait.lock, wait.task_list
            VariableKind::Completion => [vec![0; 16], list(16)].concat(),
            // count 1, wait_lock, wait_list, owner
            VariableKind::Mutex => [vec![1, 0, 0, 0, 0, 0, 0, 0], list(8), vec![0; 8]].concat(),
        }
    }
}

/// Assembles every program once and gives every task its block.
fn tasks<'s>(
    plan: &Plan<'s>,
    scripts: &mut Scripts<'_>,
    diags: &mut Diagnostics,
) -> (Vec<BootTask<'s>>, Vec<LoadedTask>) {
    let mut programs: Vec<(&Program, Option<Assembled>)> = Vec::new();
    let mut boot_tasks = Vec::new();
    let mut loaded = Vec::new();
    for (index, task) in plan.tasks.iter().enumerate() {
        let known = programs.iter().rfind(|(program, _)| std::ptr::eq(*program, task.program));
        let assembled = match known {
            Some((_, assembled)) => *assembled,
            None => {
                let assembled = scripts.program(task.comm, task.program, diags);
                programs.push((task.program, assembled));
                assembled
            }
        };
        let user = matches!(task.program, Program::User(_));
        let block = USER_BLOCKS + index as u64 * BLOCK_BYTES + DONE_OFFSET;
        let done = if user { block } else { KERNEL_BLOCKS + index as u64 * 64 };
        let arg = if let Program::Function(_, arg) = task.program { *arg } else { done };
        boot_tasks.push(BootTask {
            comm: task.comm,
            pid: task.pid,
            cpu: task.cpu,
            mm: task.mm,
            kernel: !user,
            fifo: task.fifo,
            start_ns: task.start_ns,
            entry: assembled.map_or(0, |assembled| assembled.entry),
            arg,
            user_stack: if user { block } else { 0 },
        });
        loaded.push(LoadedTask {
            comm: task.comm.to_owned(),
            pid: task.pid,
            cpu: task.cpu,
            listed: task.listed,
            finite: task.finite,
            done: physical(done).unwrap_or_default(),
        });
    }
    (boot_tasks, loaded)
}

fn irqs<'s>(
    plan: &Plan<'s>,
    scripts: &mut Scripts<'_>,
    diags: &mut Diagnostics,
) -> Vec<BootIrq<'s>> {
    let irqs = plan.irqs.iter().map(|irq| {
        let assembled = match irq.handler {
            Handler::Script(ops) => scripts.handler(irq.name, ops, diags),
            Handler::Symbol(name) => scripts.function(name, diags),
        };
        BootIrq {
            name: irq.name,
            vector: irq.vector,
            cpu: irq.cpu,
            handler: assembled.map_or(0, |assembled| assembled.entry),
            irqs_disabled: irq.irqs_disabled,
        }
    });
    irqs.collect()
}

fn triggers(plan: &Plan<'_>, symbols: &SymbolTable, diags: &mut Diagnostics) -> Vec<Trigger> {
    let triggers = plan.reaches.iter().filter_map(|reach| {
        let rip = address(symbols, reach.symbol, diags)?.wrapping_add(reach.offset);
        Some(Trigger { core: reach.core, rip, nth: reach.nth, device: reach.device })
    });
    triggers.collect()
}

/// The variable that is named, or a note.
fn variable<'v>(
    variables: &'v [PlacedVariable],
    name: &Spanned<String>,
    diags: &mut Diagnostics,
) -> Option<&'v PlacedVariable> {
    let found = variables.iter().find(|variable| variable.name == name.value);
    if found.is_none() {
        let names = variables.iter().map(|variable| variable.name.as_str());
        let help = crate::diagnostics::suggest(&name.value, names);
        let help = help.or_else(|| Some("add it to `variables`".to_owned()));
        diags.error(name.span, format!("there is no variable `{}`", name.value), help);
    }
    found
}

fn until(
    plan: &Plan<'_>,
    symbols: &SymbolTable,
    variables: &[PlacedVariable],
    diags: &mut Diagnostics,
) -> Vec<Until> {
    let clock = plan.spec.clock;
    let conditions = plan.scenario.until.iter().filter_map(|condition| {
        Some(match &condition.value {
            Condition::Panic => Until::Panic,
            Condition::Exit => Until::Exit,
            Condition::AllTasksDone => Until::AllTasksDone,
            Condition::Time(time) => Until::Cycles(time.value.cycles(clock)),
            Condition::Written(name, value) => {
                let variable = variable(variables, name, diags)?;
                let (size, initial) = variable.kind.word();
                Until::Written { addr: variable.phys, size, value: *value, initial }
            }
            Condition::Reached(symbol, cpu) => {
                let rip = address(symbols, symbol, diags)?;
                let core = cpu.as_ref().map(|cpu| check_cpu(cpu, plan.spec.cores, diags));
                Until::Reached { rip, core: core.map(CoreId) }
            }
        })
    });
    let conditions: Vec<Until> = conditions.collect();
    if plan.scenario.until.is_empty() {
        // Ten seconds are longer than any timeout of the driver that is not given.
        let seconds = clock.0.saturating_mul(15);
        return vec![Until::Panic, Until::Exit, Until::AllTasksDone, Until::Cycles(seconds)];
    }
    conditions
}

fn check_expect(plan: &Plan<'_>, variables: &[PlacedVariable], diags: &mut Diagnostics) {
    let expect = plan.scenario.expect.iter();
    for (name, _) in expect.flat_map(|expect| &expect.variables) {
        variable(variables, name, diags);
    }
}
