//! `latchup check`.

use crate::args::CheckArgs;
use crate::fail::WRONG_INPUT;
use crate::input::Input;
use crate::screen::Screen;
use crate::{AS_EXPECTED, Outcome};

pub(crate) fn check(args: &CheckArgs, screen: &mut Screen) -> Outcome {
    let mut status = AS_EXPECTED;
    for file in &args.files {
        let name = file.display();
        match Input::open(file).and_then(|input| input.load()) {
            Ok(loaded) => {
                screen.diagnostics(&loaded.warnings);
                screen.verdict(true, "ok", &format!("      {name}"))?;
            }
            Err(failure) => {
                screen.failure(&failure);
                screen.verdict(false, "FAILED", &format!("  {name}"))?;
                status = WRONG_INPUT;
            }
        }
    }
    screen.flush()?;
    Ok(status)
}
