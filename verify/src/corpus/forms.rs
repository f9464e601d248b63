//! The forms of instructions that compiled code consists of.

use super::BUILDS;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind};
use object::{Object, ObjectSection, SectionFlags, elf};
use sim_x86::op::{Decoded, Op};
use sim_x86::presets;
use std::collections::BTreeMap;

/// A form: encoding, prefixes that change what it does, and kinds of operands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    /// iced's name of the encoding.
    pub code: String,
    /// LOCK, REP and REPNE.
    pub prefixes: [bool; 3],
    /// Kinds of operands: register, memory by address size, immediate by size.
    pub operands: Vec<String>,
}

/// Where a form was seen first, and how often it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Image and address of the first one.
    pub first: (&'static str, u64),
    /// How many there are.
    pub count: u64,
    /// True if the machine executes it.
    pub implemented: bool,
}

/// All forms of the instructions in the executable sections of the guest kernel's image and of
/// every build of the corpus.
///
/// # Errors
/// If an image is not readable.
pub fn all(guest: &[u8]) -> Result<BTreeMap<Form, Seen>, object::Error> {
    let mut forms = BTreeMap::new();
    sweep("guest", guest, &mut forms)?;
    for build in BUILDS {
        sweep(build.name, build.elf, &mut forms)?;
    }
    Ok(forms)
}

fn sweep(
    name: &'static str,
    image: &[u8],
    forms: &mut BTreeMap<Form, Seen>,
) -> Result<(), object::Error> {
    let costs = presets::westmere_ep().costs;
    for section in object::File::parse(image)?.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        if sh_flags & u64::from(elf::SHF_EXECINSTR) == 0 {
            continue;
        }
        let code = section.data()?;
        let start = section.address();
        // The machine reads F3 0F BC as BSF, as cores before Haswell do.
        let options = DecoderOptions::NO_MPFX_0FBC | DecoderOptions::NO_MPFX_0FBD;
        for instruction in &mut Decoder::with_ip(64, code, start, options) {
            let bytes = &code[(instruction.ip() - start) as usize..];
            let op = Op::decode(bytes, instruction.ip(), &costs);
            let implemented = matches!(op, Decoded::Op(op) if !op.is_unimplemented())
                && instruction.code() != Code::INVALID;
            let first = (name, instruction.ip());
            let seen = forms.entry(form(&instruction));
            seen.or_insert(Seen { first, count: 0, implemented }).count += 1;
        }
    }
    Ok(())
}

fn form(instruction: &Instruction) -> Form {
    let operand = |n| match instruction.op_kind(n) {
        OpKind::Memory if instruction.is_ip_rel_memory_operand() => "MemoryRip".to_owned(),
        OpKind::Memory => {
            let has = |register| if register == iced_x86::Register::None { "" } else { "+" };
            let (base, index) = (instruction.memory_base(), instruction.memory_index());
            let segment = instruction.segment_prefix();
            format!("Memory base{} index{} {segment:?}", has(base), has(index))
        }
        kind => format!("{kind:?}"),
    };
    Form {
        code: format!("{:?}", instruction.code()),
        prefixes: [
            instruction.has_lock_prefix(),
            instruction.has_rep_prefix(),
            instruction.has_repne_prefix(),
        ],
        operands: (0..instruction.op_count()).map(operand).collect(),
    }
}
