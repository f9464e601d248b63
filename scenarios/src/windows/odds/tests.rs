use super::*;
use crate::windows::table::Window;
use crate::windows::toy;

const CLOCK: Hertz = Hertz(2_000_000_000);

fn law(text: &str) -> Law {
    Law::parse(text, CLOCK).unwrap_or_else(|diags| panic!("{text}: {diags}"))
}

fn laws() -> Vec<Law> {
    let mut laws: Vec<Law> = [
        "30cy",
        "Uniform(\"10cy\", \"50cy\")",
        "Normal(\"12cy\", \"9cy\")",
        "Normal(mean: \"40cy\", sd: \"0cy\")",
        "LogNormal(median: \"20cy\", sigma: 0.7)",
        "LogNormal(median: \"20cy\", sigma: 0.0)",
    ]
    .map(law)
    .into();
    laws.push(Law::Measured(vec![3, 3, 5, 40, 41]));
    laws
}

/// Windows between these ends, the first from 0.
fn table(ends: &[u64]) -> Table {
    let starts = std::iter::once(0).chain(ends.iter().map(|end| end + 1));
    let window = |(i, (lo, hi))| Window { lo, hi, verdict: Some(toy::verdict(i)) };
    let windows = starts.zip(ends.iter().copied()).enumerate().map(window).collect();
    Table { windows, edges: Vec::new() }
}

#[test]
fn single_cycles_add_up_to_one() {
    for law in laws() {
        let sum: f64 = (0..2_000).map(|cycle| law.probability(cycle, cycle)).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{law:?}: {sum}");
        assert!((law.probability(0, u64::MAX) - 1.0).abs() < 1e-12, "{law:?}");
        let split = law.probability(0, 17) + law.probability(18, u64::MAX);
        assert!((split - 1.0).abs() < 1e-12, "{law:?}: {split}");
    }
}

#[test]
fn every_cycle_is_drawn_as_often_as_integration_says() {
    const N: u64 = 200_000;
    for law in laws() {
        let mut stream = Stream::new(5, "odds");
        let mut counts = [0u64; 400];
        for _ in 0..N {
            counts[(law.draw(&mut stream) as usize).min(399)] += 1;
        }
        for (cycle, &count) in (0u64..).zip(&counts).take(120) {
            let p = law.probability(cycle, cycle);
            let sd = (N as f64 * p * (1.0 - p)).sqrt();
            let off = count as f64 - N as f64 * p;
            // Few draws are not normally distributed: a handful more may come.
            let few = if p > 0.0 { 4.0 } else { 0.0 };
            assert!(off.abs() <= 5.0 * sd + few, "{law:?} at {cycle}: {count}, {off} off");
        }
    }
}

#[test]
fn rare_windows_keep_their_digits() {
    let law = law("LogNormal(median: \"250000cy\", sigma: 0.5)");
    // Where a prototype found the lockup: eight cycles below a third of the median.
    let rare = law.probability(79_252, 79_259);
    let density = (-(libm::log(79_255.5 / 250_000.0) / 0.5).powi(2) / 2.0).exp()
        / (79_255.5 * 0.5 * (2.0 * std::f64::consts::PI).sqrt());
    assert!((rare / (8.0 * density) - 1.0).abs() < 1e-6, "{rare}");
    let tail = law.probability(20_000_000, 30_000_000);
    assert!(tail > 0.0 && tail < 1e-17, "{tail}");
}

#[test]
fn equal_verdicts_add_up_and_the_rest_is_outside() {
    let odds = Odds::new(&table(&[9, 19, 29]), &law("Uniform(\"5cy\", \"44cy\")"));
    let shares: Vec<f64> = odds.chances.iter().map(|chance| chance.probability).collect();
    assert_eq!(shares, [5.0 / 40.0, 10.0 / 40.0, 10.0 / 40.0]);
    assert!((odds.outside - 15.0 / 40.0).abs() < 1e-12);
    assert!((odds.failure() - 15.0 / 40.0).abs() < 1e-12);
    let open = Table { windows: vec![Window { lo: 10, hi: 24, verdict: None }], edges: Vec::new() };
    let odds = Odds::new(&open, &law("Uniform(\"5cy\", \"44cy\")"));
    assert_eq!((odds.failure(), odds.unknown()), (0.0, 1.0));
}

#[test]
fn the_first_failure_has_the_geometric_quantiles() {
    let first = First::of(0.5).expect("it happens");
    assert_eq!((first.mean, first.early, first.median, first.late), (2.0, 1.0, 1.0, 6.0));
    let rare = First::of(1e-9).expect("it happens");
    assert!((rare.median / (rare.mean * 2f64.ln()) - 1.0).abs() < 1e-6);
    assert!((rare.late / (rare.mean * 40f64.ln()) - 1.0).abs() < 1e-6);
    assert_eq!(First::of(1.0).map(|first| first.late), Some(1.0));
    assert_eq!(First::of(0.0), None);
}

#[test]
fn wrong_distributions_are_explained() {
    let error = |text| Law::parse(text, CLOCK).expect_err(text).to_string();
    assert!(error("LogNormal(median: \"40us\")").contains("sigma"));
    assert!(error("Lognormal(median: \"40us\", sigma: 1)").contains("LogNormal"));
    assert!(error("Listed([\"1us\"])").contains("csv:"), "{}", error("Listed([\"1us\"])"));
    assert!(error("Uniform(\"2us\", \"1us\")").contains("below the least"));
}
