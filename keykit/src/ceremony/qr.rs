//! QR codes (ISO/IEC 18004) of short texts, for terminals and for pages.

use qrcode::{Color, EcLevel, QrCode};

use super::html::Html;
use crate::error::{Error, Result};

/// Blank modules around a code (ISO/IEC 18004 §6.3.8).
const QUIET: usize = 4;

/// A code: squares, dark or light, with the quiet zone around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qr {
    side: usize,
    dark: Vec<bool>,
}

impl Qr {
    /// The code of a text, with error correction level M.
    ///
    /// # Errors
    /// [`Error::Internal`] for a text that is too long for a code (2331 bytes).
    pub fn of(text: &str) -> Result<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|error| Error::Internal(format!("making a QR code: {error}")))?;
        Ok(Self { side: code.width(), dark: code.to_colors().into_iter().map(|color| color == Color::Dark).collect() })
    }

    /// Modules on a side, the quiet zone included.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side + 2 * QUIET
    }

    /// Whether a module is dark; the quiet zone and everything outside are light.
    #[must_use]
    pub fn is_dark(&self, column: usize, row: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.side);
        let (Some(column), Some(row)) = (inside(column), inside(row)) else { return false };
        self.dark.get(row * self.side + column).copied().unwrap_or_default()
    }

    /// The code for a terminal: two modules in each character, light ones drawn, as terminals are dark as a rule.
    #[must_use]
    pub fn to_terminal(&self) -> String {
        let mut text = String::new();
        for row in (0..self.side()).step_by(2) {
            for column in 0..self.side() {
                text.push(match (self.is_dark(column, row), self.is_dark(column, row + 1)) {
                    (false, false) => '\u{2588}',
                    (false, true) => '\u{2580}',
                    (true, false) => '\u{2584}',
                    (true, true) => ' ',
                });
            }
            text.push('\n');
        }
        text
    }

    /// The code as SVG for a page; `label` is read to people who don't see it.
    #[must_use]
    pub fn to_svg(&self, label: &str) -> Html {
        let mut path = String::new();
        for row in 0..self.side() {
            for column in (0..self.side()).filter(|&column| self.is_dark(column, row)) {
                path.push_str(&format!("M{column} {row}h1v1h-1z"));
            }
        }
        let side = self.side().to_string();
        let mut drawn = Html::element("rect", &[("width", &side), ("height", &side), ("fill", "#fff")], &Html::default());
        drawn.push(&Html::element("path", &[("d", &path), ("fill", "#000")], &Html::default()));
        let view = format!("0 0 {side} {side}");
        let attributes = [
            ("xmlns", "http://www.w3.org/2000/svg"),
            ("class", "qr"),
            ("viewBox", view.as_str()),
            ("shape-rendering", "crispEdges"),
            ("role", "img"),
            ("aria-label", label),
        ];
        Html::element("svg", &attributes, &drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_three_finders_and_a_quiet_zone() {
        let qr = Qr::of(&"0".repeat(64)).unwrap();
        let last = qr.side() - QUIET - 7;
        for (column, row) in [(QUIET, QUIET), (last, QUIET), (QUIET, last)] {
            // Seven dark modules, and a light ring inside them (§6.3.3.1).
            assert!((0..7).all(|at| qr.is_dark(column + at, row) && qr.is_dark(column, row + at)));
            assert!((1..6).all(|at| !qr.is_dark(column + at, row + 1)));
        }
        assert!((0..qr.side()).all(|at| !qr.is_dark(at, 0) && !qr.is_dark(3, at) && !qr.is_dark(at, qr.side() - 1)));
    }

    #[test]
    fn all_drawings_show_the_same_modules() {
        let qr = Qr::of("abc").unwrap();
        let dark = (0..qr.side()).flat_map(|row| (0..qr.side()).map(move |column| (column, row))).filter(|(column, row)| qr.is_dark(*column, *row));
        let count = dark.count();
        assert_eq!(qr.to_svg("a \"code\"").to_string().matches("h1v1h-1z").count(), count);
        let terminal = qr.to_terminal();
        let light: usize = terminal
            .chars()
            .map(|character| match character {
                '\u{2588}' => 2,
                '\u{2580}' | '\u{2584}' => 1,
                _ => 0,
            })
            .sum();
        // An odd number of rows leaves a half character below, which is light.
        assert_eq!(light, qr.side() * (qr.side() + 1) - count);
        assert!(Qr::of(&"x".repeat(3000)).is_err());
    }
}
