//! How many requests the tasks of a scenario make of its adapters at most.

use crate::schema::{Program, Scenario, UserOp};
use crate::tree::Spanned;

/// The number of requests, or `None` if it has no limit, or cannot be told from the scenario's
/// text: kernel threads and objects may call the driver, raw system calls, too.
pub(crate) fn most_requests(scenario: &Scenario) -> Option<u64> {
    if !scenario.objects.is_empty() || scenario.image.is_some() {
        return None;
    }
    let one = scenario.tasks.iter().map(|task| (1, &task.program));
    let many = scenario.populations.iter().map(|group| (group.count.value, &group.program));
    one.chain(many).try_fold(0u64, |sum, (count, program)| match program {
        Program::User(ops) => sum.checked_add(of_all(ops)?.checked_mul(count)?),
        Program::Kernel(_) | Program::Function(..) => None,
    })
}

fn of_all(ops: &[Spanned<UserOp>]) -> Option<u64> {
    ops.iter().try_fold(0u64, |sum, op| sum.checked_add(of_one(&op.value)?))
}

fn of_one(op: &UserOp) -> Option<u64> {
    match op {
        UserOp::Ioctl(..) => Some(1),
        UserOp::Syscall(..) => None,
        UserOp::Forever(ops) => of_all(ops).filter(|&count| count == 0),
        UserOp::Repeat(times, ops) => of_all(ops)?.checked_mul(*times),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use crate::document::Document;
    use crate::guest::Guest;
    use crate::simulation::NoFiles;

    fn requests(run: &str) -> Option<u64> {
        let text = format!(
            r#"Scenario(
                title: "requests",
                machine: (preset: "westmere-ep", cores: 2),
                devices: {{ "ioc0": Hba(irq_cpu: 1, firmware_latency: "5us") }},
                tasks: [
                    (comm: "a", cpu: 0, run: [{run}]),
                    (comm: "b", cpu: 1, run: [
                        Ioctl("ioc0", MptCommand(function: "IOC_FACTS", timeout: "10s")),
                    ]),
                ],
                until: Time("1ms"),
            )"#
        );
        let document = Document::parse("requests.ron", &text).expect("well-formed");
        let loaded = document.load(&Guest::shipped().image, &NoFiles);
        loaded.unwrap_or_else(|diags| panic!("{diags}")).requests
    }

    #[test]
    fn loops_multiply_and_what_is_not_known_has_no_limit() {
        let ioctl = r#"Ioctl("ioc0", MptCommand(function: "IOC_FACTS", timeout: "10s"))"#;
        assert_eq!(requests("Fcntl"), Some(1));
        assert_eq!(requests(&format!("Repeat(3, [{ioctl}, Sleep(\"1ms\")])")), Some(4));
        assert_eq!(requests("Forever([Fcntl])"), Some(1));
        assert_eq!(requests(&format!("Forever([{ioctl}])")), None);
    }
}
