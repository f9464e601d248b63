//! Debugging information of the guest image: structure layouts, global variables, and every word
//! of a given type within them.

mod load;

use std::collections::BTreeMap;

pub use load::DwarfError;

/// Index of a type in [`DebugInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeId(pub(crate) u32);

/// A type, as far as layouts need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Integers, pointers, enumerations: `size` bytes without parts.
    Scalar {
        /// Name, empty for pointers.
        name: String,
        /// Bytes.
        size: u64,
    },
    /// A structure or union.
    Struct {
        /// Tag, empty if anonymous.
        name: String,
        /// Bytes.
        size: u64,
        /// Members in order.
        members: Vec<Member>,
    },
    /// An array with its number of elements (dimensions multiplied out one by one, outermost
    /// first, as nested arrays).
    Array {
        /// Element type.
        element: TypeId,
        /// Number of elements.
        count: u64,
    },
    /// A typedef or a qualified type (`const`, `volatile`), whose name is then empty.
    Alias {
        /// Name of the typedef.
        name: String,
        /// What it stands for.
        target: TypeId,
    },
}

/// A member of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name, empty for an anonymous structure or union.
    pub name: String,
    /// Bytes from the start of the structure.
    pub offset: u64,
    /// Its type.
    pub ty: TypeId,
}

/// A variable with a fixed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its address.
    pub addr: u64,
    /// Its type.
    pub ty: TypeId,
}

/// A function body that the compiler copied into another function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inlined {
    /// Name of the function.
    pub name: String,
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// How many other copies it lies within.
    pub depth: u32,
}

/// An object of a type that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Path from the variable, e.g. `mpt2sas_ioc[0].ctl_cmds.done.wait.lock`.
    pub name: String,
    /// Address.
    pub addr: u64,
    /// Bytes.
    pub size: u64,
}

/// A place within a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the start.
    pub offset: u64,
    /// Bytes of the member.
    pub size: u64,
    /// Its type.
    pub ty: TypeId,
}

/// How many elements of an array are walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrayLimits {
    /// Of any array.
    pub any: u64,
    /// Of the arrays with these names: per-CPU data needs no more than there are CPUs.
    pub by_variable: BTreeMap<String, u64>,
}

impl Default for ArrayLimits {
    fn default() -> Self {
        ArrayLimits { any: 256, by_variable: BTreeMap::new() }
    }
}

/// Layouts, variables and inlined functions of one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugInfo {
    types: Vec<Type>,
    structs: BTreeMap<String, TypeId>,
    aliases: BTreeMap<String, TypeId>,
    variables: Vec<Variable>,
    inlined: Vec<Inlined>,
}

impl DebugInfo {
    /// Reads the DWARF sections of an ELF file. A file without any gives an empty value.
    ///
    /// # Errors
    /// If the file is not ELF or its DWARF is damaged.
    pub fn from_elf(file: &[u8]) -> Result<Self, DwarfError> {
        load::load(file)
    }

    /// Variables with fixed addresses, by name and address.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The variable called `name`.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        let at = self.variables.partition_point(|v| v.name.as_str() < name);
        self.variables.get(at).filter(|v| v.name == name)
    }

    /// A type by its tag (`task_struct`) or typedef name (`spinlock_t`).
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<TypeId> {
        self.structs.get(name).or_else(|| self.aliases.get(name)).copied()
    }

    /// A type behind its aliases.
    fn resolve(&self, ty: TypeId) -> &Type {
        let mut found = &self.types[ty.0 as usize];
        // Bounded, because damaged input may alias in a circle.
        for _ in 0..64 {
            match found {
                Type::Alias { target, .. } => found = &self.types[target.0 as usize],
                Type::Scalar { .. } | Type::Struct { .. } | Type::Array { .. } => break,
            }
        }
        found
    }

    /// Bytes of a type.
    #[must_use]
    pub fn size_of(&self, ty: TypeId) -> u64 {
        match self.resolve(ty) {
            Type::Scalar { size, .. } | Type::Struct { size, .. } => *size,
            Type::Array { element, count } => self.size_of(*element).saturating_mul(*count),
            Type::Alias { .. } => 0,
        }
    }

    /// Where member `path` (e.g. `thread.sp0`) lies in the type called `name`. Members of
    /// anonymous structures and unions are found as C finds them.
    #[must_use]
    pub fn place(&self, name: &str, path: &str) -> Option<Place> {
        let mut ty = self.type_named(name)?;
        let mut offset = 0;
        for part in path.split('.') {
            let (at, member) = self.member(ty, part)?;
            offset += at;
            ty = member;
        }
        Some(Place { offset, size: self.size_of(ty), ty })
    }

    /// Offset of member `path` in the type called `name`, in bytes.
    #[must_use]
    pub fn offset(&self, name: &str, path: &str) -> Option<u64> {
        self.place(name, path).map(|place| place.offset)
    }

    fn member(&self, ty: TypeId, name: &str) -> Option<(u64, TypeId)> {
        let Type::Struct { members, .. } = self.resolve(ty) else { return None };
        members.iter().find_map(|member| {
            if member.name == name {
                return Some((member.offset, member.ty));
            }
            let inner = member.name.is_empty().then(|| self.member(member.ty, name))??;
            Some((member.offset + inner.0, inner.1))
        })
    }

    /// Name and number of elements of an array variable, if it is one.
    #[must_use]
    pub fn array(&self, ty: TypeId) -> Option<(TypeId, u64)> {
        match self.resolve(ty) {
            Type::Array { element, count } => Some((*element, *count)),
            Type::Scalar { .. } | Type::Struct { .. } | Type::Alias { .. } => None,
        }
    }

    /// The innermost inlined function that covers `addr`.
    #[must_use]
    pub fn inlined_at(&self, addr: u64) -> Option<&str> {
        let covers = |copy: &&Inlined| copy.start <= addr && addr < copy.end;
        let innermost = self.inlined.iter().filter(covers).max_by_key(|copy| copy.depth);
        innermost.map(|copy| copy.name.as_str())
    }

    /// True if `addr` lies in an inlined copy of function `name`.
    #[must_use]
    pub fn is_inlined(&self, addr: u64, name: &str) -> bool {
        self.inlined.iter().any(|copy| copy.name == name && copy.start <= addr && addr < copy.end)
    }

    /// Every object of one of the types `names` (tags or typedef names) within the global
    /// variables, each with its path, by address. An object of the type is not searched further,
    /// nor are arrays of plain numbers.
    #[must_use]
    pub fn find_all(&self, names: &[&str], limits: &ArrayLimits) -> Vec<Found> {
        let holds = vec![None; self.types.len()];
        let mut search = Search { info: self, names, limits, holds, found: Vec::new() };
        for variable in &self.variables {
            let limit = limits.by_variable.get(&variable.name).copied();
            search.walk(variable.ty, &variable.name, variable.addr, limit, 0);
        }
        let mut found = search.found;
        found.sort_by(|a, b| (a.addr, &a.name).cmp(&(b.addr, &b.name)));
        found.dedup_by_key(|object| object.addr);
        found
    }
}

/// Types nested deeper than this are not searched (C headers stay well below).
const MAX_DEPTH: u32 = 32;

struct Search<'a> {
    info: &'a DebugInfo,
    names: &'a [&'a str],
    limits: &'a ArrayLimits,
    /// By type: whether anything that is searched for lies in it, once that is known.
    holds: Vec<Option<bool>>,
    found: Vec<Found>,
}

impl Search<'_> {
    /// True unless nothing can be found in a variable of type `ty`.
    fn holds(&mut self, ty: TypeId, depth: u32) -> bool {
        let info = self.info;
        if let Some(known) = self.holds[ty.0 as usize] {
            return known;
        }
        if depth > MAX_DEPTH {
            return true;
        }
        let holds = match &info.types[ty.0 as usize] {
            Type::Scalar { name, .. } => self.is_wanted(name),
            Type::Alias { name, target } => self.is_wanted(name) || self.holds(*target, depth + 1),
            Type::Struct { name, members, .. } => {
                let mut inner = members.iter();
                self.is_wanted(name) || inner.any(|member| self.holds(member.ty, depth + 1))
            }
            Type::Array { element, .. } => self.holds(*element, depth + 1),
        };
        self.holds[ty.0 as usize] = Some(holds);
        holds
    }

    fn is_wanted(&self, name: &str) -> bool {
        !name.is_empty() && self.names.contains(&name)
    }

    fn walk(&mut self, ty: TypeId, path: &str, addr: u64, limit: Option<u64>, depth: u32) {
        if depth > MAX_DEPTH || !self.holds(ty, depth) {
            return;
        }
        let info = self.info;
        let kind = &info.types[ty.0 as usize];
        let (Type::Scalar { name, .. } | Type::Struct { name, .. } | Type::Alias { name, .. }) =
            kind
        else {
            return self.walk_array(ty, path, addr, limit, depth);
        };
        if self.is_wanted(name) {
            self.found.push(Found { name: path.to_owned(), addr, size: info.size_of(ty) });
            return;
        }
        match kind {
            Type::Alias { target, .. } => self.walk(*target, path, addr, limit, depth + 1),
            Type::Struct { members, .. } => {
                for member in members {
                    if !self.holds(member.ty, depth + 1) {
                        continue;
                    }
                    let inner = match member.name.as_str() {
                        "" => path.to_owned(),
                        name => format!("{path}.{name}"),
                    };
                    self.walk(member.ty, &inner, addr + member.offset, None, depth + 1);
                }
            }
            Type::Scalar { .. } | Type::Array { .. } => {}
        }
    }

    fn walk_array(&mut self, ty: TypeId, path: &str, addr: u64, limit: Option<u64>, depth: u32) {
        let Type::Array { element, count } = self.info.types[ty.0 as usize] else { return };
        if matches!(self.info.resolve(element), Type::Scalar { .. }) {
            return;
        }
        let size = self.info.size_of(element);
        for index in 0..count.min(limit.unwrap_or(self.limits.any)) {
            let inner = format!("{path}[{index}]");
            self.walk(element, &inner, addr + index * size, None, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests;
