//! HTML that can't be broken by what is put into it, and one page for all of it.
//!
//! Text becomes [`Html`] by escaping only; everything that takes [`Html`] keeps it as it is. A page carries its style in itself,
//! no script and nothing from elsewhere, and its policy (Content Security Policy, level 3) forbids browsers to load any.

use std::fmt;

/// What a browser may do with a page: use the style inside it and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A piece of HTML.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Text, escaped.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(escape(text))
    }

    /// Markup that the program itself wrote. Nothing from outside may be in it.
    #[must_use]
    pub fn markup(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    /// An element with attributes and content. Attribute values are escaped.
    #[must_use]
    pub fn element(name: &'static str, attributes: &[(&'static str, &str)], content: &Self) -> Self {
        let mut html = Self::opened(name, attributes);
        html.0.push_str(&format!("{}</{name}>", content.0));
        html
    }

    /// An element that has no content, for example `br`.
    #[must_use]
    pub fn empty_element(name: &'static str, attributes: &[(&'static str, &str)]) -> Self {
        Self::opened(name, attributes)
    }

    /// An element around text.
    #[must_use]
    pub fn element_of_text(name: &'static str, text: &str) -> Self {
        Self::element(name, &[], &Self::text(text))
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, piece: &Self) {
        self.0.push_str(&piece.0);
    }

    /// Adds a piece and a line feed, to keep the source readable.
    pub fn push_line(&mut self, piece: &Self) {
        self.push(piece);
        self.0.push('\n');
    }

    fn opened(name: &'static str, attributes: &[(&'static str, &str)]) -> Self {
        let mut html = format!("<{name}");
        for (attribute, value) in attributes {
            html.push_str(&format!(" {attribute}=\"{}\"", escape(value)));
        }
        html.push('>');
        Self(html)
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Self>>(pieces: I) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }
}

/// A whole page in English. `style` is CSS that the program itself wrote.
#[must_use]
pub fn page(title: &str, style: &'static str, body: &Html) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
        escape(title),
        body.0
    )
}

/// Text as it stands in HTML: in elements and in quoted attributes (HTML Living Standard §13.1.2.4, §13.3).
///
/// Control characters other than tab and line feed can't stand in HTML; each becomes U+FFFD. So do the characters that turn the
/// direction of text, with which a name could show itself as another.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(character),
            hidden if is_hidden(hidden) => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Control characters, and those that turn the direction of text.
pub(super) fn is_hidden(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_in_text_stays_text() {
        assert_eq!(escape("<script>alert('x' & \"y\")</script>"), "&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;");
        assert_eq!(escape("a\u{0}b\u{202e}c\r\n"), "a\u{fffd}b\u{fffd}c\u{fffd}\n");
        let link = Html::element("a", &[("href", "x\" onclick=\"y")], &Html::text("<b>"));
        assert_eq!(link.to_string(), "<a href=\"x&quot; onclick=&quot;y\">&lt;b&gt;</a>");
    }

    #[test]
    fn a_page_forbids_everything_from_elsewhere() {
        let page = page("A & B", "body { margin: 0 }\n", &Html::element_of_text("p", "x"));
        assert!(page.contains("<title>A &amp; B</title>") && page.contains("default-src 'none'"), "{page}");
    }

    proptest! {
        #[test]
        fn no_text_becomes_markup(text in any::<String>()) {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            // Every ampersand begins one of the five references.
            for (at, _) in escaped.match_indices('&') {
                let rest = &escaped[at..];
                prop_assert!(["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].iter().any(|reference| rest.starts_with(reference)), "{}", rest);
            }
        }
    }
}
