//! Virtual machine and virtual CPUs in the state in which latchup starts an image.

use super::KvmError;
use super::host::{self, GuestMemory};
use crate::image::{Image, at, selector};
use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, KVM_MP_STATE_RUNNABLE, kvm_mp_state, kvm_segment,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Longer than any image takes.
const PATIENCE_SECONDS: u64 = 5;
/// Where KVM may keep a task-state segment of its own, in the last 4 MiB below 4 GiB.
const KVM_TSS: usize = 0xfffb_d000;
/// CPUID leaf 1 ECX: x2APIC and TSC deadline, which KVM's APIC has.
const X2APIC: u32 = 1 << 21;
const TSC_DEADLINE: u32 = 1 << 24;

fn refused<E: ToString>(what: &'static str) -> impl Fn(E) -> KvmError {
    move |error| KvmError::Refused { what, why: error.to_string() }
}

pub(super) fn run(image: &Image) -> Result<Vec<u8>, KvmError> {
    let kvm = Kvm::new().map_err(|error| KvmError::Unsupported(error.to_string()))?;
    let vm = kvm.create_vm().map_err(refused("create a virtual machine"))?;
    vm.set_tss_address(KVM_TSS).map_err(refused("set the TSS address"))?;
    vm.create_irq_chip().map_err(refused("create interrupt controllers"))?;
    let mut memory = GuestMemory::new(&vm, at::MEMORY as usize)?;
    for (addr, bytes) in page_tables().iter().chain(&image.parts) {
        memory.write(*addr, bytes);
    }
    let cpuid = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(refused("read the supported CPUID"))?;
    let (sender, ended) = mpsc::channel();
    let mut cpus = Vec::new();
    for cpu in 0..image.cpus as u64 {
        cpus.push(virtual_cpu(&vm, &cpuid, cpu)?);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for mut cpu in cpus {
        let (sender, stop) = (sender.clone(), Arc::clone(&stop));
        // The receiver is gone only if another CPU has failed: then nobody wants to know.
        threads.push(std::thread::spawn(move || {
            sender.send(drive(&mut cpu, &stop)).ok();
        }));
    }
    let wait = |_| {
        let end = ended.recv_timeout(Duration::from_secs(PATIENCE_SECONDS));
        end.unwrap_or(Err(KvmError::Endless(PATIENCE_SECONDS)))
    };
    let ends: Result<Vec<()>, KvmError> = (0..image.cpus).map(wait).collect();
    stop.store(true, Ordering::SeqCst);
    host::end_all(threads);
    ends?;
    Ok(memory.read(at::LOG, at::END))
}

/// Four levels that map memory and the APIC one to one, for all rings.
fn page_tables() -> Vec<(u64, Vec<u8>)> {
    const TABLE: u64 = 7;
    const LARGE: u64 = 0x87;
    const UNCACHED: u64 = 0x18;
    let [top, middle, low, high] = [0, 1, 2, 3].map(|n| at::PAGE_TABLES + 0x1000 * n);
    let apic = (at::APIC >> 21) & 0x1ff;
    let entries = [
        (top, middle | TABLE),
        (middle, low | TABLE),
        (middle + 8 * (at::APIC >> 30), high | TABLE),
        (low, LARGE),
        (low + 8, 0x20_0000 | LARGE),
        (high + 8 * apic, at::APIC & !0x1f_ffff | LARGE | UNCACHED),
    ];
    entries.map(|(addr, entry)| (addr, entry.to_le_bytes().to_vec())).to_vec()
}

/// A virtual CPU in the registers that `sim_x86::Machine::start_core` gives.
fn virtual_cpu(vm: &VmFd, cpuid: &CpuId, cpu: u64) -> Result<VcpuFd, KvmError> {
    let fd = vm.create_vcpu(cpu).map_err(refused("create a virtual CPU"))?;
    let mut cpuid = cpuid.clone();
    for leaf in cpuid.as_mut_slice() {
        match leaf.function {
            1 => {
                leaf.ebx = leaf.ebx & 0xff_ffff | (cpu as u32) << 24;
                leaf.ecx |= X2APIC | TSC_DEADLINE;
            }
            0xb | 0x1f => leaf.edx = cpu as u32,
            _ => {}
        }
    }
    fd.set_cpuid2(&cpuid).map_err(refused("set CPUID"))?;
    let mut sregs = fd.get_sregs().map_err(refused("read system registers"))?;
    let code = kvm_segment {
        selector: selector::KERNEL_CODE,
        limit: u32::MAX,
        type_: 0xb,
        present: 1,
        s: 1,
        l: 1,
        g: 1,
        ..kvm_segment::default()
    };
    let data = kvm_segment { selector: selector::KERNEL_DATA, type_: 3, l: 0, db: 1, ..code };
    let null = kvm_segment { unusable: 1, ..kvm_segment::default() };
    (sregs.cs, sregs.ss) = (code, data);
    (sregs.ds, sregs.es, sregs.fs, sregs.gs) = (null, null, null, null);
    sregs.cr0 = 0x8005_0033;
    sregs.cr3 = at::PAGE_TABLES;
    sregs.cr4 = 0x6f8;
    sregs.efer = 0xd01;
    fd.set_sregs(&sregs).map_err(refused("set system registers"))?;
    let mut regs = fd.get_regs().map_err(refused("read registers"))?;
    regs.rip = at::CODE;
    regs.rflags = 2;
    regs.rdi = cpu;
    regs.rsp = at::STACKS[0] + 0x1_0000 * cpu;
    for register in [&mut regs.rax, &mut regs.rbx, &mut regs.rcx, &mut regs.rdx] {
        *register = 0;
    }
    fd.set_regs(&regs).map_err(refused("set registers"))?;
    let runnable = kvm_mp_state { mp_state: KVM_MP_STATE_RUNNABLE };
    fd.set_mp_state(runnable).map_err(refused("start a virtual CPU"))?;
    Ok(fd)
}

/// Runs a virtual CPU until it writes port 0xf4, or is kicked to stop.
fn drive(cpu: &mut VcpuFd, stop: &AtomicBool) -> Result<(), KvmError> {
    while !stop.load(Ordering::SeqCst) {
        match cpu.run() {
            Ok(VcpuExit::IoOut(0xf4, _)) => return Ok(()),
            Ok(VcpuExit::Intr) => {}
            Ok(exit) => {
                let exit = format!("{exit:?}");
                let regs = cpu.get_regs().map(|regs| format!("{regs:x?}")).unwrap_or_default();
                return Err(KvmError::Stopped(format!("{exit} {regs}")));
            }
            Err(error) if error.errno() == libc::EINTR => {}
            Err(error) => return Err(KvmError::Stopped(error.to_string())),
        }
    }
    Err(KvmError::Endless(PATIENCE_SECONDS))
}
