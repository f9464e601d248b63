//! The bug of the post-mortem on a small machine.

use scenarios::document::Document;

/// CPU 2 posts a request; a network interrupt comes before `init_completion()` of the driver with
/// the bug; the reply's goes to `irq_cpu`. `hba` is the rest of the adapter.
pub(crate) fn scenario(driver: &str, irq_cpu: u32, hba: &str) -> Document {
    with_devices(driver, irq_cpu, hba, "")
}

/// The same with further devices.
pub(crate) fn with_devices(driver: &str, irq_cpu: u32, hba: &str, devices: &str) -> Document {
    let text = format!(
        r#"Scenario(
            title: "posted before init_completion()",
            machine: (preset: "westmere-ep", cores: 4),
            kernel: (driver: "{driver}"),
            devices: {{
                "ioc0": Hba(irq_cpu: {irq_cpu}, firmware_latency: "5us", {hba}),
                "eth0": Irq(
                    cpu: 2,
                    at: OnReach(symbol: "_base_writeq", cpu: 2),
                    limit: 1,
                    handler: [Compute("6us")],
                ),
                {devices}
            }},
            tasks: [
                (comm: "smartctl", pid: 12410, cpu: 2, at: "1ms", run: [
                    Ioctl("ioc0", MptCommand(function: "IOC_FACTS", timeout: "10s")),
                ]),
            ],
            until: AnyOf([AllTasksDone, Time("2ms")]),
        )"#
    );
    Document::parse("test.ron", &text).expect("well-formed")
}
