//! The initial state and the table of instructions.

use super::cell::{self, Labels, register};
use super::scan::Scanner;
use super::{Builder, MOST_THREADS, Parsed, mistake};
use crate::program::{Instruction, Op};

/// Words that end the table.
const AFTER_TABLE: [&str; 5] = ["locations", "exists", "forall", "final", "~"];

/// `x=0; 0:EAX=1; uint64_t y; …`
pub(super) fn initial_state(builder: &mut Builder, items: Scanner<'_>) -> Parsed<()> {
    for mut item in items.split(';') {
        item.skip_blanks();
        if !item.is_done() {
            initial_item(builder, &mut item)?;
            item.skip_blanks();
            if !item.is_done() {
                let problem = format!("{} is left over", item.found());
                return mistake(item.at(), problem, "items are separated by `;`");
            }
        }
    }
    Ok(())
}

fn initial_item(builder: &mut Builder, item: &mut Scanner<'_>) -> Parsed<()> {
    const HELP: &str = "write e.g. `x=1`, `0:rax=1` or `uint64_t x`";
    let declared = declared_bytes(item);
    let at = item.at();
    let bracket = item.take("[");
    let Some(name) = item.word() else {
        return mistake(at, format!("{} initialises nothing", item.found()), HELP);
    };
    if bracket {
        item.expect("]", HELP)?;
    } else if item.take(":") {
        let Some(thread) = name.trim_start_matches(['P', 'p']).parse().ok() else {
            return mistake(at, format!("`{name}` is not a thread"), HELP);
        };
        let (register, _) = register(item)?;
        let value = if item.take("=") { item.number()? } else { 0 };
        return builder.set_register(thread, register, value, at);
    }
    let value = if item.take("=") {
        item.number()?
    } else if declared.is_some() {
        0
    } else {
        return mistake(at, format!("`{name}` has no value"), HELP);
    };
    let location = builder.location(name);
    builder.locations[location].init = value as u64;
    if declared.is_some() {
        builder.declared[location] = declared;
    }
    Ok(())
}

/// Takes the name of a C type, if there is one before something else.
fn declared_bytes(item: &mut Scanner<'_>) -> Option<u64> {
    let saved = *item;
    let bytes = match item.word()? {
        "int8_t" | "uint8_t" | "char" => 1,
        "int16_t" | "uint16_t" | "short" => 2,
        "int" | "int32_t" | "uint32_t" => 4,
        "int64_t" | "uint64_t" | "long" => 8,
        "int128_t" | "uint128_t" | "__int128" => 16,
        _ => {
            *item = saved;
            return None;
        }
    };
    Some(bytes)
}

/// The threads' code.
pub(super) fn threads(
    builder: &mut Builder,
    scanner: &mut Scanner<'_>,
) -> Parsed<Vec<Vec<Instruction>>> {
    let count = thread_names(scanner)?;
    let mut code: Vec<Vec<Instruction>> = vec![Vec::new(); count];
    let mut labels: Vec<Labels<'_>> = (0..count).map(|_| Labels::default()).collect();
    loop {
        scanner.skip_blanks();
        if scanner.is_done() {
            let help = "end the file with e.g. `exists (x=1)`";
            return mistake(scanner.at(), "the condition is missing", help);
        }
        if AFTER_TABLE.iter().any(|word| starts_with_word(scanner.rest(), word)) {
            break;
        }
        let row = scanner.until(';', "the end of this row")?;
        let cells = row.split('|');
        if cells.len() > count {
            let problem = format!("{} cells for {count} threads", cells.len());
            return mistake(row.at(), problem, "give each thread one cell, split by `|`");
        }
        for (thread, mut cell) in cells.into_iter().enumerate() {
            cell::instruction(builder, &mut cell, &mut code[thread], &mut labels[thread])?;
        }
    }
    for (code, labels) in code.iter_mut().zip(labels) {
        labels.resolve(code)?;
        // RET ends the thread, as the end of its column does.
        let end = code.len();
        for instruction in code.iter_mut().filter(|instruction| instruction.op == Op::Ret) {
            instruction.target = Some(end);
        }
    }
    Ok(code)
}

fn starts_with_word(text: &str, word: &str) -> bool {
    let starts = text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let next = text.get(word.len()..).and_then(|rest| rest.chars().next());
    starts && (word == "~" || !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// The first row: `P0 | P1 ;`.
fn thread_names(scanner: &mut Scanner<'_>) -> Parsed<usize> {
    // Some files end the initial state as a statement.
    scanner.take(";");
    let row = scanner.until(';', "the row of thread names")?;
    let cells = row.split('|');
    for (number, cell) in cells.iter().enumerate() {
        let name = cell.rest().trim();
        if name.eq_ignore_ascii_case(&format!("P{number}")) {
            continue;
        }
        let problem = format!("`{name}` is not the name of thread {number}");
        return mistake(cell.at(), problem, "the table begins with `P0 | P1 | … ;`");
    }
    if cells.len() > MOST_THREADS {
        let problem = format!("{} threads", cells.len());
        return mistake(row.at(), problem, format!("at most {MOST_THREADS} are understood"));
    }
    Ok(cells.len())
}
