//! Protected mail: no input panics, and damage gives no payload beyond its limit.
#![no_main]

use keykit::container::{CompoundLayout, NewProtectedDocument, read_mail, write_mail};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    drop(read_mail(data));
    let new = NewProtectedDocument {
        layout: CompoundLayout::Binary,
        publishing_licence: data,
        end_user_licences: &[],
        original_size: data.len() as u64,
        content: data,
    };
    let mail = write_mail(&new).expect("any licence can be written");
    assert_eq!(read_mail(&mail).expect("what was written can be read").publishing_licence, data);
});
