use super::*;

/// The guest kernel as it is shipped.
const GUEST: &[u8] = include_bytes!("../../guest/guest.elf");

fn guest() -> DebugInfo {
    DebugInfo::from_elf(GUEST).expect("the shipped image is well-formed")
}

#[test]
fn layouts_are_those_of_the_real_kernel() {
    let info = guest();
    // kernel-2.6.32 facts, section 2.1.
    let completion = info.type_named("completion").unwrap();
    assert_eq!(info.size_of(completion), 32);
    assert_eq!(info.offset("completion", "wait.lock"), Some(8));
    assert_eq!(info.offset("completion", "wait.task_list.prev"), Some(24));
    assert_eq!(info.offset("smp_flush_state", "flush_cpumask"), Some(24), "in an anonymous struct");
    assert_eq!(info.size_of(info.type_named("spinlock_t").unwrap()), 4);
    let place = info.place("task_struct", "comm").unwrap();
    assert_eq!(place.size, 16);
    assert_eq!(info.offset("task_struct", "no_such_member"), None);
    assert_eq!(info.offset("no_such_struct", "state"), None);
}

#[test]
fn locks_are_found_in_nested_structures_and_arrays() {
    let info = guest();
    let mut limits = ArrayLimits::default();
    limits.by_variable.insert("per_cpu_area".to_owned(), 2);
    let found = info.find_all(&["spinlock_t"], &limits);
    let address = |name: &str| found.iter().find(|f| f.name == name).map(|f| f.addr);
    let base = info.variable("mpt2sas_ioc").unwrap().addr;
    let offset = info.offset("MPT2SAS_ADAPTER", "ctl_cmds.done.wait.lock").unwrap();
    assert_eq!(address("mpt2sas_ioc[0].ctl_cmds.done.wait.lock"), Some(base + offset));
    assert!(address("kernel_flag").is_some());
    assert!(address("flush_state[7].tlbstate_lock").is_some());
    assert!(address("per_cpu_area[1].rq.lock").is_some());
    assert_eq!(address("per_cpu_area[2].rq.lock"), None, "beyond the limit");
}

#[test]
fn inlined_functions_are_found_where_their_code_went() {
    let info = guest();
    let copies = || info.inlined.iter().filter(|copy| copy.name == "init_completion");
    assert!(copies().count() > 0);
    for copy in copies() {
        assert!(info.is_inlined(copy.start, "init_completion"));
    }
    assert_eq!(info.inlined_at(0x1000), None);
}

#[test]
fn files_without_debugging_information_are_empty_and_others_are_refused() {
    assert!(matches!(DebugInfo::from_elf(b"not an ELF file"), Err(DwarfError::Elf(_))));
    let mut bare = GUEST.to_vec();
    // Without section headers there are no sections (ELF-64: e_shoff, e_shnum, e_shstrndx).
    bare[0x28..0x30].fill(0);
    bare[0x3c..0x40].fill(0);
    assert_eq!(DebugInfo::from_elf(&bare).unwrap(), DebugInfo::default());
}

#[test]
fn a_circle_of_aliases_ends() {
    let alias = |target| Type::Alias { name: String::new(), target: TypeId(target) };
    let info = DebugInfo { types: vec![alias(1), alias(0)], ..DebugInfo::default() };
    assert_eq!(info.size_of(TypeId(0)), 0);
    let mut looped = info;
    looped.variables.push(Variable { name: "x".into(), addr: 8, ty: TypeId(0) });
    assert_eq!(looped.find_all(&["spinlock_t"], &ArrayLimits::default()), []);
}
