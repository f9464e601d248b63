//! A report as text.

use super::Report;
use super::cpu::{CpuReport, FrameReport};
use crate::backtrace::StackKind;
use crate::diagnosis::StopReason;
use crate::locks::LockReport;
use crate::timeline::{WaitEdge, WaitKind};
use sim_core::Hertz;
use std::fmt::Write;

/// Columns of running text.
const WIDTH: usize = 96;

/// Writing to a `String` cannot fail.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($arg:tt)*) => {{
        let _ = writeln!($out, $($arg)*);
    }};
}

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    finding(&mut out, report);
    causal_chain(&mut out, report);
    line!(out, "CPUs");
    for cpu in &report.cpus {
        cpu_section(&mut out, cpu);
    }
    locks(&mut out, report);
    waits(&mut out, report);
    totals(&mut out, report);
    out
}

fn finding(out: &mut String, report: &Report) {
    let finding = &report.finding;
    let cpu = finding.cpu.map(|cpu| format!(" on CPU {cpu}")).unwrap_or_default();
    let cause = finding.cause.map(|cause| format!(" (cause: {cause})")).unwrap_or_default();
    line!(out, "Finding: {}{cpu}{cause}", finding.kind);
    line!(out, "  Run ended: {}", stop(&report.stop));
    for text in wrap(&finding.summary, WIDTH - 2) {
        line!(out, "  {text}");
    }
    line!(out);
}

fn stop(stop: &StopReason) -> String {
    match stop {
        StopReason::Condition(what) => what.clone(),
        StopReason::Deadline => "time limit".to_owned(),
        StopReason::Exit(code) => format!("exit port, status {code}"),
        StopReason::AllHalted => "no CPU will run again".to_owned(),
        StopReason::TripleFault { cpu } => format!("CPU {cpu} shut down (triple fault)"),
        StopReason::Unimplemented { cpu, .. } => {
            format!("CPU {cpu} reached an instruction that is not implemented")
        }
    }
}

fn causal_chain(out: &mut String, report: &Report) {
    if report.causal_chain.is_empty() {
        return;
    }
    line!(out, "Causal chain");
    let clock = Hertz(report.machine.clock_hz);
    for link in &report.causal_chain {
        let since = time(clock, link.at_cycle.saturating_sub(report.epoch));
        let cpu = link.cpu.map(|cpu| format!("CPU {cpu}")).unwrap_or_default();
        let place =
            if link.symbol.is_empty() { String::new() } else { format!("  [{}]", link.symbol) };
        let head = format!("  {:>18}  {since:>14}  {cpu:<7}", grouped(link.at_cycle));
        for (index, text) in wrap(&format!("{}{place}", link.text), WIDTH - 30).iter().enumerate() {
            if index == 0 {
                line!(out, "{head} {text}");
            } else {
                line!(out, "{:46}{text}", "");
            }
        }
        for text in wrap(&callers(&link.backtrace), WIDTH - 30) {
            line!(out, "{:46}{text}", "");
        }
    }
    line!(out);
}

/// Who had called the function of a step: `called by a, b, c`.
fn callers(frames: &[FrameReport]) -> String {
    let callers = frames.iter().skip(1).take_while(|frame| !frame.interrupted);
    let names: Vec<&str> = callers.map(|frame| frame.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("called by {}", names.join(", ")) }
}

fn cpu_section(out: &mut String, cpu: &CpuReport) {
    let task = match &cpu.task {
        Some(task) => format!("PID {} \"{}\"", task.pid, task.comm),
        None => "no task".to_owned(),
    };
    let irqs = if cpu.interrupts_enabled { "interrupts on" } else { "interrupts off" };
    let nmi = if cpu.in_nmi { ", in an NMI" } else { "" };
    line!(out, "CPU {}: {task}, at {}, {irqs}{nmi}", cpu.id, cpu.symbol);
    let r = &cpu.registers;
    line!(out, "    RIP: {:016x} RSP: {:016x} RFLAGS: {:08x}", r.rip, r.rsp, r.rflags);
    line!(out, "    RAX: {:016x} RBX: {:016x} RCX: {:016x}", r.rax, r.rbx, r.rcx);
    line!(out, "    RDX: {:016x} RSI: {:016x} RDI: {:016x}", r.rdx, r.rsi, r.rdi);
    line!(out, "    RBP: {:016x} R08: {:016x} R09: {:016x}", r.rbp, r.r8, r.r9);
    line!(out, "    R10: {:016x} R11: {:016x} R12: {:016x}", r.r10, r.r11, r.r12);
    line!(out, "    R13: {:016x} R14: {:016x} R15: {:016x}", r.r13, r.r14, r.r15);
    backtrace(out, &cpu.backtrace);
    line!(out);
}

/// A backtrace with the kernel's marks where it changes stacks.
fn backtrace(out: &mut String, frames: &[FrameReport]) {
    let mut stack = StackKind::Task;
    for frame in frames {
        if frame.stack != stack {
            if let Some(mark) = stack.closing() {
                line!(out, "    {mark}");
            }
            if let Some(mark) = frame.stack.opening() {
                line!(out, "    {mark}");
            }
            stack = frame.stack;
        }
        line!(out, "     [<{:016x}>] {}", frame.rip, frame.symbol);
    }
    if let Some(mark) = stack.closing() {
        line!(out, "    {mark}");
    }
}

fn locks(out: &mut String, report: &Report) {
    let shown: Vec<&LockReport> = report.locks.iter().filter(|l| l.is_remarkable()).collect();
    line!(out, "Locks: {} used, {} held, waited for or broken", report.locks.len(), shown.len());
    if !shown.is_empty() {
        line!(out, "  word        next owner  holder  acquired  lock");
    }
    for lock in shown {
        let holder = lock.holder.as_ref().map_or("none".to_owned(), |h| format!("CPU {}", h.cpu));
        line!(
            out,
            "  {:#010x} {:>5} {:>5}  {holder:<6} {:>9}  {}",
            lock.word,
            lock.next,
            lock.owner,
            lock.acquisitions,
            lock.symbol
        );
        for waiter in &lock.waiters {
            let never = if waiter.never { ": can never be served" } else { "" };
            line!(out, "    CPU {} waits with ticket {}{never}", waiter.cpu, waiter.ticket);
        }
        for anomaly in &lock.anomalies {
            let (what, at) = (anomaly.kind.words(), grouped(anomaly.at));
            line!(out, "    cycle {at}, CPU {}: {what}", anomaly.cpu);
        }
    }
    line!(out);
}

fn waits(out: &mut String, report: &Report) {
    let waits = &report.waits;
    if waits.edges.is_empty() && waits.completions.is_empty() && waits.run_queues.is_empty() {
        return;
    }
    let clock = Hertz(report.machine.clock_hz);
    line!(out, "Who waits for whom");
    for edge in &waits.edges {
        let since = time(clock, edge.since.saturating_sub(report.epoch));
        line!(
            out,
            "  CPU {:<3} -> {:<8} since {since:>14}  {}",
            edge.waiter,
            culprit(edge),
            what(edge)
        );
    }
    for wait in &waits.completions {
        line!(out, "  PID {} \"{}\" sleeps for {}", wait.pid, wait.comm, wait.object);
    }
    for queue in &waits.run_queues {
        line!(out, "  {} runnable tasks wait for CPU {}", queue.tasks, queue.cpu);
    }
    line!(out);
}

fn culprit(edge: &WaitEdge) -> String {
    edge.culprit.map_or_else(|| "nobody".to_owned(), |cpu| format!("CPU {cpu}"))
}

fn what(edge: &WaitEdge) -> String {
    let kind = match edge.kind {
        WaitKind::TicketLock => "lock",
        WaitKind::IpiAck => "acknowledgement",
        WaitKind::Completion => "completion",
        WaitKind::RunQueue => "run queue",
    };
    format!("{kind} {}", edge.object)
}

fn totals(out: &mut String, report: &Report) {
    let tasks = &report.tasks;
    line!(out, "Tasks: RU {}, UN {}, IN {}, other {}", tasks.RU, tasks.UN, tasks.IN, tasks.other);
    let simulated = &report.simulated;
    let cycles = grouped(simulated.cycles);
    line!(out, "Simulated: {:.6} s, {cycles} cycles", simulated.seconds);
    let instructions = grouped(report.instructions);
    line!(out, "Host: {:.3} s for {instructions} instructions", report.host_seconds);
    line!(out, "Trace hash: {}", report.trace_hash);
    line!(out, "Reproduce: {}", report.reproduce);
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time in the unit that suits it.
fn time(clock: Hertz, cycles: u64) -> String {
    let seconds = clock.seconds(cycles);
    match seconds {
        s if s < 1e-6 => format!("{:.1} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.3} us", s * 1e6),
        s if s < 1.0 => format!("{:.6} ms", s * 1e3),
        s => format!("{s:.6} s"),
    }
}

/// Breaks a text at blanks into lines of at most `width` characters, longer words excepted.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(3_811_200), "3,811,200");
        let clock = Hertz(2_000_000_000);
        assert_eq!(time(clock, 3), "1.5 ns");
        assert_eq!(time(clock, 2_600_000), "1.300000 ms");
        assert_eq!(time(clock, 120_000_000_000), "60.000000 s");
    }

    #[test]
    fn text_breaks_at_blanks() {
        assert_eq!(wrap("a bb  ccc dddddd", 6), ["a bb", "ccc", "dddddd"]);
        assert!(wrap("", 6).is_empty());
    }
}
