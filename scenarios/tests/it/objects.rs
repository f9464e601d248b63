//! Objects of the user's own are linked against the guest kernel and run there.

use crate::guest_run::run_with;
use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::load::Files;
use std::path::Path;

/// Files of `tests/data`.
pub(crate) struct DataFiles;

impl Files for DataFiles {
    fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name))
    }
}

#[test]
fn objects_call_the_kernel_and_each_other() {
    let ran = run_with(
        &DataFiles,
        r#"(
            title: "t",
            machine: (cores: 2),
            objects: ["objects/driver.o", "objects/helper.o"],
            devices: { "drv0": Irq(cpu: 1, at: At(["100us", "200us"]), handler: "driver_irq") },
            tasks: [
                (comm: "drv", cpu: 0, kernel: "driver_thread", arg: 2),
                (comm: "wait", cpu: 0, at: "1ms", kernel: [
                    SpinUntil("driver_answer", 44), Log("answered"),
                ]),
            ],
            until: AnyOf([AllTasksDone, Panic]),
        )"#,
        20_000_000,
    );
    let console = ran.console();
    assert!(console.contains("driver: two answers 84"), "{console}");
    assert!(console.contains("answered"), "{console}");
    // The fourth byte on is driver_common[1].
    assert_eq!(ran.symbol("driver_common") >> 32, 7);
    assert_eq!(ran.symbol("driver_answer"), 44);
}

#[test]
fn what_cannot_be_linked_is_explained() {
    let text = r#"(
        title: "t",
        objects: ["objects/helper.o", "objects/broken.o", "objects/driver.c", "no-such.o"],
        tasks: [(comm: "drv", cpu: 0, kernel: "helper")],
    )"#;
    let document = Document::parse("test.ron", text).expect("no syntax error");
    match document.load(&Guest::shipped().image, &DataFiles) {
        Ok(_) => panic!("linked"),
        Err(diags) => insta::assert_snapshot!(
            diags.to_string().replace("No such file or directory (os error 2)", "not found")
        ),
    }
}
