//! What images are made with.

use super::{at, handler, selector};
use iced_x86::IcedError;
use iced_x86::code_asm::*;

pub(super) use super::handler::action;

/// Iterations of a delay loop: long enough for any message to arrive, and short enough for a KVM
/// that executes them in software.
const DELAY: u32 = 3_000;

/// Something that must come out, whoever executes the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A result word.
    Result(usize, u64),
    /// The vectors that a CPU's log has, in order.
    Vectors(usize, Vec<u64>),
    /// The error code in a log entry of CPU 0.
    Error(usize, u64),
}

/// A program and the memory around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub name: &'static str,
    /// Number of CPUs.
    pub cpus: usize,
    /// Memory contents at their addresses.
    pub parts: Vec<(u64, Vec<u8>)>,
    /// What must come out.
    pub expected: Vec<Expected>,
}

/// An image under construction. R15 holds the base of the APIC's registers and R14 that of the
/// results; the handler keeps all registers.
pub(super) struct Kit {
    /// The code so far.
    pub(super) a: CodeAssembler,
    name: &'static str,
    cpus: usize,
    parts: Vec<(u64, Vec<u8>)>,
    expected: Vec<Expected>,
}

/// Result of building.
pub(super) type Built = Result<(), IcedError>;

/// Assembles an image for one CPU from what `write` adds between start and end.
pub(super) fn image(name: &'static str, write: impl FnOnce(&mut Kit) -> Built) -> Image {
    build(name, 1, write).expect("the image assembles")
}

/// The same for two CPUs, which both run the code, with their number in RDI.
pub(super) fn image_of_two(name: &'static str, write: impl FnOnce(&mut Kit) -> Built) -> Image {
    build(name, 2, write).expect("the image assembles")
}

fn build(
    name: &'static str,
    cpus: usize,
    write: impl FnOnce(&mut Kit) -> Built,
) -> Result<Image, IcedError> {
    let a = CodeAssembler::new(64)?;
    let mut kit = Kit { a, name, cpus, parts: tables(), expected: Vec::new() };
    kit.parts.push((at::STUBS, handler::stubs()));
    kit.parts.push((at::HANDLER, handler::handler()?));
    kit.start()?;
    write(&mut kit)?;
    kit.end()?;
    let code = kit.a.assemble(at::CODE)?;
    kit.parts.push((at::CODE, code));
    Ok(Image { name: kit.name, cpus: kit.cpus, parts: kit.parts, expected: kit.expected })
}

/// A segment descriptor (SDM vol. 3A §3.4.5) from its access byte and flags.
fn descriptor(base: u64, limit: u64, access: u64, flags: u64) -> u64 {
    limit & 0xffff
        | (base & 0xff_ffff) << 16
        | access << 40
        | (limit >> 16 & 0xf) << 48
        | flags << 52
        | (base >> 24 & 0xff) << 56
}

/// Descriptor tables, TSSs and table registers.
fn tables() -> Vec<(u64, Vec<u8>)> {
    const LONG: u64 = 0xa;
    const FLAT: u64 = 0xc;
    let tss = |cpu: u64| descriptor(at::TSS + 0x100 * cpu, 0x67, 0x89, 0);
    let gdt = [
        0,
        0,
        descriptor(0, 0xf_ffff, 0x9b, LONG),
        descriptor(0, 0xf_ffff, 0x93, FLAT),
        0,
        descriptor(0, 0xf_ffff, 0xf3, FLAT),
        descriptor(0, 0xf_ffff, 0xfb, LONG),
        0,
        tss(0),
        0,
        tss(1),
        0,
        descriptor(0, 0xf_ffff, 0x13, FLAT),
        descriptor(at::SCRATCH, 0x7ff, 0x93, 0x4),
        descriptor(0, 0xf_ffff, 0x91, FLAT),
        descriptor(0, 0xf_ffff, 0x99, LONG),
    ];
    let mut parts = vec![(at::GDT, words(&gdt))];
    for vector in 0..256 {
        parts.push((at::IDT + 16 * vector, gate(at::STUBS + 16 * vector, 0, 0, 0xe, true)));
    }
    for cpu in 0..2 {
        let [_, rsp0, ist1, _] = at::STACKS.map(|top| top + 0x1_0000 * cpu);
        parts.push((at::TSS + 0x100 * cpu + 4, words(&[rsp0])));
        parts.push((at::TSS + 0x100 * cpu + 0x24, words(&[ist1])));
        parts.push((at::TSS + 0x100 * cpu + 0x66, vec![0x68, 0]));
    }
    for (n, base, limit) in [(0, at::GDT, 0x7f_u16), (1, at::IDT, 0xfff)] {
        let mut bytes = limit.to_le_bytes().to_vec();
        bytes.extend(base.to_le_bytes());
        parts.push((at::TABLE_REGISTERS + 16 * n, bytes));
    }
    parts
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A gate of the IDT (SDM vol. 3A §6.14.1).
fn gate(offset: u64, ist: u64, dpl: u64, kind: u64, present: bool) -> Vec<u8> {
    let low = offset & 0xffff
        | u64::from(selector::KERNEL_CODE) << 16
        | ist << 32
        | kind << 40
        | dpl << 45
        | u64::from(present) << 47
        | (offset >> 16 & 0xffff) << 48;
    words(&[low, offset >> 32])
}

impl Kit {
    fn start(&mut self) -> Built {
        let a = &mut self.a;
        a.lgdt(ptr(at::TABLE_REGISTERS))?;
        a.lidt(ptr(at::TABLE_REGISTERS + 16))?;
        a.mov(eax, edi)?;
        a.shl(eax, 4)?;
        a.add(eax, i32::from(selector::TSS))?;
        a.ltr(ax)?;
        a.mov(r15d, at::APIC as u32)?;
        a.mov(r14d, at::RESULTS as u32)?;
        // Software-enable the APIC.
        a.mov(dword_ptr(r15 + 0xf0), 0x1ff)
    }

    fn end(&mut self) -> Built {
        let mut stay = self.a.create_label();
        self.a.xor(eax, eax)?;
        self.a.out(0xf4_u32, al)?;
        self.a.cli()?;
        self.a.set_label(&mut stay)?;
        self.a.jmp(stay)
    }

    /// What the handler does for `vector`.
    pub(super) fn on(&mut self, vector: u64, flags: u64, value: u64) {
        self.parts.push((at::ACTIONS + 16 * vector, words(&[value, flags])));
    }

    /// Makes an exception resume where the last [`Kit::attempt`] ends.
    pub(super) fn resume_on(&mut self, vectors: &[u64]) {
        for &vector in vectors {
            self.on(vector, action::RESUME, 0);
        }
    }

    /// Changes a gate: interrupt stack, privilege level, type, presence.
    pub(super) fn gate(&mut self, vector: u64, ist: u64, dpl: u64, kind: u64, present: bool) {
        let bytes = gate(at::STUBS + 16 * vector, ist, dpl, kind, present);
        self.parts.push((at::IDT + 16 * vector, bytes));
    }

    /// Memory contents.
    pub(super) fn memory(&mut self, addr: u64, contents: &[u64]) {
        self.parts.push((addr, words(contents)));
    }

    /// Instructions that may fault: the handler then goes on behind them. RAX is lost before them.
    pub(super) fn attempt(&mut self, write: impl FnOnce(&mut CodeAssembler) -> Built) -> Built {
        let mut after = self.a.create_label();
        self.a.lea(rax, qword_ptr(after))?;
        self.a.mov(qword_ptr(at::RESUME), rax)?;
        write(&mut self.a)?;
        self.a.set_label(&mut after)?;
        self.a.nop()
    }

    /// Stores a register as a result.
    pub(super) fn result(&mut self, slot: usize, register: AsmRegister64) -> Built {
        self.a.mov(qword_ptr(r14 + 8 * slot as i32), register)
    }

    /// Stores a register of 32 bits as a result.
    pub(super) fn result32(&mut self, slot: usize, register: AsmRegister32) -> Built {
        self.a.mov(dword_ptr(r14 + 8 * slot as i32), register)
    }

    /// Stores an APIC register as a result. RAX is lost.
    pub(super) fn apic_result(&mut self, slot: usize, offset: i32) -> Built {
        self.a.mov(eax, dword_ptr(r15 + offset))?;
        self.result32(slot, eax)
    }

    /// Writes an APIC register.
    pub(super) fn apic(&mut self, offset: i32, value: u32) -> Built {
        self.a.mov(dword_ptr(r15 + offset), value)
    }

    /// Sends an IPI to the CPU itself, by shorthand.
    pub(super) fn send_self(&mut self, vector: u32) -> Built {
        self.apic(0x300, 1 << 18 | vector)
    }

    /// Sends an interrupt to an APIC id.
    pub(super) fn send_to(&mut self, id: u32, command: u32) -> Built {
        self.apic(0x310, id << 24)?;
        self.apic(0x300, command)
    }

    /// Gives messages time to arrive. RCX is lost.
    pub(super) fn delay(&mut self) -> Built {
        let mut again = self.a.create_label();
        self.a.mov(ecx, DELAY)?;
        self.a.set_label(&mut again)?;
        self.a.dec(ecx)?;
        self.a.jnz(again)
    }

    /// Waits until the log of `cpu` has `count` entries.
    pub(super) fn wait_log(&mut self, cpu: u64, count: i32) -> Built {
        let mut again = self.a.create_label();
        self.a.set_label(&mut again)?;
        self.a.pause()?;
        self.a.cmp(dword_ptr(at::LOG + 0x1_0000 * cpu), count)?;
        self.a.jb(again)
    }

    /// A subroutine for the handler to call: `write` is its body. It may change RAX, RCX and RDX.
    pub(super) fn hook(
        &mut self,
        vector: u64,
        flags: u64,
        write: impl FnOnce(&mut Kit) -> Built,
    ) -> Built {
        let mut over = self.a.create_label();
        let mut body = self.a.create_label();
        // The table's word is written at run time, when the address is known.
        self.a.lea(rax, qword_ptr(body))?;
        self.a.mov(qword_ptr(at::ACTIONS + 16 * vector), rax)?;
        self.a.mov(dword_ptr(at::ACTIONS + 16 * vector + 8), (flags | action::HOOK) as i32)?;
        self.a.jmp(over)?;
        self.a.set_label(&mut body)?;
        write(self)?;
        self.a.ret()?;
        self.a.set_label(&mut over)?;
        self.a.nop()
    }

    /// Goes to ring 3 and executes `write` there; INT 0x80 (or a fault with the action TO_KERNEL)
    /// comes back behind it.
    pub(super) fn in_ring3(&mut self, flags: u32, write: impl FnOnce(&mut Kit) -> Built) -> Built {
        self.gate(0x80, 0, 3, 0xe, true);
        self.on(0x80, action::RESUME | action::TO_KERNEL, 0);
        let mut user = self.a.create_label();
        let mut back = self.a.create_label();
        self.a.lea(rax, qword_ptr(back))?;
        self.a.mov(qword_ptr(at::RESUME), rax)?;
        self.a.mov(qword_ptr(at::KERNEL_RSP), rsp)?;
        self.a.push(i32::from(selector::USER_DATA))?;
        self.a.push(at::STACKS[3] as i32)?;
        self.a.push(flags as i32)?;
        self.a.push(i32::from(selector::USER_CODE))?;
        self.a.lea(rax, qword_ptr(user))?;
        self.a.push(rax)?;
        self.a.iretq()?;
        self.a.set_label(&mut user)?;
        // Attempts write the way back over: it is kept in RBP.
        self.a.mov(rbp, qword_ptr(at::RESUME))?;
        write(self)?;
        self.a.mov(qword_ptr(at::RESUME), rbp)?;
        self.a.int(0x80)?;
        self.a.set_label(&mut back)?;
        self.a.nop()
    }

    /// Something that must come out.
    pub(super) fn expect(&mut self, expected: Expected) {
        self.expected.push(expected);
    }

    /// Result `slot` must be `value`.
    pub(super) fn expect_result(&mut self, slot: usize, value: u64) {
        self.expect(Expected::Result(slot, value));
    }

    /// CPU 0 must have logged these vectors.
    pub(super) fn expect_vectors(&mut self, vectors: &[u64]) {
        self.expect(Expected::Vectors(0, vectors.to_vec()));
    }
}

impl Image {
    /// What is expected and did not come out; `region` is memory from [`at::LOG`] to [`at::END`].
    #[must_use]
    pub fn disappointments(&self, region: &[u8]) -> Vec<String> {
        let word = |addr: u64| {
            let at = (addr - at::LOG) as usize;
            u64::from_le_bytes(region[at..at + 8].try_into().expect("eight bytes"))
        };
        let entry = |cpu: usize, n: usize| at::LOG + 0x1_0000 * cpu as u64 + 64 * (n as u64 + 1);
        let mut wrong = Vec::new();
        for expected in &self.expected {
            let found = match expected {
                Expected::Result(slot, _) => {
                    Expected::Result(*slot, word(at::RESULTS + 8 * *slot as u64))
                }
                Expected::Vectors(cpu, _) => {
                    let count = word(at::LOG + 0x1_0000 * *cpu as u64).min(0x100) as usize;
                    Expected::Vectors(*cpu, (0..count).map(|n| word(entry(*cpu, n))).collect())
                }
                Expected::Error(n, _) => Expected::Error(*n, word(entry(0, *n) + 8)),
            };
            if found != *expected {
                wrong.push(format!("{expected:x?} expected, {found:x?} found"));
            }
        }
        wrong
    }
}
