//! A picture: shapes in CSS pixels, and the two ways to write them.

use crate::font::Lettering;
use crate::palette::{Color, WHITE};
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters_backend::text_anchor::HPos;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, DrawingErrorKind};

/// SVG user units for each CSS pixel: plotters' coordinates are whole numbers.
const SVG_UNITS: f64 = 10.0;
/// Samples for each PNG pixel and direction: plotters fills polygons without smoothing.
const SAMPLES: u32 = 2;
/// Largest width times height of a PNG, in pixels.
const MAX_PIXELS: u64 = 120_000_000;

/// Why a picture could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VizError {
    /// The drawing backend refused.
    #[error("cannot draw the picture: {0}")]
    Backend(String),
    /// The PNG encoder refused.
    #[error("cannot encode the picture as PNG: {0}")]
    Png(#[from] png::EncodingError),
    /// The PNG would be too large to hold in memory.
    #[error("a PNG of {width} x {height} pixels is too large: lower the scale or write SVG")]
    TooLarge {
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
    },
}

/// A file format of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Scalable, text stays text.
    #[default]
    Svg,
    /// Pixels, 24 bits each.
    Png,
}

impl Format {
    /// The usual file name extension, without a dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Format::Svg => "svg",
            Format::Png => "png",
        }
    }
}

/// Which point of a text its position gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Middle,
    Right,
}

/// Something drawn; lengths are CSS pixels from the upper left corner.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Rect {
        from: (f64, f64),
        to: (f64, f64),
        color: Color,
    },
    Polygon {
        points: Vec<(f64, f64)>,
        color: Color,
    },
    Disc {
        at: (f64, f64),
        radius: f64,
        color: Color,
    },
    /// A text by the middle of its small letters.
    Text {
        at: (f64, f64),
        text: String,
        size: f64,
        align: Align,
        upwards: bool,
        color: Color,
    },
}

/// A finished drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) title: String,
    pub(crate) png_scale: u32,
    pub(crate) shapes: Vec<Shape>,
}

impl Picture {
    /// Width and height in CSS pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The picture as the bytes of a file.
    ///
    /// # Errors
    /// See [`Picture::svg`] and [`Picture::png`].
    pub fn bytes(&self, format: Format) -> Result<Vec<u8>, VizError> {
        match format {
            Format::Svg => self.svg().map(String::into_bytes),
            Format::Png => self.png(),
        }
    }

    /// The picture as an SVG document.
    ///
    /// # Errors
    /// [`VizError::Backend`] if the backend refuses.
    pub fn svg(&self) -> Result<String, VizError> {
        let mut body = String::new();
        let units = |px: u32| (f64::from(px) * SVG_UNITS) as u32;
        let mut backend =
            SVGBackend::with_string(&mut body, (units(self.width), units(self.height)));
        self.draw_on(&mut backend, Ruler { scale: SVG_UNITS, closed: false }).map_err(refused)?;
        backend.present().map_err(refused)?;
        drop(backend);
        // plotters gives the picture's size in user units; a reader wants it in pixels.
        let start = body.find("<svg").unwrap_or(0);
        let end = body[start..].find('>').map_or(start, |i| start + i + 1);
        let head = format!(
            "<svg width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {vw} {vh}\" role=\"img\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n<title>{title}</title>",
            w = self.width,
            h = self.height,
            vw = units(self.width),
            vh = units(self.height),
            title = escape(&self.title),
        );
        body.replace_range(..end, &head);
        Ok(body)
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// [`VizError::TooLarge`] beyond 120 million samples, [`VizError::Png`] and
    /// [`VizError::Backend`] if encoder or backend refuse.
    pub fn png(&self) -> Result<Vec<u8>, VizError> {
        let fine = self.png_scale * SAMPLES;
        let (w, h) = (u64::from(self.width * fine), u64::from(self.height * fine));
        if w * h > MAX_PIXELS {
            let samples = u64::from(SAMPLES);
            return Err(VizError::TooLarge { width: w / samples, height: h / samples });
        }
        let (w, h) = (self.width * fine, self.height * fine);
        let mut pixels = vec![255; w as usize * h as usize * 3];
        let mut backend = BitMapBackend::with_buffer(&mut pixels, (w, h));
        let ruler = Ruler { scale: f64::from(fine), closed: true };
        self.draw_on(&mut backend, ruler).map_err(refused)?;
        backend.present().map_err(refused)?;
        drop(backend);
        let (w, h) = (w / SAMPLES, h / SAMPLES);
        encode(&average(&pixels, w as usize), (w, h), self.png_scale)
    }

    fn draw_on<B: DrawingBackend>(
        &self,
        backend: &mut B,
        ruler: Ruler,
    ) -> Result<(), DrawingErrorKind<B::ErrorType>> {
        let all = Shape::Rect {
            from: (0.0, 0.0),
            to: (f64::from(self.width), f64::from(self.height)),
            color: WHITE,
        };
        for shape in std::iter::once(&all).chain(&self.shapes) {
            shape.draw_on(backend, ruler)?;
        }
        Ok(())
    }
}

/// How CSS pixels become a backend's coordinates.
#[derive(Clone, Copy, Debug)]
struct Ruler {
    scale: f64,
    /// Whether the backend's rectangles include their last row and column.
    closed: bool,
}

impl Ruler {
    fn length(self, px: f64) -> i32 {
        (px * self.scale).round() as i32
    }

    fn point(self, (x, y): (f64, f64)) -> BackendCoord {
        (self.length(x), self.length(y))
    }
}

impl Shape {
    fn draw_on<B: DrawingBackend>(
        &self,
        backend: &mut B,
        ruler: Ruler,
    ) -> Result<(), DrawingErrorKind<B::ErrorType>> {
        match self {
            Shape::Rect { from, to, color } => {
                let ((x0, y0), (x1, y1)) = (ruler.point(*from), ruler.point(*to));
                let last = i32::from(ruler.closed);
                // At least one unit, so that no line is lost in a coarse PNG.
                let corner = (x1.max(x0 + 1) - last, y1.max(y0 + 1) - last);
                backend.draw_rect((x0, y0), corner, &Fill(*color), true)
            }
            Shape::Polygon { points, color } => {
                backend.fill_polygon(points.iter().map(|p| ruler.point(*p)), &Fill(*color))
            }
            Shape::Disc { at, radius, color } => {
                let radius = ruler.length(*radius).max(1) as u32;
                backend.draw_circle(ruler.point(*at), radius, &Fill(*color), true)
            }
            Shape::Text { at, text, size, align, upwards, color } => {
                let style = Lettering {
                    size: size * ruler.scale,
                    color: Fill(*color).color(),
                    anchor: match align {
                        Align::Left => HPos::Left,
                        Align::Middle => HPos::Center,
                        Align::Right => HPos::Right,
                    },
                    upwards: *upwards,
                };
                backend.draw_text(text, &style, ruler.point(*at))
            }
        }
    }
}

struct Fill(Color);

impl BackendStyle for Fill {
    fn color(&self) -> BackendColor {
        BackendColor { alpha: self.0.alpha, rgb: self.0.rgb }
    }
}

fn refused<E: std::error::Error + Send + Sync>(error: DrawingErrorKind<E>) -> VizError {
    VizError::Backend(error.to_string())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Means of squares of samples; `width` is the result's.
fn average(samples: &[u8], width: usize) -> Vec<u8> {
    let n = SAMPLES as usize;
    let line = width * n * 3;
    let mut out = Vec::with_capacity(samples.len() / (n * n));
    for rows in samples.chunks_exact(line * n) {
        for x in 0..width {
            for channel in 0..3 {
                let at = |i: usize| rows[(i / n) * line + (x * n + i % n) * 3 + channel];
                let sum: usize = (0..n * n).map(|i| usize::from(at(i))).sum();
                out.push(((sum + n * n / 2) / (n * n)) as u8);
            }
        }
    }
    out
}

fn encode(pixels: &[u8], (w, h): (u32, u32), scale: u32) -> Result<Vec<u8>, VizError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, w, h);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // 96 CSS pixels are an inch of 25.4 mm.
    let per_metre = (f64::from(96 * scale) / 0.0254).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_metre,
        yppu: per_metre,
        unit: png::Unit::Meter,
    }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}
