//! Protected mail: no input panics, and damage gives no payload beyond its limit.

use keykit::container::{CompoundLayout, NewProtectedDocument, read_mail, write_mail};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let was_read = read_mail(data).is_ok();
    let new = NewProtectedDocument {
        layout: CompoundLayout::Binary,
        publishing_licence: data,
        end_user_licences: &[],
        original_size: data.len() as u64,
        content: data,
    };
    let mail = write_mail(&new).expect("any licence can be written");
    assert_eq!(read_mail(&mail).expect("what was written can be read").publishing_licence, data);
    was_read
}
