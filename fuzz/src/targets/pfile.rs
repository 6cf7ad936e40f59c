//! Protected files and the search for licences: no input panics, and what is read is inside the file.

use keykit::container::{NewProtectedFile, ProtectedFile, find_licences};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let file = ProtectedFile::parse(data);
    if let Ok(file) = &file {
        let licence_end = file.publishing_licence_offset() + file.publishing_licence().len();
        assert_eq!(&data[file.publishing_licence_offset()..licence_end], file.publishing_licence());
        assert!(licence_end <= file.content_offset());
        assert_eq!(&data[file.content_offset()..], file.content());

        // Written anew without the gaps a file may have, it reads the same.
        let again = NewProtectedFile {
            version: file.version(),
            notice: file.notice(),
            extension: file.extension(),
            publishing_licence: file.publishing_licence(),
            original_size: file.original_size(),
            metadata: file.metadata(),
            content: file.content(),
        };
        let bytes = again.to_bytes().expect("what was read can be written");
        let reread = ProtectedFile::parse(&bytes).expect("what was written can be read");
        assert_eq!(reread.publishing_licence(), file.publishing_licence());
        assert_eq!(reread.extension(), file.extension());
        assert_eq!((reread.original_size(), reread.metadata(), reread.content()), (file.original_size(), file.metadata(), file.content()));
    }
    if let Ok(found) = find_licences(data)
        && let Some(offset) = found.offset
    {
        assert_eq!(&data[offset..offset + found.licences.len()], &*found.licences);
    }
    file.is_ok()
}
