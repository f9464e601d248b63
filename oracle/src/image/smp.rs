//! Two CPUs that interrupt each other.

use super::at;
use super::kit::{Built, Expected, Image, Kit, action, image_of_two};
use iced_x86::code_asm::*;

const FLAGS: u64 = action::EOI | action::ANY_PLACE;
/// CPU 1 says here that it is ready.
const READY: u64 = at::SCRATCH + 0x100;

pub(super) fn images() -> Vec<Image> {
    vec![
        pair(
            "ipi",
            |k| k.send_to(1, 0x91),
            spin,
            |k| {
                k.on(0x91, FLAGS, 0);
                k.expect(Expected::Vectors(1, vec![0x91]));
            },
        ),
        pair(
            "ipi-wakes-hlt",
            |k| k.send_to(1, 0x92),
            sleep,
            |k| {
                k.on(0x92, FLAGS, 0);
                k.expect(Expected::Vectors(1, vec![0x92]));
            },
        ),
        pair(
            "ipi-all-but-self",
            |k| k.apic(0x300, 3 << 18 | 0x93),
            spin,
            |k| {
                k.on(0x93, FLAGS, 0);
                k.expect(Expected::Vectors(0, vec![]));
                k.expect(Expected::Vectors(1, vec![0x93]));
            },
        ),
        pair(
            "ipi-all",
            |k| {
                k.apic(0x300, 2 << 18 | 0x94)?;
                k.delay()?;
                k.a.sti()?;
                k.delay()?;
                k.a.cli()
            },
            spin,
            |k| {
                k.on(0x94, FLAGS, 0);
                k.expect(Expected::Vectors(0, vec![0x94]));
                k.expect(Expected::Vectors(1, vec![0x94]));
            },
        ),
        pair(
            "ipi-logical",
            |k| k.send_to(2, 1 << 11 | 0x95),
            spin,
            |k| {
                k.on(0x95, FLAGS, 0);
                k.expect(Expected::Vectors(1, vec![0x95]));
            },
        ),
        pair(
            "nmi-wakes-hlt-with-if-clear",
            |k| k.send_to(1, 4 << 8),
            sleep_closed,
            |k| {
                k.on(2, action::ANY_PLACE, 0);
                k.expect(Expected::Vectors(1, vec![2]));
            },
        ),
        image_of_two("ping-pong", ping_pong),
    ]
}

/// CPU 1 gets ready and waits its own way; CPU 0 then sends, and waits for CPU 1's log.
fn pair(
    name: &'static str,
    send: impl FnOnce(&mut Kit) -> Built,
    wait: impl FnOnce(&mut Kit) -> Built,
    expect: impl FnOnce(&mut Kit),
) -> Image {
    image_of_two(name, |k| {
        expect(k);
        let (mut other, mut done) = (k.a.create_label(), k.a.create_label());
        // Logical ids, as is the custom: a bit per CPU.
        k.a.mov(ecx, edi)?;
        k.a.mov(eax, 1 << 24)?;
        k.a.shl(eax, cl)?;
        k.a.mov(dword_ptr(r15 + 0xd0), eax)?;
        k.a.test(edi, edi)?;
        k.a.jnz(other)?;
        let mut again = k.a.create_label();
        k.a.set_label(&mut again)?;
        k.a.pause()?;
        k.a.cmp(dword_ptr(READY), 1)?;
        k.a.jne(again)?;
        k.delay()?;
        send(k)?;
        k.wait_log(1, 1)?;
        k.a.jmp(done)?;
        k.a.set_label(&mut other)?;
        k.a.mov(dword_ptr(READY), 1)?;
        wait(k)?;
        k.a.set_label(&mut done)?;
        k.a.nop()
    })
}

fn spin(k: &mut Kit) -> Built {
    k.a.sti()?;
    k.wait_log(1, 1)?;
    k.a.cli()
}

fn sleep(k: &mut Kit) -> Built {
    k.a.sti()?;
    k.a.hlt()?;
    k.a.cli()
}

fn sleep_closed(k: &mut Kit) -> Built {
    k.a.hlt()
}

/// Each sends ten interrupts to the other, the next one from the handler of the last.
fn ping_pong(k: &mut Kit) -> Built {
    const ROUNDS: i32 = 10;
    let (mut other, mut wait, mut closed) =
        (k.a.create_label(), k.a.create_label(), k.a.create_label());
    k.hook(0xa0, FLAGS, |k| {
        let mut enough = k.a.create_label();
        k.a.cmp(dword_ptr(at::LOG + 0x1_0000), ROUNDS)?;
        k.a.jae(enough)?;
        k.a.mov(eax, edi)?;
        k.a.xor(eax, 1)?;
        k.a.shl(eax, 24)?;
        k.a.mov(dword_ptr(r15 + 0x310), eax)?;
        k.a.mov(dword_ptr(r15 + 0x300), 0xa0)?;
        k.a.set_label(&mut enough)?;
        k.a.nop()
    })?;
    k.a.test(edi, edi)?;
    k.a.jnz(other)?;
    let mut again = k.a.create_label();
    k.a.set_label(&mut again)?;
    k.a.cmp(dword_ptr(READY), 1)?;
    k.a.jne(again)?;
    k.send_to(1, 0xa0)?;
    k.a.jmp(wait)?;
    k.a.set_label(&mut other)?;
    k.a.mov(dword_ptr(READY), 1)?;
    k.a.set_label(&mut wait)?;
    k.a.sti()?;
    k.a.set_label(&mut closed)?;
    k.a.pause()?;
    k.a.cmp(dword_ptr(at::LOG + 0x1_0000), ROUNDS)?;
    k.a.jb(closed)?;
    k.a.cli()?;
    k.expect(Expected::Vectors(0, vec![0xa0; 9]));
    k.expect(Expected::Vectors(1, vec![0xa0; 10]));
    Ok(())
}
