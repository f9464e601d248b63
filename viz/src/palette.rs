//! Colours, chosen to stay apart in the three forms of colour blindness and in grey.
//!
//! Progress is drawn in cool, light colours and trouble in warm or dark ones. The lines and the
//! warm colours are from Okabe and Ito, "Color Universal Design" (2008).

use scenarios::timeline::Activity;

/// A colour with opacity 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Color {
    pub(crate) rgb: (u8, u8, u8),
    pub(crate) alpha: f64,
}

impl Color {
    const fn new(hex: u32) -> Color {
        Color { rgb: ((hex >> 16) as u8, (hex >> 8) as u8, hex as u8), alpha: 1.0 }
    }

    /// The same hue, lighter by `part` of the way to white.
    fn tint(self, part: f64) -> Color {
        let lighter = |c: u8| (f64::from(c) + (255.0 - f64::from(c)) * part).round() as u8;
        let (r, g, b) = self.rgb;
        Color { rgb: (lighter(r), lighter(g), lighter(b)), ..self }
    }

    /// The same colour, let through.
    pub(crate) const fn faded(self, alpha: f64) -> Color {
        Color { rgb: self.rgb, alpha }
    }
}

pub(crate) const WHITE: Color = Color::new(0xff_ff_ff);
pub(crate) const INK: Color = Color::new(0x1a_1a_1a);
/// Secondary text and axes.
pub(crate) const SOFT: Color = Color::new(0x55_55_55);
pub(crate) const GRID: Color = Color::new(0xdd_dd_dd);
/// Damage: the corrupting write, states that must not be.
pub(crate) const DAMAGE: Color = Color::new(0xc8_32_0a);
pub(crate) const NEXT: Color = Color::new(0x00_72_b2);
pub(crate) const OWNER: Color = Color::new(0xe6_9f_00);
pub(crate) const HOLDS: Color = Color::new(0x3e_8e_c4);
pub(crate) const WAITS: Color = Color::new(0xf2_c5_3d);
/// The space between Owner and Next: the holder and its queue.
pub(crate) const QUEUE: Color = Color::new(0xe3_ee_f6);

/// Activities in the order of a legend.
pub(crate) const ACTIVITIES: [Activity; 7] = [
    Activity::Idle,
    Activity::User,
    Activity::Kernel,
    Activity::SpinIrqsOn,
    Activity::SpinIrqsOff,
    Activity::WaitIpiAck,
    Activity::Nmi,
];

/// Colour of an activity.
pub(crate) fn activity(activity: Activity) -> Color {
    Color::new(match activity {
        Activity::Idle => 0xf0_f0_f0,
        Activity::User => 0xa9_d6_f0,
        Activity::Kernel => 0x4a_97_c9,
        Activity::SpinIrqsOn => 0xf2_c5_3d,
        Activity::SpinIrqsOff => 0xd0_4a_12,
        Activity::WaitIpiAck => 0x7b_2d_7b,
        Activity::Nmi => 0x00_00_00,
    })
}

/// Name of an activity in a legend.
pub(crate) fn activity_name(activity: Activity) -> &'static str {
    match activity {
        Activity::Idle => "idle",
        Activity::User => "user",
        Activity::Kernel => "kernel",
        Activity::SpinIrqsOn => "spinning, IRQs on",
        Activity::SpinIrqsOff => "spinning, IRQs off",
        Activity::WaitIpiAck => "waiting for IPI ack",
        Activity::Nmi => "NMI",
    }
}

/// Colours for kinds of finding that have none of their own, in order of use.
const SPARE: [u32; 5] = [0x56_b4_e9, 0x8c_6d_31, 0x9e_9e_9e, 0x00_9e_73, 0x31_31_8c];

/// How much lighter further outcomes with the same finding are; then from the start.
const TINTS: [f64; 4] = [0.0, 0.45, 0.7, 0.25];

/// Hands out colours for outcomes: each finding has its own, and outcomes that differ in their lock
/// word or CPU are tints of it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Findings so far, their colours, and how many outcomes each has.
    seen: Vec<(String, Color, usize)>,
    /// Those that have no colour of their own.
    unknown: usize,
}

impl Findings {
    /// Colour of the next outcome with the finding `kind`.
    pub(crate) fn next(&mut self, kind: &str) -> Color {
        if let Some((_, color, outcomes)) = self.seen.iter_mut().find(|(name, ..)| name == kind) {
            let tint = TINTS[*outcomes % TINTS.len()];
            *outcomes += 1;
            return color.tint(tint);
        }
        let color = Color::new(known_finding(kind).unwrap_or_else(|| {
            self.unknown += 1;
            SPARE[(self.unknown - 1) % SPARE.len()]
        }));
        self.seen.push((kind.to_owned(), color, 1));
        color
    }
}

fn known_finding(kind: &str) -> Option<u32> {
    match kind {
        "ok" | "success" => Some(0xa6_cf_e3),
        "hard-lockup" => Some(0xd0_4a_12),
        "soft-lockup" => Some(0xe6_9f_00),
        "lost-completion" | "command-timeout" => Some(0xf2_d4_5c),
        "hung-task" => Some(0xcc_79_a7),
        "deadlock" => Some(0x7b_2d_7b),
        "fault" => Some(0x1a_1a_1a),
        _ if kind.starts_with("lock") => Some(0x8a_1c_0c),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
