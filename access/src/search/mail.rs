//! Mail (.eml): the attachments, and mail in them.

use mail_parser::{MessageParser, MimeHeaders as _};

use keykit::Error;

use super::{FORMAT, Search, join};

/// Fields with which mail begins. A file that begins with none of them is not taken for mail.
const FIELDS: [&str; 20] = [
    "arc-",
    "authentication-results:",
    "bcc:",
    "cc:",
    "content-",
    "date:",
    "delivered-to:",
    "dkim-signature:",
    "from:",
    "in-reply-to:",
    "message-id:",
    "mime-version:",
    "received:",
    "references:",
    "reply-to:",
    "return-path:",
    "sender:",
    "subject:",
    "to:",
    "x-",
];

/// Whether the head is that of a mail: header fields only until an empty line, and MIME among them, without which there are no
/// attachments.
pub(super) fn is_mail(head: &[u8]) -> bool {
    let mut names_mime = false;
    let lines = head.split_inclusive(|&byte| byte == b'\n').enumerate();
    for (number, line) in lines {
        let whole = line.ends_with(b"\n");
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        if number > 0 && (line.starts_with(b" ") || line.starts_with(b"\t")) {
            continue;
        }
        let name: String = line.iter().take_while(|byte| **byte != b':').map(|byte| char::from(byte.to_ascii_lowercase())).collect();
        let is_field = name.len() < line.len() && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        if number == 0 && !(is_field && FIELDS.iter().any(|field| format!("{name}:").starts_with(field))) {
            return false;
        }
        if whole && !is_field {
            return false;
        }
        names_mime |= name == "mime-version" || name == "content-type";
    }
    names_mime
}

impl Search<'_> {
    pub(super) fn look_into_mail(&mut self, bytes: &[u8], inside: &str, depth: usize) {
        let Some(message) = MessageParser::default().parse(bytes) else {
            return self.problem(inside, None, Error::malformed(FORMAT, "the mail can't be read"));
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_told_from_other_text() {
        assert!(is_mail(b"Received: from a\r\n by b\r\nMIME-Version: 1.0\r\nSubject: x\r\n\r\nbody"));
        assert!(is_mail(b"From: a\nContent-Type: multipart/mixed; boundary=x\n\n--x"));
        for other in [
            b"".as_slice(),
            b"From: a\r\n\r\nno attachments can be in it",
            b"To: whom it may concern\nthis is a letter\nMIME-Version: 1.0\n\n",
            b"key: value\nmime-version: 1.0\n\n",
            b"GET / HTTP/1.1\r\nContent-Type: x\r\n\r\n",
            b"\x00\x01: x\nMIME-Version: 1.0\n\n",
        ] {
            assert!(!is_mail(other), "{}", String::from_utf8_lossy(other));
        }
    }
}
