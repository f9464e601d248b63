use super::*;
use crate::diagnostics::Sources;
use crate::guest::Guest;
use crate::schema;
use crate::tree::{SourceId, parse};
use sim_x86::op::disassemble;
use sim_x86::presets::westmere_ep;

/// Assembles the tasks of a scenario in which nothing is wrong; their code by symbol.
fn assemble(tasks: &str) -> Vec<(String, Vec<u8>)> {
    let text = format!("(title: \"t\", tasks: [{tasks}])");
    let tree = parse(SourceId(0), &text).unwrap_or_else(|error| panic!("{error}"));
    let mut diags = Diagnostics::new(Sources::default());
    let scenario = schema::decode(&tree, &mut diags);
    let spec = westmere_ep();
    let mms = BTreeMap::new();
    let symbols = &Guest::shipped().image.symbols;
    let mut scripts =
        Scripts::new(World { spec: &spec, hz: 1000, symbols, hbas: vec![], mms: &mms });
    for task in &scenario.tasks {
        scripts.program(&task.comm.value, &task.program, &mut diags);
    }
    assert_eq!(diags.to_string(), "");
    let (segments, symbols) = scripts.finish();
    let code = |symbol: &Symbol| {
        let addr = physical(symbol.addr).expect("mapped");
        let inside = |s: &&Segment| s.addr <= addr && addr.0 < s.addr.0 + s.bytes.len() as u64;
        let segment = segments.iter().find(inside).expect("a segment");
        let start = (addr.0 - segment.addr.0) as usize;
        segment.bytes[start..start + symbol.size as usize].to_vec()
    };
    symbols.iter().map(|symbol| (symbol.name.clone(), code(symbol))).collect()
}

/// The instructions at the start of `code`.
fn instructions(code: &[u8], count: usize) -> Vec<String> {
    let mut decoder = iced_x86::Decoder::with_ip(64, code, KERNEL_CODE, 0);
    (0..count)
        .map(|_| {
            let start = decoder.position();
            let rip = decoder.ip();
            let _ = decoder.decode();
            disassemble(&code[start..decoder.position()], rip)
        })
        .collect()
}

#[test]
fn computing_takes_the_time_to_within_one_iteration() {
    let costs = westmere_ep().costs;
    let iteration = u64::from(costs.alu) + u64::from(costs.branch_taken);
    for cycles in [0, 1, iteration, 10 * iteration + 1, 1 << 40] {
        let mut a = CodeAssembler::new(64).expect("64-bit code");
        compute(&mut a, &costs, cycles).expect("a loop");
        let count = match a.instructions().first() {
            Some(first) => first.immediate(1),
            None => 0,
        };
        assert!(cycles - count * iteration < iteration, "{cycles}: {count}");
    }
}

#[test]
fn kernel_scripts_keep_frames_and_end_by_returning() {
    let code = assemble(r#"(comm: "k", cpu: 0, kernel: [Repeat(2, [Cli, Sti])])"#);
    let (name, bytes) = &code[0];
    assert_eq!(name, "script_k");
    let start = instructions(bytes, 4);
    assert!(start[0].contains("push") && start[0].contains("rbp"), "{start:?}");
    assert!(start[1].contains("rsp") && start[1].contains("rbp"), "{start:?}");
    assert_eq!(bytes.last(), Some(&0xc3), "ret");
}

#[test]
fn programs_of_equal_names_are_told_apart() {
    let code = assemble(
        r#"(comm: "a/b", cpu: 0, run: [Yield]), (comm: "a b", cpu: 0, run: [GetPid]),
           (comm: "a/b", cpu: 0, kernel: [])"#,
    );
    let names: Vec<&str> = code.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["user_a_b", "user_a_b_2", "script_a_b"]);
}

#[test]
fn names_may_have_offsets() {
    let symbols = &Guest::shipped().image.symbols;
    let mut diags = Diagnostics::new(Sources::default());
    let mut at = |text: &str| {
        let name = Spanned { value: text.to_owned(), ..Spanned::default() };
        address(symbols, &name, &mut diags)
    };
    let panic = at("panic").expect("a symbol");
    assert_eq!(at("panic+16"), Some(panic + 16));
    assert_eq!(at("panic + 0x10"), Some(panic + 16));
    assert_eq!(at("panic+sixteen"), None);
    assert_eq!(at("panik"), None);
    let messages: Vec<&str> = diags.list.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        ["`panic+sixteen` is not an offset in `panic`", "there is no symbol `panik`"]
    );
}
