use super::*;
use crate::guest_memory::SparseMemory;
use crate::symbols::{Symbol, SymbolKind, module_at};

const SPIN: u64 = 0xffff_ffff_8100_0000;
const WAIT: u64 = 0xffff_ffff_8100_1000;
const CTL: u64 = 0xffff_ffff_a000_0100;
const FASTPATH: u64 = 0xffff_ffff_8100_2000;
const NMI: u64 = 0xffff_ffff_8100_3000;
const PANIC: u64 = 0xffff_ffff_8100_4000;
const DO_NMI: u64 = 0xffff_ffff_8100_5000;
const NMI_STACKS: u64 = 0xffff_ffff_8171_0000;
const STACK: u64 = 0xffff_8800_0800_0000;

/// `push rbp; mov rbp,rsp; cli; …; pop rbp; ret`.
const FUNCTION: [u8; 8] = [0x55, 0x48, 0x89, 0xe5, 0xfa, 0x90, 0x5d, 0xc3];

struct Scene {
    memory: SparseMemory,
    symbols: SymbolTable,
    stacks: Stacks,
}

fn scene() -> Scene {
    let text = |name: &str, addr: u64| Symbol {
        name: name.into(),
        addr,
        size: 0x40,
        kind: SymbolKind::Text,
        module: module_at(addr).map(str::to_owned),
    };
    let mut stacks = text("nmi_stack", NMI_STACKS);
    stacks.kind = SymbolKind::Data;
    stacks.size = 4 * 4096;
    let symbols = SymbolTable::new(vec![
        text("_spin_lock_irq", SPIN),
        text("wait_for_common", WAIT),
        text("_ctl_ioctl", CTL),
        text("system_call_fastpath", FASTPATH),
        text("nmi", NMI),
        text("panic", PANIC),
        text("do_nmi", DO_NMI),
        stacks,
    ]);
    let mut memory = SparseMemory::default();
    for function in [SPIN, WAIT, CTL, FASTPATH, NMI, PANIC, DO_NMI] {
        memory.put(function, &[0x90; 0x40]);
        memory.put(function, &FUNCTION);
    }
    let stacks = Stacks::of_guest(&symbols);
    Scene { memory, symbols, stacks }
}

impl Scene {
    /// A frame: saved frame pointer and return address.
    fn frame(&mut self, rbp: u64, saved: u64, return_to: u64) {
        self.memory.put_u64(rbp, saved);
        self.memory.put_u64(rbp + 8, return_to);
    }

    /// Saved registers: everything 0 but these.
    fn saved(&mut self, at: u64, rip: u64, cs: u64, rsp: u64, rbp: u64) {
        self.memory.put(at, &[0; 168]);
        self.memory.put_u64(at + pt_regs::IP, rip);
        self.memory.put_u64(at + pt_regs::CS, cs);
        self.memory.put_u64(at + pt_regs::SP, rsp);
        self.memory.put_u64(at + pt_regs::GPR[gpr::RBP], rbp);
        self.memory.put_u64(at + pt_regs::GPR[gpr::RDX], 1);
    }

    /// The task of a hung ioctl, down to its user registers. Returns RSP and RBP within
    /// `_spin_lock_irq`.
    fn ioctl(&mut self) -> (u64, u64) {
        self.frame(STACK, STACK + 0x40, WAIT + 0x3c);
        self.frame(STACK + 0x40, STACK + 0x80, CTL + 0x35);
        self.frame(STACK + 0x80, (STACK + 0x100) | 1, FASTPATH + 0x16);
        self.saved(STACK + 0x100, 0x40_1000, 0x33, 0x7fff_0000, 0);
        (STACK, STACK)
    }

    fn unwind(&self, rip: u64, rsp: u64, rbp: u64) -> Backtrace {
        let mut regs = Registers { rip, ..Registers::default() };
        regs.gpr[gpr::RSP] = rsp;
        regs.gpr[gpr::RBP] = rbp;
        unwind(&self.memory, &self.symbols, &self.stacks, &regs)
    }
}

fn names(trace: &Backtrace) -> Vec<&str> {
    trace.frames.iter().map(Frame::name).collect()
}

const IOCTL: [&str; 4] =
    ["_spin_lock_irq", "wait_for_common", "_ctl_ioctl", "system_call_fastpath"];

#[test]
fn a_system_call_is_walked_to_its_user_registers() {
    let mut scene = scene();
    let (rsp, rbp) = scene.ioctl();
    let trace = scene.unwind(SPIN + 5, rsp, rbp);
    assert_eq!(names(&trace), IOCTL);
    assert_eq!(trace.frames[2].symbol(), "_ctl_ioctl+0x35/0x40 [mpt2sas]");
    assert!(trace.frames[0].interrupted && !trace.frames[1].interrupted);
    assert_eq!(trace.saved.len(), 1);
    assert_eq!((trace.saved[0].rip, trace.saved[0].cs), (0x40_1000, 0x33));
}

#[test]
fn the_caller_is_found_wherever_in_a_function_it_stopped() {
    let mut scene = scene();
    let (_, rbp) = scene.ioctl();
    // At the entry, and at the ret: the frame does not stand, RBP is the caller's.
    for offset in [0, 7] {
        let trace = scene.unwind(SPIN + offset, STACK + 8, STACK + 0x40);
        assert_eq!(names(&trace), IOCTL, "+{offset}");
    }
    // After the push.
    assert_eq!(names(&scene.unwind(SPIN + 1, STACK, STACK + 0x40)), IOCTL);
    assert_eq!(names(&scene.unwind(SPIN + 6, STACK, rbp)), IOCTL);
}

#[test]
fn an_nmi_shows_its_own_stack_and_what_it_hit() {
    let mut scene = scene();
    let (rsp, rbp) = scene.ioctl();
    let top = NMI_STACKS + 2 * 4096;
    scene.saved(top - 168, SPIN + 5, 0x10, rsp, rbp);
    scene.frame(top - 0x200, top - 0x180, DO_NMI + 0x20);
    scene.frame(top - 0x180, (top - 168) | 1, NMI + 0x20);
    let trace = scene.unwind(PANIC + 0x20, top - 0x210, top - 0x200);
    let expected: Vec<&str> = ["panic", "do_nmi", "nmi"].into_iter().chain(IOCTL).collect();
    assert_eq!(names(&trace), expected);
    let kinds: Vec<StackKind> = trace.frames.iter().map(|frame| frame.stack).collect();
    assert_eq!(kinds[..3], [StackKind::Nmi; 3]);
    assert_eq!(kinds[3..], [StackKind::Task; 4]);
    assert_eq!(trace.saved[0].stub, "nmi");
    assert_eq!(trace.saved[0].stack, StackKind::Nmi);
    assert_eq!(trace.saved[0].gpr[gpr::RDX], 1);
    assert!(trace.frames[3].interrupted);
}

#[test]
fn garbage_ends_a_walk() {
    let mut scene = scene();
    // A frame pointer that points at itself, one that goes down, one that is not aligned.
    scene.frame(STACK + 0x40, STACK + 0x40, WAIT + 8);
    assert_eq!(names(&scene.unwind(SPIN + 5, STACK, STACK + 0x40)).len(), 2);
    scene.frame(STACK + 0x40, STACK, WAIT + 8);
    scene.frame(STACK, STACK + 0x40, WAIT + 8);
    assert_eq!(names(&scene.unwind(SPIN + 5, STACK, STACK + 0x40)).len(), 2);
    assert_eq!(names(&scene.unwind(SPIN + 5, STACK, STACK + 4)).len(), 1);
    // Registers saved within themselves, for ever.
    scene.saved(STACK + 0x100, SPIN + 5, 0x10, STACK, (STACK + 0x100) | 1);
    assert_eq!(scene.unwind(SPIN + 5, STACK, (STACK + 0x100) | 1).frames.len(), MAX_FRAMES);
    // User code, or a wild jump.
    let wild = scene.unwind(0x1234, 0, 0);
    assert_eq!(wild.frames.len(), 1);
    assert_eq!(wild.frames[0].symbol(), "0x1234");
}

#[test]
fn stacks_are_told_apart_by_their_pointers() {
    let stacks = scene().stacks;
    assert_eq!(stacks.kind(NMI_STACKS), StackKind::Task, "the lowest address is never in use");
    assert_eq!(stacks.kind(NMI_STACKS + 8), StackKind::Nmi);
    assert_eq!(stacks.kind(NMI_STACKS + 4 * 4096), StackKind::Nmi, "an empty stack");
    assert_eq!(stacks.kind(NMI_STACKS + 4 * 4096 + 8), StackKind::Task);
    assert_ne!(stacks.range(NMI_STACKS + 4096), stacks.range(NMI_STACKS + 4104));
}
