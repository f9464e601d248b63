//! Drawing latencies from their distributions.
//!
//! Logarithms and cosines come from `libm`, not from the host's mathematics library, so that
//! a seed gives the same cycles on every host.

use super::Latency;
use serde::{Deserialize, Serialize};
use sim_core::Stream;
use std::f64::consts::TAU;

impl Latency {
    /// The latency of request number `n` (from 0), in cycles. Each distribution takes the same
    /// number of words from `stream` at every draw.
    #[must_use]
    pub fn draw(&self, stream: &mut Stream, n: u64) -> u64 {
        match *self {
            Latency::Constant(cycles) => cycles,
            Latency::Uniform { lo, hi } => stream.between(lo, hi),
            Latency::Normal { mean, sd } => to_cycles(mean + sd * normal(stream)),
            Latency::LogNormal { median, sigma } => {
                to_cycles(median * libm::exp(sigma * normal(stream)))
            }
            Latency::Listed(ref values) => {
                let n = usize::try_from(n).unwrap_or(usize::MAX);
                values.get(n).or(values.last()).copied().unwrap_or(0)
            }
        }
    }
}

/// Nearest cycle; 0 for negative values and NaN.
fn to_cycles(x: f64) -> u64 {
    libm::round(x) as u64
}

/// A standard normal value by the Box–Muller transform (its sine half is dropped, so that draws
/// don't depend on earlier ones).
fn normal(stream: &mut Stream) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - stream.unit()));
    radius * libm::cos(TAU * stream.unit())
}

/// An exponentially distributed gap with this mean, at least one cycle.
pub(super) fn exponential(stream: &mut Stream, mean: f64) -> u64 {
    to_cycles(-mean * libm::log(1.0 - stream.unit())).max(1)
}

/// A distribution with its own random stream and its running number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sampler {
    latency: Latency,
    stream: Stream,
    drawn: u64,
}

impl Sampler {
    pub(super) fn new(latency: &Latency, seed: u64, name: &str) -> Self {
        Sampler { latency: latency.clone(), stream: Stream::new(seed, name), drawn: 0 }
    }

    pub(super) fn draw(&mut self) -> u64 {
        let cycles = self.latency.draw(&mut self.stream, self.drawn);
        self.drawn += 1;
        cycles
    }

    /// Draws from `latency` from now on.
    pub(super) fn set(&mut self, latency: &Latency) {
        self.latency.clone_from(latency);
    }

    /// Draws so far.
    pub(super) fn drawn(&self) -> u64 {
        self.drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(latency: &Latency, n: u64) -> Vec<u64> {
        let mut sampler = Sampler::new(latency, 11, "t");
        (0..n).map(|_| sampler.draw()).collect()
    }

    #[test]
    fn a_list_is_taken_in_order_and_its_last_value_repeats() {
        assert_eq!(draws(&Latency::Listed(vec![5, 7]), 4), [5, 7, 7, 7]);
        assert_eq!(draws(&Latency::Listed(vec![]), 1), [0]);
    }

    #[test]
    fn uniform_stays_in_its_range_and_reaches_both_ends() {
        let all = draws(&Latency::Uniform { lo: 3, hi: 6 }, 400);
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&3), Some(&6)));
    }

    #[test]
    fn normal_has_its_mean_and_deviation() {
        let all = draws(&Latency::Normal { mean: 10_000.0, sd: 500.0 }, 20_000);
        let n = all.len() as f64;
        let mean = all.iter().map(|&x| x as f64).sum::<f64>() / n;
        let var = all.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>() / n;
        assert!((mean - 10_000.0).abs() < 15.0, "{mean}");
        assert!((var.sqrt() - 500.0).abs() < 10.0, "{}", var.sqrt());
    }

    #[test]
    fn normal_is_cut_off_at_zero() {
        let all = draws(&Latency::Normal { mean: 0.0, sd: 100.0 }, 1_000);
        let zeros = all.iter().filter(|&&x| x == 0).count();
        assert!((400..600).contains(&zeros), "{zeros}");
    }

    #[test]
    fn half_of_log_normal_is_below_its_median() {
        let all = draws(&Latency::LogNormal { median: 120_000.0, sigma: 0.5 }, 10_000);
        let below = all.iter().filter(|&&x| x < 120_000).count();
        assert!((4_850..5_150).contains(&below), "{below}");
        let one_sigma_up = all.iter().filter(|&&x| x as f64 > 120_000.0 * 0.5f64.exp()).count();
        assert!((1_500..1_680).contains(&one_sigma_up), "{one_sigma_up}");
    }

    #[test]
    fn draws_are_the_same_on_every_host() {
        let log_normal = draws(&Latency::LogNormal { median: 120_000.0, sigma: 0.5 }, 4);
        assert_eq!(log_normal, [58_750, 127_089, 97_848, 149_838]);
        let normal = draws(&Latency::Normal { mean: 10_000.0, sd: 500.0 }, 4);
        assert_eq!(normal, [9_286, 10_057, 9_796, 10_222]);
        let mut stream = Stream::new(5, "gaps");
        let gaps = [(); 4].map(|()| exponential(&mut stream, 3_000.0));
        assert_eq!(gaps, [4671, 2561, 2849, 2813]);
    }

    #[test]
    fn exponential_gaps_have_their_mean_and_are_never_zero() {
        let mut stream = Stream::new(5, "gaps");
        let all: Vec<u64> = (0..20_000).map(|_| exponential(&mut stream, 3_000.0)).collect();
        let mean = all.iter().sum::<u64>() as f64 / all.len() as f64;
        assert!((mean - 3_000.0).abs() < 60.0, "{mean}");
        assert!((0..1_000).all(|_| exponential(&mut stream, 0.01) >= 1));
    }
}
