//! Both dialects, and mistakes with their places.

use crate::catalog::catalog;
use litmus::condition::Quantifier;
use litmus::parse::parse;
use litmus::program::{Op, Operand, Reg, Size};
use std::fs;
use std::path::Path;

const HEAD: &str = "X86 t\n{ }\n";

#[test]
fn both_dialects_mean_the_same() {
    let intel = "X86 t\n{ x=1; 0:EBX=5; }\n P0 | P1 ;\n MOV [x],$2 | lock add dword ptr [y],3 ;\n \
                 MOV EAX,[y] | XCHG EBX,[x] ;\nexists (0:EAX=0 /\\ y=3)\n";
    let att = "X86_64 t\n{ [x]=1; 0:ebx=5; }\n P0 | P1 ;\n movl $2,(x) | lock addl $3,(y) ;\n \
               movl (y),%eax | xchgl (x),%ebx ;\nexists (0:eax=0 /\\ [y]=3)\n";
    let (intel, att) = (parse("i", intel).expect("a test"), parse("a", att).expect("a test"));
    assert_eq!(intel.threads, att.threads);
    assert_eq!(intel.locations, att.locations);
    assert_eq!(intel.observed_names(), ["0:rax", "[y]"]);
    let exchange = intel.threads[1].code[1];
    assert!(exchange.locked && exchange.op == Op::Xchg && exchange.size == Size::B4);
    assert_eq!(exchange.src, Some(Operand::Reg(Reg(3))));
}

#[test]
fn old_forms_are_understood() {
    let text = "X86 t (amdTen) \"text\"\nCycle=Rfe\n{x = 0; P0:EAX = 1};\n(* a comment;\n} *)\n P0 | \
                P1 ;\n MOV EAX,[x] # loads\n | ;\nlocations [x; 0:EBX;]\nfinal (0:EAX=0x1 \\/ \
                ~(x=-1))\nwith tso: ~exists;\n";
    let test = parse("t", text).expect("a test");
    assert_eq!(test.condition.quantifier, Quantifier::NotExists);
    assert_eq!(test.observed_names(), ["0:rax", "0:rbx", "[x]"]);
    assert_eq!(test.threads[0].init[0], 1);
    assert_eq!(test.threads.len(), 2);
    assert!(test.condition.proposition.holds(&[1, 0, -1]));
    assert!(!test.condition.proposition.holds(&[2, 0, -1]));
}

#[test]
fn mistakes_have_places_values_and_ways_out() {
    let cases = [
        ("ARM t\n", 1, 1, "`ARM`"),
        ("X86\n", 1, 1, "no name"),
        ("X86 t\n{ x=1\n", 2, 2, "end of the initial state"),
        ("X86 t\n{ x=1y; }\n P0 ;\nexists (x=0)\n", 2, 5, "`1y`"),
        ("X86 t\n{ 3:EAX=1; }\n P0 ;\nexists (x=0)\n", 2, 3, "no thread 3"),
        ("X86 t\n{ }\n P0 | P2 ;\n", 3, 6, "`P2`"),
        ("X86 t\n{ }\n P0 ;\n MOV EAX,[x] | NOP ;\n", 4, 2, "2 cells"),
        ("X86 t\n{ }\n P0 ;\n MUL EAX,[x] ;\n", 4, 2, "`MUL`"),
        ("X86 t\n{ }\n P0 ;\n MOV EQX,[x] ;\n", 4, 6, "`EQX`"),
        ("X86 t\n{ }\n P0 ;\n MOV [x] ;\n", 4, 2, "1 operands"),
        ("X86 t\n{ }\n P0 ;\n lock MOV [x],$1 ;\n", 4, 2, "no LOCK"),
        ("X86 t\n{ }\n P0 ;\n MOV ESP,[x] ;\n", 4, 6, "stack pointer"),
        ("X86 t\n{ }\n P0 ;\n XADD [x],EAX ;\n", 4, 2, "LOCK"),
        ("X86 t\n{ }\n P0 ;\n MOV EAX,BX ;\n", 4, 10, "different sizes"),
        ("X86 t\n{ }\n P0 ;\n JMP out ;\nexists (x=0)\n", 4, 5, "`out`"),
        ("X86 t\n{ int8_t x; }\n P0 ;\n MOV EAX,[x] ;\n", 4, 2, "has 1 bytes"),
        ("X86 t\nPlace=z@9\n{ }\n P0 ;\n MOV EAX,[x] ;\nexists (x=0)\n", 2, 7, "`z`"),
        ("X86 t\n{ }\n P0 ;\n MOV EAX,[x] ;\n", 5, 1, "condition is missing"),
        ("X86 t\n{ }\n P0 ;\n MOV EAX,[x] ;\nexists (y=0)\n", 5, 9, "`y`"),
        ("X86 t\n{ }\n P0 ;\n MOV EAX,[x] ;\nexists (1:EAX=0)\n", 5, 9, "no thread 1"),
        ("X86 t\n{ }\n P0 ;\n MOV EAX,[x] ;\nexists (x=0\n", 6, 1, "`)`"),
        ("X86 t\n(* {\n", 2, 1, "comment"),
    ];
    for (text, line, column, problem) in cases {
        let error = parse("f.litmus", text).expect_err(text);
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
        assert!(error.problem.contains(problem), "{text:?}: {error}");
        assert!(!error.help.is_empty());
        assert!(error.to_string().starts_with(&format!("f.litmus:{line}:{column}: ")));
    }
}

#[test]
fn a_constant_must_fit() {
    let cases = [
        ("MOV byte ptr [x],$256", false),
        ("MOV byte ptr [x],$255", true),
        ("MOV qword ptr [x],$0x100000000", false),
        ("MOV RAX,$0x100000000", true),
        ("lock bts dword ptr [x],$32", false),
        ("lock bts dword ptr [x],$31", true),
    ];
    for (cell, good) in cases {
        let text = format!("{HEAD} P0 ;\n {cell} ;\n MOV EBX,[y] ;\nexists (y=0)\n");
        assert_eq!(parse("t", &text).is_ok(), good, "{cell}");
    }
}

#[test]
fn no_beginning_of_a_file_makes_it_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog");
    for (entry, _) in catalog() {
        let text = fs::read_to_string(folder.join(&entry.path)).expect("the test is there");
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            // Most are mistakes; some are tests. Both are fine.
            if let Err(error) = parse("t", &text[..end]) {
                assert!(error.line <= text.lines().count() + 1);
            }
        }
    }
}
