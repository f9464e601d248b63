//! What a real processor made of random instructions (recorded by `oracle vectors`, see
//! docs/oracle.md), against what these instructions do here.

use flate2::read::ZlibDecoder;
use oracle_cases::{
    Case, DATA, Delta, End, GS_BASE, Generator, Outcome, USER_CS, USER_SS, Vectors,
};
use sim_x86::core::regs::Registers;
use sim_x86::exec::Exception;
use sim_x86::exec::flat::{FlatBus, FlatEnd};
use sim_x86::presets::westmere_ep;
use std::io::Read;

fn recorded() -> Vectors {
    let mut bytes = Vec::new();
    let file = include_bytes!("../vectors/integer.z").as_slice();
    ZlibDecoder::new(file).read_to_end(&mut bytes).expect("the file is complete");
    Vectors::from_bytes(&bytes).expect("the file is readable")
}

/// Executes a case on flat memory.
fn execute(case: &Case) -> Outcome {
    let mut regs = Registers {
        gpr: case.gpr,
        rip: case.start,
        rflags: case.rflags,
        gs_base: GS_BASE,
        ..Registers::default()
    };
    regs.sel.cs = USER_CS;
    regs.sel.ss = USER_SS;
    regs.sys.cr0 = 0x8005_0033;
    regs.sys.cr4 = 0x6f8;
    regs.sys.efer = 0xd01;
    let mut bus = FlatBus { base: DATA, memory: case.memory.clone(), ..FlatBus::default() };
    let end = match bus.run(&mut regs, case.start, &case.code, &westmere_ep().costs, 20_000) {
        FlatEnd::Left => End::Ran,
        FlatEnd::Interrupt(vector) => End::Fault { vector, error: 0, address: 0 },
        FlatEnd::Fault(exception) => {
            let (vector, error) = exception.vector();
            let address = if let Exception::PageFault { addr, .. } = exception { addr } else { 0 };
            End::Fault { vector, error: error.unwrap_or(0), address }
        }
        other => panic!("case {} ended by {other:?}", case.index),
    };
    let (gpr, rip, rflags, memory) = (regs.gpr, regs.rip, regs.rflags, bus.memory);
    let mut outcome = Outcome { end, rip, gpr, rflags, memory };
    outcome.mask(case);
    outcome
}

/// True if this machine does with the case what was recorded.
fn agrees(generator: &mut Generator, record: &Delta) -> bool {
    let case = generator.case(record.index);
    assert_eq!(
        case.fingerprint(),
        record.fingerprint,
        "case {} is no longer the recorded one: record the vectors anew",
        record.index
    );
    let mut expected = record.apply(case);
    expected.mask(case);
    let found = execute(case);
    if found != expected {
        let state = format!("{:x?} rflags {:x}", case.gpr, case.rflags);
        #[allow(clippy::print_stdout, reason = "what is wrong must be seen")]
        {
            println!("{}\n{state}\n{record:x?}", case.disassembly().join("\n"));
        }
    }
    found == expected
}

#[test]
fn instructions_do_what_a_processor_did() {
    let vectors = recorded();
    assert!(vectors.records.len() >= 100_000, "{}", vectors.records.len());
    let mut generator = Generator::new(vectors.seed, sim_x86::op::implemented);
    let wrong = vectors.records.iter().filter(|record| !agrees(&mut generator, record)).count();
    assert_eq!(wrong, 0);
}

#[test]
fn a_wrong_result_is_noticed() {
    let vectors = recorded();
    let mut generator = Generator::new(vectors.seed, sim_x86::op::implemented);
    let ran = |record: &&Delta| record.ended() == End::Ran;
    for record in vectors.records.iter().filter(ran).take(200) {
        let case = generator.case(record.index).clone();
        let changes: [fn(&mut Outcome); 5] = [
            |outcome| outcome.gpr[3] ^= 1 << 40,
            |outcome| outcome.rflags ^= 1 << 10,
            |outcome| outcome.memory[100] ^= 0x80,
            |outcome| outcome.rip += 1,
            |outcome| outcome.end = End::Fault { vector: 6, error: 0, address: 0 },
        ];
        for change in changes {
            let mut outcome = record.apply(&case);
            change(&mut outcome);
            assert!(!agrees(&mut generator, &Delta::new(&case, &outcome)), "{}", record.index);
        }
    }
}
