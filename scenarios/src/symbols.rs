//! Names for addresses: a symbol table made of ELF symbols and what a loader adds.

use object::{Object, ObjectSymbol, SymbolKind as ElfKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SymbolKind {
    /// Code.
    Text,
    /// Data.
    Data,
}

/// A named range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// First address.
    pub addr: u64,
    /// Bytes; 0 if unknown (it then reaches to the next symbol).
    pub size: u64,
    /// Code or data.
    pub kind: SymbolKind,
    /// Kernel module it belongs to; `None` for the kernel proper.
    pub module: Option<String>,
}

/// An address as symbol and offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Name of the symbol.
    pub name: String,
    /// Bytes from its start.
    pub offset: u64,
    /// Bytes of the symbol.
    pub size: u64,
    /// Kernel module.
    pub module: Option<String>,
}

impl std::fmt::Display for Location {
    /// As the kernel prints it: `_ctl_ioctl+0x35/0x50 [mpt2sas]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{:#x}/{:#x}", self.name, self.offset, self.size)?;
        match &self.module {
            Some(module) => write!(f, " [{module}]"),
            None => Ok(()),
        }
    }
}

/// Why an ELF file gave no symbols.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolError {
    /// Not an ELF file, or a damaged one.
    #[error("cannot read the symbols of the ELF file")]
    Elf(#[from] object::Error),
}

/// Module whose code lies at `addr` in the guest kernel's fixed layout.
#[must_use]
pub fn module_at(addr: u64) -> Option<&'static str> {
    match addr {
        0xffff_ffff_a000_0000..0xffff_ffff_a100_0000 => Some("mpt2sas"),
        0xffff_ffff_a100_0000..0xffff_ffff_a800_0000 => Some("object"),
        0xffff_ffff_a800_0000..0xffff_ffff_ff00_0000 => Some("script"),
        _ => None,
    }
}

/// Symbols by address and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolTable {
    /// Sorted by (kind, address).
    sorted: Vec<Symbol>,
    by_name: BTreeMap<String, usize>,
}

impl SymbolTable {
    /// Symbols of an ELF file: functions, objects and untyped labels in sections.
    ///
    /// # Errors
    /// If the file is not an ELF file that the `object` crate can read.
    pub fn from_elf(file: &[u8]) -> Result<Self, SymbolError> {
        let elf = object::File::parse(file)?;
        let mut symbols = Vec::new();
        for symbol in elf.symbols() {
            let kind = match symbol.kind() {
                ElfKind::Text => SymbolKind::Text,
                ElfKind::Data => SymbolKind::Data,
                ElfKind::Label | ElfKind::Unknown => kind_of_section(&elf, &symbol),
                _ => continue,
            };
            let name = symbol.name().unwrap_or_default();
            if name.is_empty() || symbol.is_undefined() || symbol.section_index().is_none() {
                continue;
            }
            symbols.push(Symbol {
                name: name.to_owned(),
                addr: symbol.address(),
                size: symbol.size(),
                kind,
                module: module_at(symbol.address()).map(str::to_owned),
            });
        }
        Ok(Self::new(symbols))
    }

    /// A table of these symbols.
    #[must_use]
    pub fn new(symbols: Vec<Symbol>) -> Self {
        let mut table = SymbolTable::default();
        table.extend(symbols);
        table
    }

    /// Adds symbols. Of two with the same name the first one found keeps it for look-ups by name.
    pub fn extend(&mut self, symbols: impl IntoIterator<Item = Symbol>) {
        self.sorted.extend(symbols);
        // Larger first at one address, so that a function wins over a label at its start.
        self.sorted.sort_by(|a, b| {
            (a.kind, a.addr, b.size, &a.name).cmp(&(b.kind, b.addr, a.size, &b.name))
        });
        self.by_name.clear();
        for (index, symbol) in self.sorted.iter().enumerate() {
            self.by_name.entry(symbol.name.clone()).or_insert(index);
        }
    }

    /// All symbols, code before data, by address.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol] {
        &self.sorted
    }

    /// The symbol called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Symbol> {
        self.by_name.get(name).map(|index| &self.sorted[*index])
    }

    /// Address of the symbol called `name`.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<u64> {
        self.get(name).map(|symbol| symbol.addr)
    }

    /// The symbol of `kind` that covers `addr`, with its size made known.
    fn find(&self, kind: SymbolKind, addr: u64) -> Option<(&Symbol, u64)> {
        let end = self.sorted.partition_point(|s| (s.kind, s.addr) <= (kind, addr));
        let last = self.sorted[..end].last().filter(|s| s.kind == kind)?;
        let first = self.sorted[..end].partition_point(|s| (s.kind, s.addr) < (kind, last.addr));
        let symbol = &self.sorted[first];
        let next = self.sorted.get(end).filter(|s| s.kind == kind).map(|s| s.addr);
        let size = match symbol.size {
            0 => next.map_or(addr + 1 - symbol.addr, |next| next - symbol.addr),
            size => size,
        };
        (addr - symbol.addr < size).then_some((symbol, size))
    }

    /// The function at `addr`: its first address and its size in bytes.
    #[must_use]
    pub fn function(&self, addr: u64) -> Option<(u64, u64)> {
        self.find(SymbolKind::Text, addr).map(|(symbol, size)| (symbol.addr, size))
    }

    /// True if `addr` lies in code.
    #[must_use]
    pub fn is_text(&self, addr: u64) -> bool {
        self.find(SymbolKind::Text, addr).is_some()
    }

    /// Name of the function or object at `addr`.
    #[must_use]
    pub fn name_at(&self, addr: u64) -> Option<&str> {
        let found = self.find(SymbolKind::Text, addr).or_else(|| self.find(SymbolKind::Data, addr));
        found.map(|(symbol, _)| symbol.name.as_str())
    }

    /// `addr` as symbol and offset; code first, then data.
    #[must_use]
    pub fn locate(&self, addr: u64) -> Option<Location> {
        let found = self.find(SymbolKind::Text, addr).or_else(|| self.find(SymbolKind::Data, addr));
        found.map(|(symbol, size)| Location {
            name: symbol.name.clone(),
            offset: addr - symbol.addr,
            size,
            module: symbol.module.clone(),
        })
    }

    /// `addr` as the kernel prints it, or in hexadecimal if it has no name.
    #[must_use]
    pub fn format(&self, addr: u64) -> String {
        self.locate(addr).map_or_else(|| format!("{addr:#x}"), |place| place.to_string())
    }
}

/// Code or data, for a symbol without a type of its own.
fn kind_of_section<'d>(elf: &object::File<'d>, symbol: &impl ObjectSymbol<'d>) -> SymbolKind {
    use object::ObjectSection;
    let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok());
    match section.map(|section| section.kind()) {
        Some(object::SectionKind::Text) => SymbolKind::Text,
        _ => SymbolKind::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, addr: u64, size: u64) -> Symbol {
        let module = module_at(addr).map(str::to_owned);
        Symbol { name: name.into(), addr, size, kind: SymbolKind::Text, module }
    }

    fn table() -> SymbolTable {
        let mut data = text("jiffies", 0xffff_ffff_8100_0040, 8);
        data.kind = SymbolKind::Data;
        SymbolTable::new(vec![
            text("_spin_lock_irq", 0xffff_ffff_8100_0000, 0x40),
            text("label_at_start", 0xffff_ffff_8100_0000, 0),
            text("asm_stub", 0xffff_ffff_8100_0080, 0),
            text("after", 0xffff_ffff_8100_0100, 4),
            text("_ctl_ioctl", 0xffff_ffff_a000_0725, 0x50),
            data,
        ])
    }

    #[test]
    fn addresses_get_the_kernels_notation() {
        let table = table();
        assert_eq!(table.format(0xffff_ffff_8100_0025), "_spin_lock_irq+0x25/0x40");
        assert_eq!(table.format(0xffff_ffff_a000_075a), "_ctl_ioctl+0x35/0x50 [mpt2sas]");
        assert_eq!(table.format(0xffff_ffff_8100_0044), "jiffies+0x4/0x8");
        assert_eq!(table.format(0x1234), "0x1234");
    }

    #[test]
    fn a_symbol_without_a_size_reaches_to_the_next() {
        let table = table();
        assert_eq!(table.format(0xffff_ffff_8100_00a0), "asm_stub+0x20/0x80");
        assert_eq!(table.function(0xffff_ffff_8100_00a0), Some((0xffff_ffff_8100_0080, 0x80)));
        assert_eq!(table.name_at(0xffff_ffff_8100_0104), None, "past the last byte");
    }

    #[test]
    fn names_lead_back_to_addresses() {
        let table = table();
        assert_eq!(table.address("jiffies"), Some(0xffff_ffff_8100_0040));
        assert_eq!(table.address("nothing"), None);
        assert!(table.is_text(0xffff_ffff_a000_0725));
        assert!(!table.is_text(0xffff_ffff_8100_0040));
    }
}
