//! Scenarios drawn from a seed: tasks in both rings with locks, interprocessor interrupts, TLB
//! flushes, computing and sleeping, and devices that interrupt them.

use sim_core::Stream;
use std::fmt::Write as _;

/// Objects that tasks share, as scenarios declare them.
const VARIABLES: &str = r#"{
        "lock0": Lock, "lock1": Lock, "mutex": Mutex, "go": Completion, "count": Word,
    }"#;
/// Presets to choose from.
const PRESETS: [&str; 4] = ["westmere-ep", "nehalem-ep", "sandybridge-ep", "magny-cours"];
/// Vector of the guest's reschedule interrupt, which may come at any time.
const RESCHEDULE: u8 = 0xfd;

/// The scenario of `seed`: the same text for the same seed, on every host. It is free of mistakes
/// and ends within milliseconds, unless its tasks never do.
#[must_use]
pub fn scenario(seed: u64) -> String {
    let mut draw = Draw { stream: Stream::new(seed, "generated scenario"), cores: 0 };
    draw.cores = draw.between(2, 12);
    let machine = draw.machine();
    let devices = draw.devices();
    let count = draw.between(2, draw.cores + 3);
    let tasks: String = (0..count).map(|task| draw.task(task)).collect();
    format!(
        "Scenario(\n    title: \"generated from seed {seed}\",\n    seed: {seed},\n    \
         machine: {machine},\n    kernel: (watchdog: Off, hung_task: Off),\n    \
         devices: {devices},\n    variables: {VARIABLES},\n    tasks: [\n{tasks}    ],\n    \
         until: AnyOf([Panic, AllTasksDone, Time(\"20ms\")]),\n)\n"
    )
}

/// Choices that follow from a seed.
struct Draw {
    stream: Stream,
    cores: u64,
}

impl Draw {
    fn between(&mut self, least: u64, most: u64) -> u64 {
        self.stream.between(least, most)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.between(0, choices.len() as u64 - 1) as usize]
    }

    fn cpu(&mut self) -> u64 {
        self.between(0, self.cores - 1)
    }

    fn machine(&mut self) -> String {
        let preset = self.one_of(&PRESETS);
        let x2apic = self.one_of(&[true, false]);
        let cores = self.cores;
        format!("(preset: \"{preset}\", cores: {cores}, x2apic: {x2apic})")
    }

    /// An HBA, a source of interrupts and, for every other seed, stalls.
    fn devices(&mut self) -> String {
        let (hba_cpu, cpu) = (self.cpu(), self.cpu());
        let (firmware, every) = (self.between(1, 60), self.between(30, 400));
        let handler = self.one_of(&[
            r#"Lock("lock1"), Add("count", 1), Unlock("lock1")"#,
            r#"Compute("3us")"#,
            r#"Complete("go")"#,
        ]);
        let mut text = format!(
            "{{\n        \"ioc0\": Hba(irq_cpu: {hba_cpu}, firmware_latency: \"{firmware}us\"),\n        \
             \"eth0\": Irq(cpu: {cpu}, at: Poisson(mean: \"{every}us\"), irqs_disabled: true, \
             handler: [{handler}]),\n"
        );
        if self.one_of(&[true, false]) {
            let (first, length) = (self.between(1, 900), self.between(1, 40));
            let _ = writeln!(
                text,
                "        \"smi0\": Stall(at: Every(period: \"1ms\", first: \"{first}us\"), \
                 duration: \"{length}us\"),"
            );
        }
        text + "    }"
    }

    fn task(&mut self, number: u64) -> String {
        let (cpu, at, times) = (self.cpu(), self.between(0, 500), self.between(1, 5));
        let kernel = self.one_of(&[true, false]);
        let steps: Vec<String> = (0..self.between(1, 5))
            .map(|_| if kernel { self.kernel_step() } else { self.user_step() })
            .collect();
        let (field, mm) = if kernel { ("kernel", "") } else { ("run", ", mm: \"app\"") };
        let steps = steps.join(", ");
        format!(
            "        (comm: \"task{number}\", cpu: {cpu}, at: \"{at}us\"{mm}, {field}: [\n            \
             Repeat({times}, [{steps}]),\n        ]),\n"
        )
    }

    fn kernel_step(&mut self) -> String {
        let (time, to) = (self.between(100, 30_000), self.cpu());
        match self.between(0, 8) {
            // The interrupt handler takes lock1: whoever takes it has interrupts off.
            0 => format!(
                "LockIrqsave(\"lock1\"), Add(\"count\", 1), Delay(\"{time}ns\"), \
                 UnlockIrqrestore(\"lock1\")"
            ),
            1 => format!("Lock(\"lock0\"), Compute(\"{time}ns\"), Unlock(\"lock0\")"),
            2 => format!("MutexLock(\"mutex\"), Sleep(\"{time}ns\"), MutexUnlock(\"mutex\")"),
            3 => format!("Ipi({to}, {RESCHEDULE:#x})"),
            4 => format!("Compute(\"{time}ns\")"),
            5 => format!("Sleep(\"{time}ns\")"),
            6 => "Xadd(\"count\", 3), Fence".to_owned(),
            7 => format!("Wait(\"go\", \"{time}ns\")"),
            _ => format!("LockBkl, Compute(\"{time}ns\"), UnlockBkl"),
        }
    }

    fn user_step(&mut self) -> String {
        let (time, pages) = (self.between(100, 30_000), self.between(1, 4));
        match self.between(0, 7) {
            0 => {
                "Ioctl(\"ioc0\", MptCommand(function: \"IOC_FACTS\", timeout: \"10s\"))".to_owned()
            }
            1 => format!("Munmap(pages: {pages})"),
            2 => format!("Mprotect(pages: {pages})"),
            3 => "Flock".to_owned(),
            4 => format!("Sleep(\"{time}ns\")"),
            5 => format!("EpollWait(\"{time}ns\")"),
            6 => "Yield, GetPid".to_owned(),
            _ => format!("Compute(\"{time}ns\")"),
        }
    }
}
