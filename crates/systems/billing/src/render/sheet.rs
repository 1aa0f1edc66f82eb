//! Pages of text with tags: the little of typesetting that an invoice needs.

use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point};
use krilla::page::{Page, PageSettings};
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{Artifact, ArtifactType, ContentTag, Identifier, SpanTag};
use krilla::text::{Font, TextDirection};

/// A4 in points.
pub(super) const WIDTH: f32 = 595.28;
/// A4 in points.
pub(super) const HEIGHT: f32 = 841.89;
/// The margin on each side.
pub(super) const MARGIN: f32 = 50.0;

const REGULAR: &[u8] = include_bytes!("../../assets/fonts/LiberationSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../assets/fonts/LiberationSans-Bold.ttf");

/// A typeface with its measures.
pub(super) struct Face {
    font: Font,
    measures: ttf_parser::Face<'static>,
}

impl Face {
    pub(super) fn regular() -> Option<Self> {
        Self::load(REGULAR)
    }

    pub(super) fn bold() -> Option<Self> {
        Self::load(BOLD)
    }

    fn load(bytes: &'static [u8]) -> Option<Self> {
        Some(Self {
            font: Font::new(bytes.into(), 0)?,
            measures: ttf_parser::Face::parse(bytes, 0).ok()?,
        })
    }

    /// Characters that the typeface does not have become `?`: PDF/A refuses undefined glyphs. The
    /// attached JSON keeps the text as it is.
    pub(super) fn printable(&self, text: &str) -> String {
        text.chars()
            .map(|c| {
                if c.is_control() || self.measures.glyph_index(c).is_none() {
                    '?'
                } else {
                    c
                }
            })
            .collect()
    }

    /// The width of a text in points.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        let units: u32 = text
            .chars()
            .filter_map(|c| self.measures.glyph_index(c))
            .map(|glyph| u32::from(self.measures.glyph_hor_advance(glyph).unwrap_or(0)))
            .sum();
        #[allow(
            clippy::cast_precision_loss,
            reason = "widths of lines of text are small"
        )]
        let width = units as f32;
        width * size / f32::from(self.measures.units_per_em())
    }

    /// The text in lines that are no wider than `width`, broken at spaces and, where there are none, anywhere.
    pub(super) fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in self.printable(text).split_whitespace() {
            let joined = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if self.width(&joined, size) <= width {
                line = joined;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for c in word.chars() {
                line.push(c);
                if self.width(&line, size) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, c.to_string()));
                }
            }
        }
        if !line.is_empty() || lines.is_empty() {
            lines.push(line);
        }
        lines
    }
}

/// A colour of the page.
#[derive(Clone, Copy)]
pub(super) struct Ink(pub(super) u8, pub(super) u8, pub(super) u8);

pub(super) const BLACK: Ink = Ink(0x17, 0x19, 0x1c);
pub(super) const MUTED: Ink = Ink(0x59, 0x61, 0x6b);
pub(super) const RULE: Ink = Ink(0xc9, 0xcd, 0xd3);

/// Where a text stands in its place.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Align {
    Left,
    Right,
}

pub(super) fn settings() -> Option<PageSettings> {
    PageSettings::from_wh(WIDTH, HEIGHT)
}

/// Draws one line of text and returns the identifier that its tag needs.
pub(super) fn text(
    surface: &mut Surface<'_>,
    face: &Face,
    (x, y): (f32, f32),
    size: f32,
    ink: Ink,
    align: Align,
    text: &str,
) -> Identifier {
    let text = face.printable(text);
    let x = if align == Align::Right {
        x - face.width(&text, size)
    } else {
        x
    };
    let identifier = surface.start_tagged(ContentTag::Span(SpanTag::empty()));
    fill(surface, ink);
    surface.draw_text(
        Point::from_xy(x, y),
        face.font.clone(),
        size,
        &text,
        false,
        TextDirection::LeftToRight,
    );
    surface.end_tagged();
    identifier
}

/// Draws a line of text that is not part of the content: page numbers.
pub(super) fn artifact_text(
    surface: &mut Surface<'_>,
    face: &Face,
    (x, y): (f32, f32),
    size: f32,
    text: &str,
) {
    let text = face.printable(text);
    let _ = surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(
        ArtifactType::Footer,
    )));
    fill(surface, MUTED);
    surface.draw_text(
        Point::from_xy(x - face.width(&text, size), y),
        face.font.clone(),
        size,
        &text,
        false,
        TextDirection::LeftToRight,
    );
    surface.end_tagged();
}

/// A thin horizontal line, which is decoration.
pub(super) fn rule(surface: &mut Surface<'_>, y: f32) {
    let mut path = PathBuilder::new();
    path.move_to(MARGIN, y);
    path.line_to(WIDTH - MARGIN, y);
    let Some(path) = path.finish() else { return };
    let _ = surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(
        ArtifactType::Layout,
    )));
    surface.set_fill(None);
    surface.set_stroke(Some(Stroke {
        paint: rgb::Color::new(RULE.0, RULE.1, RULE.2).into(),
        width: 0.6,
        ..Stroke::default()
    }));
    surface.draw_path(&path);
    surface.set_stroke(None);
    surface.end_tagged();
}

fn fill(surface: &mut Surface<'_>, ink: Ink) {
    surface.set_stroke(None);
    surface.set_fill(Some(Fill {
        paint: rgb::Color::new(ink.0, ink.1, ink.2).into(),
        ..Fill::default()
    }));
}

/// The surface of a page.
pub(super) fn surface<'a>(page: &'a mut Page<'_>) -> Surface<'a> {
    page.surface()
}
