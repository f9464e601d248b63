use latchup_benches::{floor::Floor, programs};
use sim_x86::Speed;
use std::time::Instant;
fn main() {
    let skip = Speed::default();
    let none = Speed { run_ahead: true, skip_loops: false };
    let mut floor = Floor::new();
    floor.run(1_000_000);
    let t = Instant::now();
    let x = floor.run(20_000_000);
    println!("(h) floor {:.1} MIPS ({x})", 20.0 / t.elapsed().as_secs_f64());
    let mut go = |name: &str, mut m: sim_x86::Machine, warm: u64, cycles: u64, speed| {
        if std::env::args().nth(1).is_some_and(|f| !name.contains(&f)) {
            return;
        }
        let w = m.now() + warm;
        m.run(w, speed, &mut ());
        let (i, e, t) = (m.instructions(), m.executed(), Instant::now());
        let u = m.now() + cycles;
        m.run(u, speed, &mut ());
        let s = t.elapsed().as_secs_f64();
        println!(
            "{name}: {:.1} MIPS, executed {:.1} MIPS, {:.3}s",
            (m.instructions() - i) as f64 / s / 1e6,
            (m.executed() - e) as f64 / s / 1e6,
            s
        );
    };
    go("(a) 1 busy", programs::machine(1, programs::integer_loop), 100_000, 200_000_000, skip);
    go("(b) 24 busy", programs::machine(24, programs::integer_loop), 100_000, 1_000_000, skip);
    go("(b) 96 busy", programs::machine(24, programs::integer_loop), 100_000, 1_000_000, skip);
    for n in [2, 8, 24] {
        go(
            &format!("(c) lock {n} all"),
            programs::machine(n, programs::ticket_lock),
            100_000,
            1_000_000,
            none,
        );
        go(
            &format!("(c) lock {n} skip"),
            programs::machine(n, programs::ticket_lock),
            100_000,
            1_000_000,
            skip,
        );
    }
    go("(d) chase", programs::machine(1, programs::pointer_chase), 40_000_000, 20_000_000, skip);
}
