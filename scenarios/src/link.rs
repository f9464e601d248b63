//! Links relocatable ELF objects of the user's own against the guest kernel.

use crate::diagnostics::{Diagnostics, suggest};
use crate::image::{Segment, physical, text_symbol};
use crate::symbols::{Symbol, SymbolKind, SymbolTable};
use crate::tree::Spanned;
use object::elf;
use object::read::elf::ElfFile64;
use object::{
    Object, ObjectKind, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget,
    SectionIndex, SymbolIndex, SymbolSection,
};
use std::collections::BTreeMap;

/// Objects are placed from here on.
pub const OBJECT_BASE: u64 = 0xffff_ffff_a100_0000;
/// First address that is not for objects any more.
const OBJECT_END: u64 = 0xffff_ffff_a800_0000;

/// Objects in their final place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Linked {
    /// Their bytes.
    pub segments: Vec<Segment>,
    /// Their symbols.
    pub symbols: Vec<Symbol>,
}

/// An object file, where the scenario names it.
#[derive(Clone, Copy, Debug)]
pub struct ObjectFile<'a> {
    /// Its name and place in the scenario.
    pub name: &'a Spanned<String>,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// An object whose sections have addresses.
struct Placed<'a> {
    name: &'a Spanned<String>,
    elf: ElfFile64<'a>,
    sections: BTreeMap<usize, u64>,
    commons: BTreeMap<usize, u64>,
}

/// Places and relocates `objects`; what is undefined in them is looked up in `guest`.
pub fn link(objects: &[ObjectFile<'_>], guest: &SymbolTable, diags: &mut Diagnostics) -> Linked {
    let mut linked = Linked::default();
    let mut at = OBJECT_BASE;
    let mut placed = Vec::new();
    for object in objects {
        placed.extend(place(object, &mut at, diags));
    }
    let globals = globals(&placed, guest, diags);
    let resolver = Resolver { globals: &globals, guest };
    for object in &placed {
        for section in object.elf.sections() {
            let Some(&base) = object.sections.get(&section.index().0) else { continue };
            relocate(object, &section, base, &resolver, diags, &mut linked);
        }
        linked.symbols.extend(symbols(object));
    }
    linked
}

/// Gives an object's sections and common symbols their addresses.
fn place<'a>(object: &ObjectFile<'a>, at: &mut u64, diags: &mut Diagnostics) -> Option<Placed<'a>> {
    let span = object.name.span;
    let elf = match ElfFile64::parse(object.bytes) {
        Ok(elf) if elf.kind() == ObjectKind::Relocatable && is_x86_64(&elf) => elf,
        _ => {
            let message = format!("`{}` is not a relocatable x86-64 ELF object", object.name.value);
            diags.error(span, message, Some("compile it with `gcc -c` or `clang -c`".to_owned()));
            return None;
        }
    };
    let mut sections = BTreeMap::new();
    for section in elf.sections() {
        let object::SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        let note = section.name().is_ok_and(|name| name.starts_with(".note"));
        if sh_flags & u64::from(elf::SHF_ALLOC) == 0 || section.size() == 0 || note {
            continue;
        }
        sections.insert(section.index().0, advance(at, section.size(), section.align()));
    }
    let mut commons = BTreeMap::new();
    for symbol in elf.symbols().filter(ObjectSymbol::is_common) {
        // The value of a common symbol is its alignment.
        let align =
            elf.elf_symbol_table().symbol(symbol.index()).map(|s| s.st_value.get(elf.endian()));
        commons.insert(symbol.index().0, advance(at, symbol.size(), align.unwrap_or(16)));
    }
    if *at > OBJECT_END {
        diags.error(span, "the objects are too large for their place in memory", None);
        return None;
    }
    Some(Placed { name: object.name, elf, sections, commons })
}

fn is_x86_64(elf: &ElfFile64<'_>) -> bool {
    elf.architecture() == object::Architecture::X86_64
}

/// Takes `size` bytes at the next address with this alignment.
fn advance(at: &mut u64, size: u64, align: u64) -> u64 {
    let start = at.next_multiple_of(align.clamp(1, 1 << 21));
    *at = start.saturating_add(size);
    start
}

/// Address of a symbol that `object` itself defines.
fn defined(object: &Placed<'_>, index: SymbolIndex) -> Option<u64> {
    let symbol = object.elf.symbol_by_index(index).ok()?;
    match symbol.section() {
        SymbolSection::Section(SectionIndex(section)) => {
            Some(object.sections.get(&section)?.wrapping_add(symbol.address()))
        }
        SymbolSection::Absolute => Some(symbol.address()),
        SymbolSection::Common => object.commons.get(&index.0).copied(),
        _ => None,
    }
}

/// Global symbols of all objects by name.
fn globals(
    placed: &[Placed<'_>],
    guest: &SymbolTable,
    diags: &mut Diagnostics,
) -> BTreeMap<String, u64> {
    let mut globals: BTreeMap<String, (u64, &Spanned<String>, bool)> = BTreeMap::new();
    for object in placed {
        for symbol in object.elf.symbols().filter(ObjectSymbol::is_global) {
            let (Ok(name), Some(addr)) = (symbol.name(), defined(object, symbol.index())) else {
                continue;
            };
            let weak = symbol.is_weak();
            let other = globals.get(name).map(|(_, other, weak)| (*other, *weak));
            match other {
                Some((other, false)) if !weak => {
                    let message = format!(
                        "`{name}` is in both `{}` and `{}`",
                        other.value, object.name.value
                    );
                    diags.error(object.name.span, message, None);
                }
                Some(_) if weak => {}
                _ => {
                    globals.insert(name.to_owned(), (addr, object.name, weak));
                }
            }
            if guest.get(name).is_some() && !weak {
                let message = format!("`{}` hides the guest kernel's `{name}`", object.name.value);
                let help = Some("the kernel itself goes on using its own".to_owned());
                diags.warn(object.name.span, message, help);
            }
        }
    }
    globals.into_iter().map(|(name, (addr, ..))| (name, addr)).collect()
}

struct Resolver<'a> {
    globals: &'a BTreeMap<String, u64>,
    guest: &'a SymbolTable,
}

impl Resolver<'_> {
    /// The address that a relocation refers to.
    fn target(
        &self,
        object: &Placed<'_>,
        target: RelocationTarget,
        diags: &mut Diagnostics,
    ) -> Option<u64> {
        let RelocationTarget::Symbol(index) = target else { return None };
        let symbol = object.elf.symbol_by_index(index).ok()?;
        if let Some(addr) = defined(object, index).filter(|_| !symbol.is_weak()) {
            return Some(addr);
        }
        let name = symbol.name().ok()?;
        if let Some(addr) = self.globals.get(name).copied().or_else(|| self.guest.address(name)) {
            return Some(addr);
        }
        if symbol.is_weak() {
            return Some(0);
        }
        let functions = self.guest.symbols().iter().map(|symbol| symbol.name.as_str());
        let help = suggest(name, functions.chain(self.globals.keys().map(String::as_str)));
        let message = format!("`{}` needs `{name}`, which doesn't exist", object.name.value);
        diags.error(object.name.span, message, help);
        None
    }
}

/// Copies a section to its place and resolves what it refers to.
fn relocate<'a>(
    object: &Placed<'a>,
    section: &impl ObjectSection<'a>,
    base: u64,
    resolver: &Resolver<'_>,
    diags: &mut Diagnostics,
    linked: &mut Linked,
) {
    let span = object.name.span;
    let Ok(data) = section.data() else {
        diags.error(span, format!("`{}` is damaged", object.name.value), None);
        return;
    };
    let mut bytes = data.to_vec();
    for (offset, relocation) in section.relocations() {
        let Some(target) = resolver.target(object, relocation.target(), diags) else { continue };
        let RelocationFlags::Elf { r_type } = relocation.flags() else { continue };
        if target == 0 && matches!(r_type, elf::R_X86_64_PC32 | elf::R_X86_64_PLT32) {
            // A weak symbol that nobody defines: code that tests for it never gets here.
            continue;
        }
        let value = target.wrapping_add_signed(relocation.addend());
        let place = base.wrapping_add(offset);
        let field = usize::try_from(offset).ok();
        match field
            .ok_or(Misfit::Outside)
            .and_then(|at| apply(&mut bytes, at, r_type, value, place))
        {
            Ok(()) => {}
            Err(misfit) => {
                let name = &object.name.value;
                let (what, help) = misfit.explain(r_type);
                diags.error(span, format!("`{name}`: {what}"), help);
            }
        }
    }
    if let Some(addr) = physical(base)
        && !bytes.is_empty()
    {
        linked.segments.push(Segment { addr, bytes });
    }
}

/// Why a relocation cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Misfit {
    Outside,
    Unsupported,
    Overflow,
}

impl Misfit {
    fn explain(self, r_type: u32) -> (String, Option<String>) {
        match self {
            Misfit::Outside => ("a relocation lies outside of its section".to_owned(), None),
            Misfit::Unsupported => (
                format!("relocation type {r_type} is not supported"),
                Some("compile with -fno-pic -mcmodel=kernel -fcf-protection=none".to_owned()),
            ),
            Misfit::Overflow => (
                "an address doesn't fit its field".to_owned(),
                Some("compile with -mcmodel=kernel".to_owned()),
            ),
        }
    }
}

/// Writes one relocated field (System V ABI, x86-64 supplement, table 4.9: S + A is `value`, P is
/// `place`).
fn apply(bytes: &mut [u8], at: usize, r_type: u32, value: u64, place: u64) -> Result<(), Misfit> {
    let relative = value.wrapping_sub(place);
    let signed = |value: u64| i32::try_from(value.cast_signed()).map_err(|_| Misfit::Overflow);
    let field: Vec<u8> = match r_type {
        elf::R_X86_64_NONE => return Ok(()),
        elf::R_X86_64_64 => value.to_le_bytes().to_vec(),
        elf::R_X86_64_PC64 => relative.to_le_bytes().to_vec(),
        elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => signed(relative)?.to_le_bytes().to_vec(),
        elf::R_X86_64_32S => signed(value)?.to_le_bytes().to_vec(),
        elf::R_X86_64_32 => {
            u32::try_from(value).map_err(|_| Misfit::Overflow)?.to_le_bytes().to_vec()
        }
        _ => return Err(Misfit::Unsupported),
    };
    let end = at.checked_add(field.len()).ok_or(Misfit::Outside)?;
    bytes.get_mut(at..end).ok_or(Misfit::Outside)?.copy_from_slice(&field);
    Ok(())
}

/// Named functions and variables of an object.
fn symbols(object: &Placed<'_>) -> Vec<Symbol> {
    let named = object.elf.symbols().filter_map(|symbol| {
        let kind = match symbol.kind() {
            object::SymbolKind::Text => SymbolKind::Text,
            object::SymbolKind::Data => SymbolKind::Data,
            object::SymbolKind::Unknown if symbol.is_definition() => SymbolKind::Text,
            _ => return None,
        };
        let addr = defined(object, symbol.index())?;
        let name = symbol.name().ok().filter(|name| !name.is_empty())?;
        Some(Symbol { kind, ..text_symbol(name, addr, symbol.size()) })
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(r_type: u32, value: u64, place: u64, expect: Result<&[u8], Misfit>) {
        let mut bytes = vec![0xee; 12];
        let result = apply(&mut bytes, 2, r_type, value, place);
        assert_eq!(result.map(|()| bytes.as_slice()), expect, "type {r_type}");
    }

    #[test]
    fn fields_are_written_as_the_abi_says() {
        let high = 0xffff_ffff_a100_0010;
        let mut wide = vec![0xee; 12];
        wide[2..10].copy_from_slice(&0xffff_ffff_a100_0010u64.to_le_bytes());
        check(elf::R_X86_64_64, high, 0, Ok(&wide));
        let mut word = vec![0xee; 12];
        word[2..6].copy_from_slice(&[0x10, 0, 0, 0xa1]);
        check(elf::R_X86_64_32S, high, 0, Ok(&word));
        word[2..6].copy_from_slice(&[0xf0, 0xff, 0xff, 0xff]);
        check(elf::R_X86_64_PC32, high, high + 16, Ok(&word));
        check(elf::R_X86_64_PLT32, high, high + 16, Ok(&word));
        check(elf::R_X86_64_NONE, high, 0, Ok(&[0xee; 12]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let high = 0xffff_ffff_a100_0010;
        check(elf::R_X86_64_32, high, 0, Err(Misfit::Overflow));
        // From the direct map, kernel text is out of reach.
        check(elf::R_X86_64_PC32, high, 0xffff_8800_0600_0000, Err(Misfit::Overflow));
        check(elf::R_X86_64_GOTPCREL, high, high, Err(Misfit::Unsupported));
        let result = apply(&mut [0; 4], 1, elf::R_X86_64_32S, 0, 0);
        assert_eq!(result, Err(Misfit::Outside));
    }
}
