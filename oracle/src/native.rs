//! A case on the host's processor, in ring 3. Exceptions arrive as signals.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod arena;

use oracle_cases::{Case, Outcome};

/// Why a native run is not possible.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// The host is something else.
    #[error("native comparison needs x86-64 Linux: skipped")]
    Unsupported,
    /// Linux refused what the oracle needs.
    #[error("cannot {what}: {source}")]
    Refused {
        /// What was to be done.
        what: &'static str,
        /// What Linux said.
        source: std::io::Error,
    },
}

/// A place in this process where cases run. There can be one only.
#[derive(Debug)]
pub struct Native {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    arena: arena::Arena,
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
impl Native {
    /// Maps memory at the cases' addresses and installs signal handlers, for good.
    ///
    /// # Errors
    /// Something else lies there, or Linux refuses.
    pub fn new() -> Result<Self, NativeError> {
        let mut arena = arena::Arena::new()?;
        arena.code().fill(BREAKPOINT);
        Ok(Native { arena })
    }

    /// True if the exception of an INT1 shows RIP before it ([`crate::ways::Ways`]).
    pub fn int1_stays(&mut self) -> bool {
        use oracle_cases::{BASE_FLAGS, CODE};
        self.arena.code()[0] = 0xf1;
        let raw = self.arena.run(&[0; 16], BASE_FLAGS, CODE);
        self.arena.code()[0] = BREAKPOINT;
        raw.rip == CODE
    }

    /// What becomes of `case`.
    pub fn run(&mut self, case: &Case) -> Outcome {
        use oracle_cases::CODE;
        let at = (case.start - CODE) as usize;
        let length = case.code.len() + JUMP_BYTES;
        let finish = self.arena.finish();
        self.arena.data().copy_from_slice(&case.memory);
        let code = &mut self.arena.code()[at..at + length];
        code[..case.code.len()].copy_from_slice(&case.code);
        let distance = finish.wrapping_sub(case.end() + JUMP_BYTES as u64) as u32;
        code[case.code.len()] = 0xe9;
        code[case.code.len() + 1..].copy_from_slice(&distance.to_le_bytes());
        let raw = self.arena.run(&case.gpr, case.rflags, case.start);
        self.arena.code()[at..at + length].fill(BREAKPOINT);
        let (end, rip) = ending(case, &raw);
        let mut outcome = Outcome {
            end,
            rip,
            gpr: raw.gpr,
            rflags: raw.rflags,
            memory: self.arena.data().to_vec(),
        };
        outcome.mask(case);
        outcome
    }
}

/// INT3.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
const BREAKPOINT: u8 = 0xcc;
/// Bytes of `jmp rel32`.
pub(crate) const JUMP_BYTES: usize = 5;

/// End of what a program's memory can be: the last page of the lower half is left free.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
const TASK_END: u64 = (1 << 47) - 0x1000;

/// What a signal means: control that left the code ends in an INT3 of the code page or in a fetch
/// that faults.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn ending(case: &Case, raw: &arena::Raw) -> (oracle_cases::End, u64) {
    use oracle_cases::End;
    /// Page-fault error code: present; instruction fetch.
    const PRESENT: u16 = 1;
    const FETCH: u16 = 1 << 4;
    let inside = |rip| (case.start..case.end()).contains(&rip);
    let Some(signal) = raw.signal else { return (End::Ran, case.end()) };
    let (vector, mut error, mut address) = (signal.vector, signal.error, 0);
    if vector == 3 && !inside(raw.rip.wrapping_sub(1)) {
        return (End::Ran, raw.rip.wrapping_sub(1));
    }
    if vector == 14 {
        if error & FETCH != 0 && !inside(raw.rip) {
            return (End::Ran, raw.rip);
        }
        address = signal.address;
        // Linux does not tell programs what is mapped where they can have nothing.
        if address >= TASK_END {
            error &= !PRESENT;
        }
    }
    (End::Fault { vector, error, address }, raw.rip)
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
impl Native {
    /// Not on this host.
    ///
    /// # Errors
    /// Always.
    pub fn new() -> Result<Self, NativeError> {
        Err(NativeError::Unsupported)
    }

    /// Cannot be called, as there is no value of this type.
    pub fn int1_stays(&mut self) -> bool {
        unreachable!("there is no native runner on this host")
    }

    /// Cannot be called, as there is no value of this type.
    pub fn run(&mut self, _case: &Case) -> Outcome {
        unreachable!("there is no native runner on this host")
    }
}
