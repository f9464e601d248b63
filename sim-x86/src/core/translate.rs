//! Linear to physical: the one seam behind which paging can follow.
//!
//! The kernel map places what 2.6.32 on x86-64 places (kernel text, modules, direct map, fixmap,
//! ioremap area, user space) at the same linear addresses, over a small physical memory:
//!
//! | linear | physical | access |
//! |---|---|---|
//! | `0x1_0000 .. 0x4000_0000` | `0x4000_0000 +` | rings 0 and 3, write-back |
//! | `ffff8800_00000000 +` 64 GiB | `0 +` | ring 0, write-back |
//! | `ffffc900_00000000 +` 256 MiB | `0xe000_0000 +` | ring 0, device registers |
//! | `ffffffff_80000000 +` `0x7f00_0000` | `0 +` | ring 0, write-back |
//! | `ffffffff_ff5fc000 +` 4 KiB | `0xfee0_0000 +` | ring 0, local APIC |

use crate::exec::Exception;
use crate::ids::PhysAddr;
use crate::spec::Translation;

/// Physical base of the local APIC's register page (SDM vol. 3A §10.4.1).
pub const APIC_BASE: u64 = 0xfee0_0000;
/// Physical base of device registers.
pub const DEVICE_BASE: u64 = 0xe000_0000;
/// Bytes of device registers.
pub const DEVICE_BYTES: u64 = 0x1000_0000;
/// Physical base of user memory in the kernel map.
pub const USER_BASE: u64 = 0x4000_0000;

const USER_FIRST: u64 = 0x1_0000;
const USER_END: u64 = 0x4000_0000;
const DIRECT_MAP: u64 = 0xffff_8800_0000_0000;
const DIRECT_BITS: u32 = 36;
const IOREMAP: u64 = 0xffff_c900_0000_0000;
const KERNEL: u64 = 0xffff_ffff_8000_0000;
const KERNEL_BYTES: u64 = 0x7f00_0000;
const FIXMAP_APIC: u64 = 0xffff_ffff_ff5f_c000;

/// What lies at a linear address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Memory.
    Ram(PhysAddr),
    /// Device registers, uncached.
    Device(PhysAddr),
    /// The CPU's own local APIC: offset into its page.
    Apic(u32),
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Data read.
    Read,
    /// Data write.
    Write,
    /// Instruction fetch.
    Fetch,
}

/// True if bits 63:47 are all alike.
#[inline]
#[must_use]
pub fn is_canonical(addr: u64) -> bool {
    ((addr as i64) << 16 >> 16) as u64 == addr
}

/// Linear addresses of what nearly every access goes to: up to two ranges of RAM, both from physical
/// address 0 on. Whatever is in neither takes a closer look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainRam {
    /// Base and length.
    first: (u64, u64),
    second: (u64, u64),
}

impl PlainRam {
    /// No address at all.
    pub const NOTHING: PlainRam = PlainRam { first: (0, 0), second: (0, 0) };

    /// What ring 3 (`user`) or ring 0 reaches under `map`.
    #[inline]
    #[must_use]
    pub fn of(map: Translation, user: bool) -> Self {
        match map {
            Translation::Kernel if user => PlainRam::NOTHING,
            Translation::Kernel => {
                PlainRam { first: (DIRECT_MAP, DEVICE_BASE), second: (KERNEL, KERNEL_BYTES) }
            }
            Translation::Identity => PlainRam { first: (0, DEVICE_BASE), second: (0, 0) },
        }
    }

    /// Where `addr` lies in RAM, if it is plain. HOT: two subtractions and comparisons.
    #[inline(always)]
    #[must_use]
    pub fn find(&self, addr: u64) -> Option<PhysAddr> {
        let first = addr.wrapping_sub(self.first.0);
        if first < self.first.1 {
            return Some(PhysAddr(first));
        }
        let second = addr.wrapping_sub(self.second.0);
        (second < self.second.1).then_some(PhysAddr(second))
    }
}

/// Translates `addr` for an access from ring 3 (`user`) or ring 0.
///
/// # Errors
/// #GP(0) for a non-canonical address, #PF with its error code otherwise.
#[inline]
pub fn translate(
    map: Translation,
    addr: u64,
    user: bool,
    purpose: Purpose,
) -> Result<Target, Exception> {
    match PlainRam::of(map, user).find(addr) {
        Some(addr) => Ok(Target::Ram(addr)),
        None => match map {
            Translation::Kernel => kernel(addr, user, purpose),
            Translation::Identity => identity(addr, user, purpose),
        },
    }
}

fn kernel(addr: u64, user: bool, purpose: Purpose) -> Result<Target, Exception> {
    if (USER_FIRST..USER_END).contains(&addr) {
        return Ok(Target::Ram(PhysAddr(addr + USER_BASE)));
    }
    let target = if addr >> DIRECT_BITS == DIRECT_MAP >> DIRECT_BITS {
        physical(addr & ((1 << DIRECT_BITS) - 1))
    } else if addr.wrapping_sub(IOREMAP) < DEVICE_BYTES {
        Some(Target::Device(PhysAddr(addr - IOREMAP + DEVICE_BASE)))
    } else if addr & !0xfff == FIXMAP_APIC {
        Some(Target::Apic((addr & 0xfff) as u32))
    } else if addr.wrapping_sub(KERNEL) < KERNEL_BYTES {
        Some(Target::Ram(PhysAddr(addr - KERNEL)))
    } else {
        None
    };
    match target {
        Some(target) if !user => Ok(target),
        Some(_) => Err(page_fault(addr, true, user, purpose)),
        None if !is_canonical(addr) => Err(Exception::GeneralProtection(0)),
        None => Err(page_fault(addr, false, user, purpose)),
    }
}

fn identity(addr: u64, user: bool, purpose: Purpose) -> Result<Target, Exception> {
    if !is_canonical(addr) {
        return Err(Exception::GeneralProtection(0));
    }
    physical(addr).ok_or_else(|| page_fault(addr, false, user, purpose))
}

/// What lies at a physical address; RAM's end is checked by the caller.
fn physical(addr: u64) -> Option<Target> {
    match addr {
        _ if addr & !0xfff == APIC_BASE => Some(Target::Apic((addr & 0xfff) as u32)),
        _ if addr.wrapping_sub(DEVICE_BASE) < DEVICE_BYTES => Some(Target::Device(PhysAddr(addr))),
        _ if addr < DEVICE_BASE => Some(Target::Ram(PhysAddr(addr))),
        _ => None,
    }
}

/// #PF with the error code of SDM vol. 3A §4.7.
#[must_use]
pub fn page_fault(addr: u64, present: bool, user: bool, purpose: Purpose) -> Exception {
    let code = u16::from(present)
        | u16::from(purpose == Purpose::Write) << 1
        | u16::from(user) << 2
        | u16::from(purpose == Purpose::Fetch) << 4;
    Exception::PageFault { addr, code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(addr: u64, user: bool, purpose: Purpose) -> Result<Target, Exception> {
        translate(Translation::Kernel, addr, user, purpose)
    }

    #[test]
    fn the_kernel_map() {
        let ram = |addr| Ok(Target::Ram(PhysAddr(addr)));
        assert_eq!(kernel(0xffff_ffff_8100_0000, false, Purpose::Fetch), ram(0x100_0000));
        assert_eq!(kernel(0xffff_ffff_a000_0010, false, Purpose::Read), ram(0x2000_0010));
        assert_eq!(kernel(0xffff_8800_0600_0000, false, Purpose::Read), ram(0x600_0000));
        assert_eq!(kernel(0x40_0000, true, Purpose::Fetch), ram(0x4040_0000));
        assert_eq!(
            kernel(0xffff_c900_0001_0004, false, Purpose::Write),
            Ok(Target::Device(PhysAddr(0xe001_0004)))
        );
        assert_eq!(kernel(0xffff_ffff_ff5f_c300, false, Purpose::Write), Ok(Target::Apic(0x300)));
    }

    #[test]
    fn faults_carry_their_reason() {
        let fault = |addr, code| Err(Exception::PageFault { addr, code });
        assert_eq!(kernel(8, false, Purpose::Read), fault(8, 0));
        assert_eq!(kernel(8, true, Purpose::Write), fault(8, 6));
        let text = 0xffff_ffff_8100_0000;
        assert_eq!(kernel(text, true, Purpose::Read), fault(text, 5));
        assert_eq!(kernel(text, true, Purpose::Fetch), fault(text, 0x15));
        let gp = Err(Exception::GeneralProtection(0));
        assert_eq!(kernel(0x8000_0000_0000_0000, false, Purpose::Read), gp);
    }
}
