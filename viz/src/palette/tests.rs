//! Colours that may meet in one picture stay apart for every kind of eye.

use super::*;

type Rgb = [f64; 3];

/// Simulation matrices for full dichromacy in linear RGB, from Machado, Oliveira and Fernandes,
/// "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), table 1.
const DICHROMACIES: [(&str, [Rgb; 3]); 3] = [
    (
        "protanopia",
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ),
];

fn linear(color: Color) -> Rgb {
    let channel = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    [channel(color.rgb.0), channel(color.rgb.1), channel(color.rgb.2)]
}

fn times(m: &[Rgb; 3], v: Rgb) -> Rgb {
    let row = |r: &Rgb| (r[0] * v[0] + r[1] * v[1] + r[2] * v[2]).clamp(0.0, 1.0);
    [row(&m[0]), row(&m[1]), row(&m[2])]
}

/// CIE L*a*b* (D65) of linear sRGB.
fn lab(rgb: Rgb) -> Rgb {
    let xyz = times(
        &[
            [0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505],
            [0.2126, 0.7152, 0.0722],
            [0.0193 / 1.089, 0.1192 / 1.089, 0.9505 / 1.089],
        ],
        rgb,
    );
    let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let [x, y, z] = xyz.map(f);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn distance(a: Rgb, b: Rgb) -> f64 {
    a.iter().zip(b).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt()
}

fn least_distance(colors: &[(String, Color)], see: impl Fn(Rgb) -> Rgb) -> (f64, String) {
    let mut least = (f64::INFINITY, String::new());
    for (i, (name, a)) in colors.iter().enumerate() {
        for (other, b) in &colors[i + 1..] {
            let d = distance(lab(see(linear(*a))), lab(see(linear(*b))));
            if d < least.0 {
                least = (d, format!("{name} and {other}"));
            }
        }
    }
    least
}

fn assert_apart(colors: &[(String, Color)], least: f64) {
    for (eye, matrix) in &DICHROMACIES {
        let (d, pair) = least_distance(colors, |c| times(matrix, c));
        assert!(d > least, "{eye}: {pair} are {d:.1} apart");
    }
    let (d, pair) = least_distance(colors, |c| c);
    assert!(d > least, "{pair} are {d:.1} apart");
}

#[test]
fn activities_are_apart_for_every_eye() {
    let colors: Vec<_> =
        ACTIVITIES.map(|a| (activity_name(a).to_owned(), activity(a))).into_iter().collect();
    // Two colours 10 apart in L*a*b* are told apart at a glance; side by side, 2 will do.
    assert_apart(&colors, 15.0);
}

/// A colour for each of `kinds`, in order.
fn findings(kinds: &[&str]) -> Vec<(String, Color)> {
    let mut findings = Findings::default();
    kinds.iter().map(|kind| ((*kind).to_owned(), findings.next(kind))).collect()
}

#[test]
fn common_findings_are_apart_for_every_eye() {
    let kinds = ["ok", "hard-lockup", "soft-lockup", "lost-completion", "deadlock", "fault"];
    assert_apart(&findings(&kinds), 10.0);
}

#[test]
fn lock_words_are_apart_for_every_eye() {
    let word = "lock-corrupted";
    assert_apart(&findings(&["lost-completion", word, word, word, word, "ok"]), 10.0);
}

#[test]
fn unknown_kinds_get_colours_in_order() {
    let kinds: Vec<String> = (0..22).map(|i| format!("brand-new-{i}")).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let colors = findings(&kinds);
    assert_ne!(colors[0].1, colors[1].1);
    assert_eq!(colors[0].1, colors[SPARE.len()].1, "from the start");
}
