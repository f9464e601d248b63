//! Ring-0 images: on latchup against what KVM made of them once, and under KVM where there is one.

use oracle::compare::{Record, judge, record};
use oracle::image;
use oracle::kvm::KvmError;
use std::collections::{BTreeMap, BTreeSet};

fn records() -> BTreeMap<String, Record> {
    serde_json::from_str(include_str!("../data/images.json")).expect("the records are readable")
}

#[test]
fn latchup_does_what_is_expected_and_what_kvm_did() {
    let records = records();
    let mut wrong = Vec::new();
    for image in image::all() {
        let problems = match (oracle::bare::run(&image), records.get(image.name)) {
            (Ok(region), None) => image.disappointments(&region),
            (Ok(_), Some(expected)) => judge(&image, "recorded", expected),
            (Err(stop), _) => vec![format!("latchup stopped: {stop:?}")],
        };
        wrong.extend(problems.into_iter().map(|problem| format!("{}: {problem}", image.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn kvm_still_does_it() {
    let records = records();
    let software = !oracle::kvm::in_hardware();
    let mut undecided = BTreeSet::new();
    for image in image::all() {
        // In software, KVM cannot do all: what is recorded it could do on one host.
        if software && !records.contains_key(image.name) {
            continue;
        }
        let region = match oracle::kvm::run(&image) {
            Ok(region) => region,
            Err(skipped @ KvmError::Unsupported(_)) => {
                #[allow(clippy::print_stdout, reason = "a skip should be seen")]
                {
                    println!("{skipped}");
                }
                return;
            }
            Err(error) => panic!("{}: {error}", image.name),
        };
        let short = image.disappointments(&region);
        if software && !short.is_empty() {
            undecided.insert(image.name);
            continue;
        }
        assert_eq!(short, Vec::<String>::new(), "{}", image.name);
        let changed = judge(&image, "KVM", &record(&region));
        assert!(changed.is_empty(), "{}: {}", image.name, changed.join("\n"));
    }
    // Hosts differ in an image or two, not in many.
    assert!(undecided.len() <= records.len() / 10, "{undecided:?}");
}

#[test]
fn every_image_has_a_name_of_its_own_and_expects_something() {
    let images = image::all();
    assert!(images.len() >= 60, "{}", images.len());
    let names: BTreeSet<_> = images.iter().map(|image| image.name).collect();
    assert_eq!(names.len(), images.len());
    let records = records();
    assert!(records.len() >= 25, "{}", records.len());
    assert!(records.keys().all(|name| names.contains(name.as_str())));
    for image in &images {
        assert!(!image.expected.is_empty(), "{}", image.name);
    }
}

#[test]
fn expectations_can_fail() {
    let nothing = vec![0; (image::at::END - image::at::LOG) as usize];
    let full = vec![0x5a; nothing.len()];
    for image in image::all() {
        let empty = image.disappointments(&nothing).is_empty();
        assert!(!empty || !image.disappointments(&full).is_empty(), "{}", image.name);
    }
}
