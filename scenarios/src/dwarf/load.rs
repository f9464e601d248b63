//! From DWARF sections to [`DebugInfo`].

use super::{DebugInfo, Inlined, Member, Type, TypeId, Variable};
use gimli::{AttributeValue, DebuggingInformationEntry, EndianSlice, LittleEndian, Operation};
use gimli::{UnitOffset, UnitSectionOffset, constants as dw};
use object::{Object, ObjectSection};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Why debugging information could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DwarfError {
    /// Not an ELF file, or a damaged one.
    #[error("cannot read the sections of the ELF file")]
    Elf(#[from] object::Error),
    /// Damaged DWARF.
    #[error("cannot read the debugging information")]
    Dwarf(#[from] gimli::Error),
}

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;
type Unit<'a> = gimli::Unit<Slice<'a>>;
type Entry<'d, 'a> = DebuggingInformationEntry<'d, 'd, Slice<'a>>;

/// Reads everything that [`DebugInfo`] holds.
pub(super) fn load(file: &[u8]) -> Result<DebugInfo, DwarfError> {
    let elf = object::File::parse(file)?;
    let sections = gimli::DwarfSections::load(|id| -> Result<Cow<'_, [u8]>, object::Error> {
        match elf.section_by_name(id.name()) {
            Some(section) => section.uncompressed_data(),
            None => Ok(Cow::Borrowed(&[])),
        }
    })?;
    let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
    let mut loader = Loader { dwarf: &dwarf, ids: BTreeMap::new(), info: DebugInfo::default() };
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        loader.unit(&unit)?;
    }
    Ok(loader.finish())
}

struct Loader<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    /// Types already met, by their place in `.debug_info`.
    ids: BTreeMap<UnitSectionOffset, TypeId>,
    info: DebugInfo,
}

impl<'a> Loader<'_, 'a> {
    fn unit(&mut self, unit: &Unit<'a>) -> Result<(), DwarfError> {
        let mut entries = unit.entries();
        let mut depth = 0_isize;
        // Depths at which inlined copies are open, to tell how deeply a copy is nested.
        let mut open: Vec<isize> = Vec::new();
        while let Some((delta, entry)) = entries.next_dfs()? {
            depth += delta;
            open.retain(|outer| *outer < depth);
            match entry.tag() {
                dw::DW_TAG_variable => self.variable(unit, entry)?,
                dw::DW_TAG_inlined_subroutine => {
                    self.inlined(unit, entry, u32::try_from(open.len()).unwrap_or(u32::MAX))?;
                    open.push(depth);
                }
                dw::DW_TAG_structure_type | dw::DW_TAG_union_type | dw::DW_TAG_typedef => {
                    self.type_at(unit, entry.offset())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn name(&self, unit: &Unit<'a>, entry: &Entry<'_, 'a>) -> Result<String, DwarfError> {
        match entry.attr_value(dw::DW_AT_name)? {
            Some(value) => Ok(self.dwarf.attr_string(unit, value)?.to_string_lossy().into_owned()),
            None => Ok(String::new()),
        }
    }

    /// Follows the references from a definition to its declaration, where the name and type are.
    fn origin_name(
        &self,
        unit: &Unit<'a>,
        entry: &Entry<'_, 'a>,
    ) -> Result<(String, Option<UnitOffset>), DwarfError> {
        let mut name = self.name(unit, entry)?;
        let mut ty = reference(entry, dw::DW_AT_type)?;
        let mut at = entry.offset();
        for _ in 0..4 {
            let here = unit.entry(at)?;
            let next = match reference(&here, dw::DW_AT_abstract_origin)? {
                Some(origin) => origin,
                None => match reference(&here, dw::DW_AT_specification)? {
                    Some(declaration) => declaration,
                    None => break,
                },
            };
            let there = unit.entry(next)?;
            if name.is_empty() {
                name = self.name(unit, &there)?;
            }
            ty = ty.or(reference(&there, dw::DW_AT_type)?);
            at = next;
        }
        Ok((name, ty))
    }

    fn variable(&mut self, unit: &Unit<'a>, entry: &Entry<'_, 'a>) -> Result<(), DwarfError> {
        let Some(addr) = self.fixed_address(unit, entry)? else { return Ok(()) };
        let (name, Some(ty)) = self.origin_name(unit, entry)? else { return Ok(()) };
        let ty = self.type_at(unit, ty)?;
        self.info.variables.push(Variable { name, addr, ty });
        Ok(())
    }

    fn fixed_address(
        &self,
        unit: &Unit<'a>,
        entry: &Entry<'_, 'a>,
    ) -> Result<Option<u64>, DwarfError> {
        let Some(AttributeValue::Exprloc(expression)) = entry.attr_value(dw::DW_AT_location)?
        else {
            return Ok(None);
        };
        let mut operations = expression.operations(unit.encoding());
        Ok(match operations.next()? {
            Some(Operation::Address { address }) => Some(address),
            Some(Operation::AddressIndex { index }) => Some(self.dwarf.address(unit, index)?),
            _ => None,
        })
    }

    fn inlined(
        &mut self,
        unit: &Unit<'a>,
        entry: &Entry<'_, 'a>,
        depth: u32,
    ) -> Result<(), DwarfError> {
        let (name, _) = self.origin_name(unit, entry)?;
        let mut ranges = self.dwarf.die_ranges(unit, entry)?;
        while let Some(range) = ranges.next()? {
            if range.begin < range.end {
                let (start, end) = (range.begin, range.end);
                self.info.inlined.push(Inlined { name: name.clone(), start, end, depth });
            }
        }
        Ok(())
    }

    fn type_at(&mut self, unit: &Unit<'a>, at: UnitOffset) -> Result<TypeId, DwarfError> {
        let key = at.to_unit_section_offset(unit);
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        let id = TypeId(u32::try_from(self.info.types.len()).unwrap_or(u32::MAX));
        self.ids.insert(key, id);
        // Reserved before its parts are read, because structures may refer to themselves.
        self.info.types.push(Type::Scalar { name: String::new(), size: 0 });
        let ty = self.read_type(unit, at, id)?;
        self.info.types[id.0 as usize] = ty;
        Ok(id)
    }

    fn read_type(
        &mut self,
        unit: &Unit<'a>,
        at: UnitOffset,
        id: TypeId,
    ) -> Result<Type, DwarfError> {
        let entry = unit.entry(at)?;
        let name = self.name(unit, &entry)?;
        let size = unsigned(&entry, dw::DW_AT_byte_size)?;
        let target = reference(&entry, dw::DW_AT_type)?;
        Ok(match (entry.tag(), target) {
            (dw::DW_TAG_structure_type | dw::DW_TAG_union_type, _) => {
                let members = self.members(unit, at)?;
                if !name.is_empty() && size.is_some() {
                    self.info.structs.entry(name.clone()).or_insert(id);
                }
                Type::Struct { name, size: size.unwrap_or(0), members }
            }
            (dw::DW_TAG_typedef, Some(target)) => {
                self.info.aliases.entry(name.clone()).or_insert(id);
                Type::Alias { name, target: self.type_at(unit, target)? }
            }
            (
                dw::DW_TAG_const_type | dw::DW_TAG_volatile_type | dw::DW_TAG_atomic_type,
                Some(target),
            ) => Type::Alias { name: String::new(), target: self.type_at(unit, target)? },
            (dw::DW_TAG_array_type, Some(target)) => self.array(unit, at, target)?,
            (dw::DW_TAG_pointer_type, _) => Type::Scalar { name: String::new(), size: 8 },
            _ => Type::Scalar { name, size: size.unwrap_or(0) },
        })
    }

    fn members(&mut self, unit: &Unit<'a>, at: UnitOffset) -> Result<Vec<Member>, DwarfError> {
        let mut members = Vec::new();
        let mut tree = unit.entries_tree(Some(at))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() != dw::DW_TAG_member {
                continue;
            }
            let Some(ty) = reference(entry, dw::DW_AT_type)? else { continue };
            let name = self.name(unit, entry)?;
            let offset = unsigned(entry, dw::DW_AT_data_member_location)?.unwrap_or(0);
            members.push(Member { name, offset, ty: self.type_at(unit, ty)? });
        }
        Ok(members)
    }

    /// An array of several dimensions becomes nested arrays.
    fn array(
        &mut self,
        unit: &Unit<'a>,
        at: UnitOffset,
        element: UnitOffset,
    ) -> Result<Type, DwarfError> {
        let mut counts = Vec::new();
        let mut tree = unit.entries_tree(Some(at))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() == dw::DW_TAG_subrange_type {
                let count = unsigned(entry, dw::DW_AT_count)?;
                let upper = unsigned(entry, dw::DW_AT_upper_bound)?;
                counts.push(count.or(upper.map(|upper| upper.wrapping_add(1))).unwrap_or(0));
            }
        }
        let mut element = self.type_at(unit, element)?;
        while counts.len() > 1 {
            let count = counts.pop().unwrap_or(0);
            let id = TypeId(u32::try_from(self.info.types.len()).unwrap_or(u32::MAX));
            self.info.types.push(Type::Array { element, count });
            element = id;
        }
        Ok(Type::Array { element, count: counts.pop().unwrap_or(0) })
    }

    fn finish(mut self) -> DebugInfo {
        self.info.variables.sort_by(|a, b| (&a.name, a.addr).cmp(&(&b.name, b.addr)));
        self.info.variables.dedup_by(|a, b| a.name == b.name && a.addr == b.addr);
        self.info
    }
}

/// The entry that attribute `name` refers to, within the same unit.
fn reference(entry: &Entry<'_, '_>, name: gimli::DwAt) -> Result<Option<UnitOffset>, DwarfError> {
    Ok(match entry.attr_value(name)? {
        Some(AttributeValue::UnitRef(offset)) => Some(offset),
        _ => None,
    })
}

fn unsigned(entry: &Entry<'_, '_>, name: gimli::DwAt) -> Result<Option<u64>, DwarfError> {
    Ok(entry.attr_value(name)?.and_then(|value| value.udata_value()))
}
