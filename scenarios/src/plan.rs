//! A scenario with everything decided that can be without the guest image: the machine, its
//! devices, who runs where. References between parts of the file are checked here.

mod devices;
mod machine;
mod tasks;

pub(crate) use devices::latency_alone;
pub use devices::{HBA_STRIDE, PlannedHba, PlannedIrq, Reach};
pub use tasks::PlannedTask;

use crate::diagnosis::FindingKind;
use crate::diagnostics::Diagnostics;
use crate::schema::{Condition, Kernel, Scenario};
use crate::tree::{Node, Spanned};
use sim_x86::spec::MachineSpec;
use std::collections::BTreeMap;

/// A scenario with everything decided that can be without the guest image.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<'s> {
    /// The scenario.
    pub scenario: &'s Scenario,
    /// The machine with its devices; triggers follow when symbols are known.
    pub spec: MachineSpec,
    /// The guest kernel's settings.
    pub kernel: Kernel,
    /// HBAs, in order of their numbers.
    pub hbas: Vec<PlannedHba>,
    /// Interrupt sources.
    pub irqs: Vec<PlannedIrq<'s>>,
    /// Devices that wait for a CPU to reach an instruction.
    pub reaches: Vec<Reach<'s>>,
    /// Tasks, those of `tasks` first.
    pub tasks: Vec<PlannedTask<'s>>,
    /// Numbers of the named address spaces.
    pub mms: BTreeMap<&'s str, u32>,
}

/// Decides what `scenario`, decoded from `tree`, leaves open; mistakes go to `diags`.
pub fn plan<'s>(scenario: &'s Scenario, tree: &Node, diags: &mut Diagnostics) -> Plan<'s> {
    let spec = machine::spec(scenario, diags);
    let kernel = scenario.kernel.as_ref().map_or_else(Kernel::default, |k| k.value.clone());
    let mut plan = Plan {
        scenario,
        spec,
        kernel,
        hbas: Vec::new(),
        irqs: Vec::new(),
        reaches: Vec::new(),
        tasks: Vec::new(),
        mms: BTreeMap::new(),
    };
    plan.add_devices(diags);
    plan.add_tasks(diags);
    machine::validate(&plan.spec, scenario.image.is_none(), tree, diags);
    plan.check_image(diags);
    plan.check_kernel(diags);
    plan.check_verdict(diags);
    plan
}

impl Plan<'_> {
    /// The CPU that is named, or CPU 0 and a note if the machine doesn't have it.
    fn cpu(&self, cpu: &Spanned<u64>, diags: &mut Diagnostics) -> u16 {
        check_cpu(cpu, self.spec.cores, diags)
    }

    fn check_image(&self, diags: &mut Diagnostics) {
        let s = self.scenario;
        if s.image.is_none() {
            if s.tasks.is_empty() && s.populations.is_empty() && diags.errors() == 0 {
                let help = Some("add `tasks: […]`".to_owned());
                diags.warn(s.title.span, "nothing runs in this scenario", help);
            }
            return;
        }
        let clashes = [
            s.kernel.as_ref().map(|kernel| kernel.span),
            s.tasks.first().map(|task| task.span),
            s.populations.first().map(|population| population.span),
            s.objects.first().map(|object| object.span),
            s.variables.first().map(|variable| variable.name.span),
        ];
        for span in clashes.into_iter().flatten() {
            let help = Some("remove it, or remove `image`".to_owned());
            diags.error(span, "this needs the guest kernel, but `image` replaces it", help);
        }
    }

    fn check_kernel(&self, diags: &mut Diagnostics) {
        let Some(watchdog) = &self.kernel.watchdog else { return };
        let clock = self.spec.clock;
        if let Some(period) = &watchdog.nmi_period {
            let timer = watchdog.thresh.value.cycles(clock) / 5;
            if period.value.cycles(clock) <= timer {
                let message = "the NMI looks more often than the timer it watches fires";
                let help = Some("make it longer than a fifth of `thresh`".to_owned());
                diags.error(period.span, message, help);
            }
        }
    }

    fn check_verdict(&self, diags: &mut Diagnostics) {
        let s = self.scenario;
        for condition in &s.until {
            if let Condition::Reached(_, Some(cpu)) = &condition.value {
                self.cpu(cpu, diags);
            }
        }
        let Some(expect) = &s.expect else { return };
        if let Some(done) = &expect.tasks_done {
            let finite = self.tasks.iter().filter(|task| task.listed && task.finite).count() as u64;
            if done.value > finite {
                let message = format!("only {finite} tasks can come to an end");
                diags.error(done.span, message, None);
            }
        }
        let Some(finding) = &expect.finding else { return };
        if let Some(cpu) = &finding.cpu {
            self.cpu(cpu, diags);
        }
        let watchdog = self.kernel.watchdog.as_ref();
        let detector_off = match finding.kind.value {
            FindingKind::HardLockup => !watchdog.is_some_and(|watchdog| watchdog.hard),
            FindingKind::SoftLockup => !watchdog.is_some_and(|watchdog| watchdog.soft),
            FindingKind::HungTask => self.kernel.hung_task.is_none(),
            _ => false,
        };
        if detector_off {
            let message = format!("nothing detects a {}", finding.kind.value);
            let help = Some("turn the detector on in `kernel`".to_owned());
            diags.error(finding.kind.span, message, help);
        }
    }
}

/// A CPU's number, or 0 and a note if there are only `cores` of them.
pub(crate) fn check_cpu(cpu: &Spanned<u64>, cores: u32, diags: &mut Diagnostics) -> u16 {
    match u16::try_from(cpu.value) {
        Ok(number) if u32::from(number) < cores => number,
        _ => {
            let message = format!("there is no CPU {}", cpu.value);
            let help = match cores {
                1 => "the machine has CPU 0 only".to_owned(),
                n => format!("the machine has CPUs 0 to {}", n - 1),
            };
            diags.error(cpu.span, message, Some(help));
            0
        }
    }
}
