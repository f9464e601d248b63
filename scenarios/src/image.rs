//! ELF images: the guest kernel, and bare-metal programs of the user's own.

use crate::symbols::{Symbol, SymbolKind, SymbolTable};
use object::elf::{EM_X86_64, ET_EXEC, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, Object};
use sim_x86::core::translate::{Purpose, Target, translate};
use sim_x86::ids::PhysAddr;
use sim_x86::spec::Translation;

/// All of RAM appears at this linear address plus its physical one.
pub const DIRECT_MAP: u64 = 0xffff_8800_0000_0000;
/// Bytes to put into memory before the first instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where.
    pub addr: PhysAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// Why a file cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Not an ELF file, or a damaged one.
    #[error("not a readable ELF file")]
    Elf(#[from] object::Error),
    /// ELF, but not an executable of x86-64.
    #[error("not a static x86-64 executable (ELF64, ET_EXEC)")]
    NotExecutable,
    /// No loadable segments.
    #[error("nothing in it is to be loaded")]
    Empty,
    /// A segment outside of RAM.
    #[error("the segment at {0:#x} lies outside of RAM")]
    OutsideRam(u64),
    /// The guest kernel's image lacks something that the loader needs.
    #[error("the guest image lacks the symbol `{0}`")]
    NoSymbol(&'static str),
    /// The guest kernel's image is of another generation than this program.
    #[error("the guest image speaks another boot protocol")]
    Protocol,
}

/// A static ELF64 executable, ready to be put into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its segments at their physical addresses; zeroed bytes are left out.
    pub segments: Vec<Segment>,
    /// Its symbols.
    pub symbols: SymbolTable,
    /// Its entry point.
    pub entry: u64,
}

impl Image {
    /// Reads an executable for a machine with `ram_bytes` of RAM.
    ///
    /// # Errors
    /// If it is not a static x86-64 executable, or doesn't fit.
    pub fn parse(elf: &[u8], ram_bytes: u64) -> Result<Self, ImageError> {
        let header = FileHeader64::<Endianness>::parse(elf)?;
        let endian = header.endian()?;
        if header.e_machine(endian) != EM_X86_64 || header.e_type(endian) != ET_EXEC {
            return Err(ImageError::NotExecutable);
        }
        let mut segments = Vec::new();
        for segment in header.program_headers(endian, elf)? {
            if segment.p_type(endian) != PT_LOAD || segment.p_memsz(endian) == 0 {
                continue;
            }
            let addr = segment.p_paddr(endian);
            let end = addr.checked_add(segment.p_memsz(endian));
            if end.is_none_or(|end| end > ram_bytes) {
                return Err(ImageError::OutsideRam(addr));
            }
            let bytes = segment.data(endian, elf).map_err(|()| ImageError::OutsideRam(addr))?;
            segments.push(Segment { addr: PhysAddr(addr), bytes: bytes.to_vec() });
        }
        if segments.is_empty() {
            return Err(ImageError::Empty);
        }
        let symbols = SymbolTable::from_elf(elf).map_err(|_| ImageError::NotExecutable)?;
        let entry = object::File::parse(elf)?.entry();
        Ok(Self { segments, symbols, entry })
    }

    /// The `N` bytes at a physical address, if the image has them.
    #[must_use]
    pub fn read<const N: usize>(&self, addr: PhysAddr) -> Option<[u8; N]> {
        self.segments.iter().find_map(|segment| {
            let start = usize::try_from(addr.0.checked_sub(segment.addr.0)?).ok()?;
            segment.bytes.get(start..start.checked_add(N)?)?.try_into().ok()
        })
    }
}

/// A symbol of a function that the loader itself has made.
#[must_use]
pub fn text_symbol(name: impl Into<String>, addr: u64, size: u64) -> Symbol {
    let module = crate::symbols::module_at(addr).map(str::to_owned);
    Symbol { name: name.into(), addr, size, kind: SymbolKind::Text, module }
}

/// A symbol of a variable that the loader itself has made.
#[must_use]
pub fn data_symbol(name: impl Into<String>, addr: u64, size: u64) -> Symbol {
    Symbol { kind: SymbolKind::Data, ..text_symbol(name, addr, size) }
}

/// The physical address of a linear address of the guest kernel, if RAM is there.
#[must_use]
pub fn physical(addr: u64) -> Option<PhysAddr> {
    match translate(Translation::Kernel, addr, false, Purpose::Read) {
        Ok(Target::Ram(addr)) => Some(addr),
        Ok(Target::Device(_) | Target::Apic(_)) | Err(_) => None,
    }
}
