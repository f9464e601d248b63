//! The guest kernel's image, as it is kept in the tree (`guest/guest.elf`).

use crate::dwarf::{DebugInfo, DwarfError};
use crate::image::{Image, ImageError};
use sim_x86::core::translate::DEVICE_BASE;
use std::sync::OnceLock;
use thiserror::Error;

/// The ELF file.
pub const ELF: &[u8] = include_bytes!("../guest/guest.elf");

/// The guest kernel: what is loaded, and what its debugging information tells.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Segments and symbols.
    pub image: Image,
    /// Layouts, variables, inlined functions.
    pub debug: DebugInfo,
}

/// Why an image is no guest kernel.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GuestError {
    /// It cannot be loaded.
    #[error("the guest kernel's image cannot be loaded")]
    Image(#[from] ImageError),
    /// Its debugging information cannot be read.
    #[error("the guest kernel's debugging information cannot be read")]
    Debug(#[from] DwarfError),
}

impl Guest {
    /// Reads a guest kernel from an ELF file.
    ///
    /// # Errors
    /// If the file is no such kernel.
    pub fn parse(elf: &[u8]) -> Result<Self, GuestError> {
        Ok(Guest { image: Image::parse(elf, DEVICE_BASE)?, debug: DebugInfo::from_elf(elf)? })
    }

    /// The kernel that comes with latchup, parsed once.
    ///
    /// # Panics
    /// Never: a test parses the image in the tree.
    #[must_use]
    pub fn shipped() -> &'static Guest {
        static GUEST: OnceLock<Guest> = OnceLock::new();
        GUEST.get_or_init(|| Guest::parse(ELF).expect("the image in the tree is a guest kernel"))
    }
}
