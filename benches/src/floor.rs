//! The floor: the leanest predecoded interpreter that still checks an L1D and an L1I tag per
//! access. It runs a toy instruction set, has no coherence, no store buffer, no interrupts, and is
//! written for comparison only: what this host can do at best with this technique.

/// Operations of the toy machine.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Load,
    Store,
    Lea5,
    Xor,
    Add,
    Mov,
    ShrImm,
    TestImm,
    JumpZero,
    JumpNotZero,
    Jump,
    AddImm,
    SubImm,
    MovImm,
}

/// A predecoded instruction.
#[derive(Clone, Copy, Debug)]
struct Op {
    kind: Kind,
    dst: u8,
    src: u8,
    imm: i32,
}

const SETS: usize = 64;
const WAYS: usize = 8;

/// Tags of an 8-way, 64-set cache, each set in recency order.
#[derive(Debug)]
struct Tags(Vec<u64>);

impl Tags {
    fn new() -> Self {
        Tags(vec![u64::MAX; SETS * WAYS])
    }

    #[inline(always)]
    fn touch(&mut self, line: u64) -> bool {
        let first = (line as usize % SETS) * WAYS;
        let set = &mut self.0[first..first + WAYS];
        if set[0] == line {
            return true;
        }
        let found = set.iter().position(|&tag| tag == line);
        set[..=found.unwrap_or(WAYS - 1)].rotate_right(1);
        set[0] = line;
        found.is_some()
    }
}

/// The toy machine with the integer loop of [`crate::programs::integer_loop`].
#[derive(Debug)]
pub struct Floor {
    ops: Vec<Op>,
    regs: [u64; 16],
    zero: bool,
    pc: usize,
    memory: Vec<u64>,
    l1d: Tags,
    l1i: Tags,
    code_line: u64,
    clock: u64,
}

impl Default for Floor {
    fn default() -> Self {
        Floor::new()
    }
}

impl Floor {
    /// The loop, about to begin.
    #[must_use]
    pub fn new() -> Self {
        let op = |kind, dst, src, imm| Op { kind, dst, src, imm };
        let ops = vec![
            op(Kind::MovImm, 6, 0, 0),
            op(Kind::MovImm, 1, 0, 512),
            op(Kind::Load, 0, 6, 0),
            op(Kind::Lea5, 2, 0, 7),
            op(Kind::Xor, 2, 3, 0),
            op(Kind::Add, 3, 2, 0),
            op(Kind::Mov, 9, 2, 0),
            op(Kind::ShrImm, 2, 0, 7),
            op(Kind::Store, 6, 2, 0),
            op(Kind::TestImm, 9, 0, 1),
            op(Kind::JumpZero, 0, 0, 12),
            op(Kind::AddImm, 8, 0, 1),
            op(Kind::AddImm, 6, 0, 8),
            op(Kind::SubImm, 1, 0, 1),
            op(Kind::JumpNotZero, 0, 0, 2),
            op(Kind::Jump, 0, 0, 0),
        ];
        Floor {
            ops,
            regs: [0; 16],
            zero: false,
            pc: 0,
            memory: vec![0; 512],
            l1d: Tags::new(),
            l1i: Tags::new(),
            code_line: u64::MAX,
            clock: 0,
        }
    }

    /// Executes `count` instructions; returns a value that depends on all of them.
    pub fn run(&mut self, count: u64) -> u64 {
        for _ in 0..count {
            self.step();
        }
        self.clock ^ self.regs[3]
    }

    #[inline(always)]
    fn step(&mut self) {
        // Four bytes an instruction.
        let line = self.pc as u64 / 16;
        if line != self.code_line {
            self.clock += if self.l1i.touch(line) { 0 } else { 10 };
            self.code_line = line;
        }
        let op = self.ops[self.pc];
        let (dst, src) = (usize::from(op.dst & 15), usize::from(op.src & 15));
        self.pc += 1;
        self.clock += 1;
        match op.kind {
            Kind::Load => {
                let addr = self.regs[src];
                self.clock += if self.l1d.touch(addr / 64) { 4 } else { 10 };
                self.regs[dst] = self.memory[addr as usize / 8 % 512];
            }
            Kind::Store => {
                let addr = self.regs[dst];
                self.clock += if self.l1d.touch(addr / 64) { 0 } else { 10 };
                self.memory[addr as usize / 8 % 512] = self.regs[src];
            }
            Kind::Lea5 => self.regs[dst] = self.regs[src].wrapping_mul(5).wrapping_add(7),
            Kind::Xor => self.set(dst, self.regs[dst] ^ self.regs[src]),
            Kind::Add => self.set(dst, self.regs[dst].wrapping_add(self.regs[src])),
            Kind::Mov => self.regs[dst] = self.regs[src],
            Kind::ShrImm => self.set(dst, self.regs[dst] >> (op.imm & 63)),
            Kind::TestImm => self.zero = self.regs[dst] & op.imm as u64 == 0,
            Kind::JumpZero if self.zero => self.pc = op.imm as usize,
            Kind::JumpNotZero if !self.zero => self.pc = op.imm as usize,
            Kind::JumpZero | Kind::JumpNotZero => {}
            Kind::Jump => self.pc = op.imm as usize,
            Kind::AddImm => self.set(dst, self.regs[dst].wrapping_add(op.imm as u64)),
            Kind::SubImm => self.set(dst, self.regs[dst].wrapping_sub(op.imm as u64)),
            Kind::MovImm => self.regs[dst] = op.imm as u64,
        }
    }

    #[inline(always)]
    fn set(&mut self, dst: usize, value: u64) {
        self.regs[dst] = value;
        self.zero = value == 0;
    }
}
