//! The memory of a virtual machine, and a kick for virtual CPUs: the one place where KVM needs
//! `unsafe`.

#![allow(unsafe_code, reason = "memory shared with virtual CPUs, signals; audited as a whole")]

use super::KvmError;
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::thread::JoinHandle;
use std::time::Duration;

/// Anonymous memory that is a virtual machine's RAM from address 0 on. It is never unmapped, so
/// that no virtual CPU can outlive it.
#[derive(Debug)]
pub(super) struct GuestMemory {
    start: *mut u8,
    bytes: usize,
}

impl GuestMemory {
    /// Zeroed memory as RAM of `vm`.
    pub(super) fn new(vm: &VmFd, bytes: usize) -> Result<Self, KvmError> {
        const PROTECTION: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
        const FLAGS: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping wherever there is room.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, PROTECTION, FLAGS, -1, 0) };
        if start == libc::MAP_FAILED {
            let why = std::io::Error::last_os_error().to_string();
            return Err(KvmError::Refused { what: "map memory", why });
        }
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: bytes as u64,
            userspace_addr: start as u64,
        };
        // SAFETY: the mapping is `bytes` long and stays for the life of the process.
        unsafe { vm.set_user_memory_region(region) }
            .map_err(|error| KvmError::Refused { what: "give memory", why: error.to_string() })?;
        Ok(GuestMemory { start: start.cast(), bytes })
    }

    /// Copies `bytes` to `addr`. No virtual CPU may run.
    pub(super) fn write(&mut self, addr: u64, bytes: &[u8]) {
        let at = addr as usize;
        assert!(at + bytes.len() <= self.bytes, "inside memory");
        // SAFETY: in bounds, as just checked; nobody else holds a reference to the mapping.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(at), bytes.len()) };
    }

    /// A copy of memory from `from` to `to`. All virtual CPUs must have stopped.
    pub(super) fn read(&self, from: u64, to: u64) -> Vec<u8> {
        let (from, to) = (from as usize, to as usize);
        assert!(from <= to && to <= self.bytes, "inside memory");
        let mut copy = vec![0; to - from];
        // SAFETY: in bounds, as just checked, and `copy` is as long.
        unsafe { ptr::copy_nonoverlapping(self.start.add(from), copy.as_mut_ptr(), copy.len()) };
        copy
    }
}

/// Signal that makes `KVM_RUN` return.
const KICK: libc::c_int = libc::SIGUSR1;

extern "C" fn on_kick(_signal: libc::c_int) {}

/// Interrupts the threads until all have ended: each must look, after a kick, whether it is to end.
pub(super) fn end_all(threads: Vec<JoinHandle<()>>) {
    // SAFETY: the handler does nothing, so it is safe at any time; nothing else uses the signal.
    unsafe { libc::signal(KICK, on_kick as *const () as libc::sighandler_t) };
    for thread in threads {
        while !thread.is_finished() {
            // SAFETY: the thread has not been joined, so its handle is valid.
            unsafe { libc::pthread_kill(thread.as_pthread_t(), KICK) };
            std::thread::sleep(Duration::from_millis(1));
        }
        // It cannot have panicked in a way that matters: its result was sent before.
        thread.join().ok();
    }
}
