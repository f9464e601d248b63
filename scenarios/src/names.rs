//! Names of functions for addresses, with what the compiler inlined made visible.

use crate::dwarf::DebugInfo;
use crate::guest_memory::GuestMemory;
use crate::symbols::SymbolTable;

/// Where names come from.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// Symbols of everything loaded.
    pub symbols: &'a SymbolTable,
    /// Debugging information of the guest image.
    pub debug: &'a DebugInfo,
    /// The guest's memory, for its code.
    pub memory: &'a dyn GuestMemory,
}

impl std::fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("symbols", &self.symbols.symbols().len()).finish()
    }
}

impl Names<'_> {
    /// The function that holds the instruction at `rip`, or the address if it has none.
    #[must_use]
    pub fn function(&self, rip: u64) -> String {
        self.symbols.name_at(rip).map_or_else(|| format!("{rip:#x}"), str::to_owned)
    }

    /// The function as the source has it at `rip`: the innermost inlined one, else the function.
    #[must_use]
    pub fn source_function(&self, rip: u64) -> String {
        self.debug.inlined_at(rip).map_or_else(|| self.function(rip), str::to_owned)
    }

    /// `init_completion (inlined in _ctl_do_mpt_command)`, or simply the function.
    #[must_use]
    pub fn with_inlined(&self, rip: u64) -> String {
        let outer = self.function(rip);
        match self.debug.inlined_at(rip) {
            Some(inner) if inner != outer => format!("{inner} (inlined in {outer})"),
            _ => outer,
        }
    }

    /// True if the instruction at `rip` is a compare-and-exchange: how a trylock takes a lock.
    #[must_use]
    pub fn is_cmpxchg(&self, rip: u64) -> bool {
        let mut code = [0; 15];
        let length = (1..=15).rev().find(|length| self.memory.read(rip, &mut code[..*length]));
        let Some(length) = length else { return false };
        let options = iced_x86::DecoderOptions::NONE;
        let mut decoder = iced_x86::Decoder::with_ip(64, &code[..length], rip, options);
        decoder.decode().mnemonic() == iced_x86::Mnemonic::Cmpxchg
    }
}
