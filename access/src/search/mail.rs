//! Mail (.eml) and mailboxes (.mbox): the attachments, and mail in them.

use std::io::{BufRead as _, BufReader, Read as _, SeekFrom};

use keykit::Error;
use mail_parser::{MessageParser, MimeHeaders as _};

use super::{FORMAT, Input, Search, can_not_be_read, join};

/// Fields with which mail begins. A file that begins with none of them is not taken for mail.
const FIELDS: [&str; 44] = [
    "accept-language:",
    "arc-",
    "authentication-results:",
    "auto-submitted:",
    "bcc:",
    "cc:",
    "comments:",
    "content-",
    "date:",
    "delivered-to:",
    "delivery-date:",
    "disposition-notification-to:",
    "dkim-",
    "domainkey-signature:",
    "envelope-to:",
    "errors-to:",
    "expires:",
    "from:",
    "importance:",
    "in-reply-to:",
    "keywords:",
    "list-",
    "message-id:",
    "mime-version:",
    "organization:",
    "original-",
    "precedence:",
    "priority:",
    "received:",
    "received-spf:",
    "references:",
    "reply-to:",
    "resent-",
    "return-path:",
    "return-receipt-to:",
    "sender:",
    "sensitivity:",
    "status:",
    "subject:",
    "thread-",
    "to:",
    "user-agent:",
    "x-",
    "x400-",
];
/// What stands before each mail of a mailbox (RFC 4155, appendix A).
const SEPARATOR: &[u8] = b"From ";
/// Longest line that is read at once, in bytes.
const LINE: u64 = 64 << 10;

/// What a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// That of a mail that can have attachments.
    OfMail,
    /// Header fields up to its end, none of them of MIME: more of it must be read.
    Longer,
    /// None.
    None,
}

/// Whether the head is that of a mail: header fields only until an empty line, and MIME among them, without which there are no
/// attachments.
pub(super) fn header(head: &[u8]) -> Header {
    let mut is_open = true;
    let lines = head.split_inclusive(|&byte| byte == b'\n').enumerate();
    for (number, line) in lines {
        let whole = line.ends_with(b"\n");
        let line = line.trim_ascii_end();
        if line.is_empty() {
            is_open = number == 0;
            break;
        }
        if number > 0 && (line.starts_with(b" ") || line.starts_with(b"\t")) {
            continue;
        }
        let name: String = line.iter().take_while(|byte| **byte != b':').map(|byte| char::from(byte.to_ascii_lowercase())).collect();
        let is_field = name.len() < line.len() && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        if number == 0 && !(is_field && FIELDS.iter().any(|field| format!("{name}:").starts_with(field))) {
            return Header::None;
        }
        if whole && !is_field {
            return Header::None;
        }
        if is_field && (name == "mime-version" || name == "content-type") {
            return Header::OfMail;
        }
    }
    // A head is as long as this only if there was more to read.
    if is_open && (head.len() as u64 == super::HEAD) { Header::Longer } else { Header::None }
}

/// Whether a file begins as a mailbox does: a separator, and a header field.
pub(super) fn is_mailbox(head: &[u8]) -> bool {
    let mut lines = head.split(|&byte| byte == b'\n');
    let field = |line: &[u8]| {
        let start: String = line.iter().take(40).map(|byte| char::from(byte.to_ascii_lowercase())).collect();
        FIELDS.iter().any(|field| start.starts_with(field)) && start.contains(':')
    };
    lines.next().is_some_and(|line| line.starts_with(SEPARATOR)) && lines.next().is_some_and(field)
}

impl Search<'_> {
    pub(super) fn look_into_mail(&mut self, bytes: &[u8], inside: &str, depth: usize) {
        // The parser holds the parts beside the mail.
        let length = bytes.len() as u64;
        match self.held.add(length) {
            Ok(()) => self.look_at_parts(bytes, inside, depth),
            Err(error) => self.not_read(inside, error),
        }
        self.held.give_back(length);
    }

    fn look_at_parts(&mut self, bytes: &[u8], inside: &str, depth: usize) {
        let Some(message) = MessageParser::default().parse(bytes) else {
            return self.not_read(inside, Error::malformed(FORMAT, "the mail can't be read"));
        };
        for (number, part) in message.parts.iter().enumerate() {
            // The parts that hold others are gone through by themselves; bodies are text, which can hold a licence too.
            if part.is_multipart() {
                continue;
            }
            if !self.may_enter(inside) {
                return;
            }
            let name = part.attachment_name().map_or_else(|| format!("part {number}"), str::to_owned);
            let name = join(inside, &name);
            match part.message() {
                Some(mail) => self.look_at_stream(&mut mail.raw_message(), &name, depth + 1),
                None => self.look_at_stream(&mut part.contents(), &name, depth + 1),
            }
        }
    }

    /// One mail after the other: a mailbox can be as long as it likes.
    pub(super) fn look_into_mailbox(&mut self, input: &mut dyn Input, inside: &str, depth: usize) {
        if let Err(error) = input.seek(SeekFrom::Start(0)) {
            return self.not_read(inside, can_not_be_read(&error));
        }
        let mut reader = BufReader::with_capacity(1 << 16, input);
        let (mut mail, mut number, mut before) = (Vec::new(), 0, Before::EmptyLine);
        loop {
            let start = mail.len();
            let read = match (&mut reader).take(LINE).read_until(b'\n', &mut mail) {
                Ok(read) => read,
                Err(error) => return self.not_read(inside, can_not_be_read(&error)),
            };
            let line = mail.get(start..).unwrap_or_default();
            let is_separator = before == Before::EmptyLine && line.starts_with(SEPARATOR);
            if read > 0 && !is_separator {
                before = match line {
                    b"\n" | b"\r\n" if before != Before::PartOfLine => Before::EmptyLine,
                    line if line.ends_with(b"\n") => Before::Line,
                    _ => Before::PartOfLine,
                };
                if let Err(error) = self.held.add(read as u64) {
                    self.held.give_back(mail.len() as u64);
                    return self.not_read(&join(inside, &format!("mail {number}")), error);
                }
                continue;
            }
            // The separator belongs to the next one.
            mail.truncate(start);
            if !mail.is_empty() && !self.look_into_mail_of_box(&mail, number, inside, depth) {
                return;
            }
            self.held.give_back(mail.len() as u64);
            mail.clear();
            // The first separator stands before the first mail.
            number += 1;
            if read == 0 {
                return;
            }
            before = Before::Line;
        }
    }

    /// False if the search is to end.
    fn look_into_mail_of_box(&mut self, mail: &[u8], number: usize, inside: &str, depth: usize) -> bool {
        if !self.may_enter(inside) {
            return false;
        }
        // In a file of its own each mail may unpack to as much as the limit.
        if depth == 0 {
            self.unpacked = 0;
        }
        self.look_into_mail(mail, &join(inside, &format!("mail {number}")), depth + 1);
        true
    }
}

/// What stands before a line of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    EmptyLine,
    Line,
    PartOfLine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_told_from_other_text() {
        for mail in [
            b"Received: from a\r\n by b\r\nMIME-Version: 1.0\r\nSubject: x\r\n\r\nbody".as_slice(),
            b"From: a\nContent-Type: multipart/mixed; boundary=x\n\n--x",
            b"Thread-Topic: a\nContent-Type: text/plain\n\n",
        ] {
            assert_eq!(header(mail), Header::OfMail, "{}", String::from_utf8_lossy(mail));
        }
        for other in [
            b"".as_slice(),
            b"From: a\r\n\r\nno attachments can be in it",
            b"To: whom it may concern\nthis is a letter\nMIME-Version: 1.0\n\n",
            b"key: value\nmime-version: 1.0\n\n",
            b"GET / HTTP/1.1\r\nContent-Type: x\r\n\r\n",
            b"\x00\x01: x\nMIME-Version: 1.0\n\n",
        ] {
            assert_eq!(header(other), Header::None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn a_header_that_goes_on_is_read_on() {
        let line = format!("ARC-Seal: i=1; {}\r\n", "a".repeat(900));
        let long = line.repeat(20);
        let head = usize::try_from(super::super::HEAD).unwrap();
        assert_eq!(header(&long.as_bytes()[..head]), Header::Longer);
        assert_eq!(header(format!("{long}MIME-Version: 1.0\r\n").as_bytes()), Header::OfMail);
        // The file ends there.
        assert_eq!(header(&long.as_bytes()[..head - 1]), Header::None);
        assert_eq!(header(format!("{}\r\n\r\n{long}", &line[..50]).get(..head).unwrap().as_bytes()), Header::None);
    }

    #[test]
    fn mailboxes_are_told_from_letters() {
        assert!(is_mailbox(b"From alice@rms.example Thu Jan  1 00:00:00 2015\nReceived: from a\n"));
        for other in [b"From time to time\nthe weather changes: it rains\n".as_slice(), b"From: a\nTo: b\n", b"From a", b""] {
            assert!(!is_mailbox(other));
        }
    }
}
