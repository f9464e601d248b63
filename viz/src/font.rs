//! The font in the tree: measuring, wrapping and rasterising text without system fonts.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use plotters_backend::{
    BackendColor, BackendCoord, BackendTextStyle, FontFamily, FontTransform, text_anchor,
};
use std::convert::Infallible;
use std::sync::OnceLock;

/// Families for SVG viewers, all of the same widths; the last is generic and is always there.
const FAMILY: &str = "Liberation Sans, Arial, Helvetica, Arimo, sans-serif";

/// Room kept for a viewer that has none of them: DejaVu Sans, the usual one then, is up to a sixth
/// wider.
const SLACK: f64 = 1.17;

/// Half the height of a small letter, in ems: what SVG's `0.5ex` is for this font (OS/2 table:
/// sxHeight 1082 of 2048 units).
const HALF_EX: f64 = 1082.0 / 2048.0 / 2.0;

fn face() -> &'static FontRef<'static> {
    static FACE: OnceLock<FontRef<'static>> = OnceLock::new();
    FACE.get_or_init(|| {
        FontRef::try_from_slice(include_bytes!("../font/latchup-sans.ttf"))
            .expect("the font in the tree parses")
    })
}

/// `ab_glyph` scales by ascent minus descent; letters are sized by the em.
fn scale(size: f64) -> PxScale {
    let face = face();
    let em = f64::from(face.units_per_em().unwrap_or(2048.0));
    PxScale::from((size * f64::from(face.height_unscaled()) / em) as f32)
}

/// Room to keep for `text` set in letters of `size`, in the unit of `size`.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    set_width(text, size) * SLACK
}

/// Width of `text` as it is drawn in a PNG.
pub(crate) fn set_width(text: &str, size: f64) -> f64 {
    let font = face().as_scaled(scale(size));
    let mut x = 0.0;
    let mut before = None;
    for c in text.chars() {
        let id = font.glyph_id(c);
        x += before.map_or(0.0, |b| font.kern(b, id)) + font.h_advance(id);
        before = Some(id);
    }
    f64::from(x)
}

/// `text` as it can stand in an XML document and in one line: control characters become blanks.
pub(crate) fn clean(text: &str) -> String {
    let printable = |c: char| match c {
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(printable).collect()
}

/// `text`, shortened with an ellipsis if it is wider than `room`.
pub(crate) fn elide(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while kept.pop().is_some() {
        let candidate = format!("{}…", kept.trim_end());
        if width(&candidate, size) <= room {
            return candidate;
        }
    }
    String::new()
}

/// `text` in lines no wider than `room`, broken at blanks, or inside a word that is too long.
pub(crate) fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if width(&joined, size) <= room {
            line = joined;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        line = break_word(word, size, room, &mut lines);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Pushes full lines of an over-long word and returns its rest.
fn break_word(word: &str, size: f64, room: f64, lines: &mut Vec<String>) -> String {
    let mut rest = String::new();
    for c in word.chars() {
        rest.push(c);
        if rest.chars().count() > 1 && width(&rest, size) > room {
            rest.pop();
            lines.push(std::mem::take(&mut rest));
            rest.push(c);
        }
    }
    rest
}

/// How a text is set by a plotters backend. Its position is the anchor's x and the middle of the
/// small letters.
pub(crate) struct Lettering {
    pub(crate) size: f64,
    pub(crate) color: BackendColor,
    pub(crate) anchor: text_anchor::HPos,
    /// Reads upwards instead of to the right.
    pub(crate) upwards: bool,
}

impl BackendTextStyle for Lettering {
    type FontError = Infallible;

    fn color(&self) -> BackendColor {
        self.color
    }

    /// The SVG backend divides by 1.24 to get from plotters' text size to the em.
    fn size(&self) -> f64 {
        self.size * 1.24
    }

    fn transform(&self) -> FontTransform {
        if self.upwards { FontTransform::Rotate270 } else { FontTransform::None }
    }

    fn anchor(&self) -> text_anchor::Pos {
        text_anchor::Pos::new(self.anchor, text_anchor::VPos::Center)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::Name(FAMILY)
    }

    /// Symmetric about the line that `draw` sets the text on, so that the backend's vertical
    /// centring leaves it where it is.
    fn layout_box(&self, text: &str) -> Result<((i32, i32), (i32, i32)), Infallible> {
        Ok(((0, -1), (set_width(text, self.size).round() as i32, 1)))
    }

    fn draw<E, D: FnMut(i32, i32, BackendColor) -> Result<(), E>>(
        &self,
        text: &str,
        (x0, y0): BackendCoord,
        mut draw: D,
    ) -> Result<Result<(), E>, Infallible> {
        let font = face().as_scaled(scale(self.size));
        let baseline = (self.size * HALF_EX) as f32;
        let mut x = 0.0;
        let mut before = None;
        for c in text.chars() {
            let id = font.glyph_id(c);
            x += before.map_or(0.0, |b| font.kern(b, id));
            before = Some(id);
            let glyph = id.with_scale_and_position(font.scale(), point(x, baseline));
            x += font.h_advance(id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            let mut result = Ok(());
            outline.draw(|gx, gy, cover| {
                let alpha = self.color.alpha * f64::from(cover.clamp(0.0, 1.0));
                if result.is_ok() && alpha > 0.0 {
                    let px = x0 + corner.x as i32 + gx as i32;
                    let py = y0 + corner.y as i32 + gy as i32;
                    result = draw(px, py, BackendColor { alpha, rgb: self.color.rgb });
                }
            });
            if result.is_err() {
                return Ok(result);
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_arial() {
        // Advance widths of Arial, which Liberation Sans has too: digit 1139, "M" 1706 of 2048.
        assert!((set_width("0", 2048.0) - 1139.0).abs() < 1.0);
        assert!((set_width("M", 2048.0) - 1706.0).abs() < 1.0);
        assert_eq!(width("", 16.0), 0.0);
    }

    #[test]
    fn every_sign_the_pictures_use_is_in_the_font() {
        for c in "−–—…µ→←↑↓×≤≥·≠°".chars() {
            assert_ne!(face().glyph_id(c).0, 0, "{c:?}");
        }
    }

    #[test]
    fn lines_fit_and_lose_nothing() {
        let text = "init_completion on CPU 18 zeroed mpt2sas_ioc[0].ctl_cmds.done.wait.lock";
        let lines = wrap(text, 16.0, 120.0);
        assert!(lines.len() > 3);
        assert!(lines.iter().all(|l| width(l, 16.0) <= 120.0));
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
    }

    #[test]
    fn elision_keeps_what_fits() {
        assert_eq!(elide("short", 16.0, 100.0), "short");
        let cut = elide("a name that is much too long", 16.0, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 16.0) <= 100.0);
        assert_eq!(elide("any", 16.0, 0.0), "");
    }
}
