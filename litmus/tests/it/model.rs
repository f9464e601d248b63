//! The exhaustive model against results that are known from the literature.

use litmus::model::{ModelError, allowed};
use litmus::parse::parse;

/// A test of two locations with one condition per column of instructions.
fn states(table: &str, condition: &str) -> Vec<Vec<i64>> {
    let test = parse("t", &format!("X86_64 t\n{{ }}\n{table}\n{condition}\n")).expect("a test");
    allowed(&test, 100_000).expect("a small test").into_iter().collect()
}

#[test]
fn store_buffering_is_the_only_reordering() {
    let sb = " P0 | P1 ; movl $1,(x) | movl $1,(y) ; movl (y),%eax | movl (x),%eax ;";
    let all = [[0, 0], [0, 1], [1, 0], [1, 1]];
    assert_eq!(states(sb, "exists (0:eax=0 /\\ 1:eax=0)"), all);
    let mp = " P0 | P1 ; movl $1,(x) | movl (y),%eax ; movl $1,(y) | movl (x),%ebx ;";
    assert_eq!(states(mp, "exists (1:eax=1 /\\ 1:ebx=0)"), [[0, 0], [0, 1], [1, 1]]);
    let lb = " P0 | P1 ; movl (x),%eax | movl (y),%eax ; movl $1,(y) | movl $1,(x) ;";
    assert_eq!(states(lb, "exists (0:eax=1 /\\ 1:eax=1)"), [[0, 0], [0, 1], [1, 0]]);
}

#[test]
fn a_fence_waits_for_the_buffer_and_the_weaker_fences_do_not() {
    for (fence, passes) in [("mfence", false), ("lfence", true), ("sfence", true), ("nop", true)] {
        let table = format!(
            " P0 | P1 ; movl $1,(x) | movl $1,(y) ; {fence} | {fence} ; \
             movl (y),%eax | movl (x),%eax ;"
        );
        let states = states(&table, "exists (0:eax=0 /\\ 1:eax=0)");
        assert_eq!(states.contains(&vec![0, 0]), passes, "{fence}");
    }
}

#[test]
fn n6_is_allowed() {
    // Owens, Sarkar, Sewell: A better x86 memory model: x86-TSO, 2009, §2: EAX=1, EBX=0, x=1.
    let n6 = " P0 | P1 ; movl $1,(x) | movl $2,(y) ; movl (x),%eax | movl $2,(x) ; \
              movl (y),%ebx | ;";
    assert!(states(n6, "exists (0:eax=1 /\\ 0:ebx=0 /\\ x=1)").contains(&vec![1, 0, 1]));
}

#[test]
fn a_split_store_can_be_seen_half_done_in_either_order() {
    let text = |place: &str| {
        format!(
            "X86_64 t\n{place}\n{{ int64_t x; }}\n P0 | P1 ; movq $-1,(x) | movl (x),%eax ; \
             | movl 4(x),%ebx ;\nexists (1:eax=0 /\\ 1:ebx=0)\n"
        )
    };
    let count = |place| {
        let test = parse("t", &text(place)).expect("a test");
        allowed(&test, 10_000).expect("a small test").len()
    };
    assert_eq!(count(""), 3);
    assert_eq!(count("Place=x@60"), 4);
    assert_eq!(count("Place=x@56"), 3);
}

#[test]
fn what_is_too_large_or_not_modelled_is_said() {
    let text = "X86_64 t\nPlace=x@60\n{ int64_t x; }\n P0 ; incq (x) ;\nexists (x=0)\n";
    let test = parse("t", text).expect("a test");
    assert_eq!(allowed(&test, 100), Err(ModelError::SplitUpdate { thread: 0 }));
    let text = "X86 t\n{ }\n P0 | P1 ; MOV EAX,[x] | MOV EAX,[x] ;\nexists (x=0)\n";
    let test = parse("t", text).expect("a test");
    assert_eq!(allowed(&test, 2), Err(ModelError::TooLarge { limit: 2 }));
}
