//! A document as it is stored: with its encoding, what stands before it, and what follows.

use std::borrow::Cow;

use super::Edit;
use crate::error::{Error, Result};
use crate::xml::{self, Encoding};
use crate::xrml::{Document, DocumentKind, MAX_BYTES, documents_of};

/// What may stand around documents without meaning anything.
const BLANKS: [char; 6] = [' ', '\t', '\r', '\n', '\0', '\u{feff}'];

/// A text with one document that matters, the first, and others after it.
#[derive(Debug)]
pub(in crate::licence) struct Stored<'i> {
    pub(in crate::licence) text: Cow<'i, str>,
    pub(in crate::licence) encoding: Encoding,
    pub(in crate::licence) document: Document,
    /// What the documents after the first are, in order.
    pub(in crate::licence) following: Vec<DocumentKind>,
    /// Where the first document begins in `text`.
    start: usize,
}

impl<'i> Stored<'i> {
    /// Reads the text. There must be one way only to say which document comes first and what of it is signed.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(in crate::licence) fn read(item: &'i [u8], format: &'static str) -> Result<Self> {
        if item.len() > MAX_BYTES {
            return Err(Error::malformed(format, format!("{} bytes; at most {MAX_BYTES} are read", item.len())));
        }
        let (text, encoding) = xml::decode(item, format)?;
        let mut documents = documents_of(&text)?.into_iter();
        let (start, document) = documents.next().ok_or_else(|| Error::malformed(format, "there is no document"))?;
        let following: Vec<_> = documents.map(|(_, document)| document.kind().clone()).collect();
        if following.contains(document.kind()) {
            return Err(Error::malformed(format, format!("it is followed by another {}; give each in a text of its own", document.kind())));
        }
        // Only an XML declaration may stand before it, so that who searches the text finds the document and not a comment.
        let before = text.get(..start).unwrap_or_default().trim_matches(BLANKS);
        let declaration = before.strip_prefix("<?xml").and_then(|rest| rest.strip_suffix("?>"));
        if !before.is_empty() && declaration.is_none_or(|inside| inside.contains(['<', '>'])) {
            return Err(Error::malformed(format, "something other than an XML declaration stands before it").at(0));
        }
        let stored = Self { encoding, document, following, start, text };
        if stored.root_tag().matches('<').count() != 1 {
            return Err(Error::malformed(format, "something stands between the root element's tag and the body"));
        }
        Ok(stored)
    }

    /// The tag of the root element, up to the body.
    fn root_tag(&self) -> &str {
        self.document.text().get(..self.document.body_range().start).unwrap_or_default()
    }

    /// The body with pieces replaced, which are ranges of the document's text.
    pub(in crate::licence) fn edited_body(&self, mut edits: Vec<Edit<'_>>) -> Result<String> {
        edits.sort_by_key(|(range, _)| range.start);
        let (text, body) = (self.document.text(), self.document.body_range());
        let misplaced = || Error::Internal("pieces of a body overlap, or lie outside of it".into());
        let grown: usize = edits.iter().map(|(_, new)| new.len()).sum();
        let mut output = String::with_capacity(body.len() + grown);
        let mut position = body.start;
        for (range, new) in &edits {
            output.push_str(text.get(position..range.start).ok_or_else(misplaced)?);
            output.push_str(new);
            position = range.end;
        }
        output.push_str(text.get(position..body.end).ok_or_else(misplaced)?);
        Ok(output)
    }

    /// Whether the documents after the first are needed by one among them.
    pub(in crate::licence) fn keeps_following(&self) -> bool {
        self.following.contains(&DocumentKind::UseLicence)
    }

    /// The whole text again, with another body, signature and chain.
    pub(in crate::licence) fn rebuilt(&self, body: &str, signature: &str, chain: &str) -> Vec<u8> {
        let before = self.text.get(..self.start).unwrap_or_default();
        let end = self.document.text().rfind("</").and_then(|end| self.document.text().get(end..)).unwrap_or_default();
        let rest = self.text.get(self.start + self.document.text().len()..).unwrap_or_default();
        let rest = if self.following.is_empty() || self.keeps_following() {
            rest
        } else {
            rest.get(rest.trim_end_matches(BLANKS).len()..).unwrap_or_default()
        };
        let pieces = [before, self.root_tag(), body, signature, end, chain, rest];
        if self.encoding == Encoding::Utf8 {
            return pieces.map(str::as_bytes).concat();
        }
        xml::encode(&pieces.concat(), self.encoding)
    }
}
