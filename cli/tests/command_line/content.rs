//! `keykit content open`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keykit::container::{CompoundLayout, NewProtectedDocument, NewProtectedFile, PfileVersion, write_mail};
use keykit::content::encrypt;
use keykit::licence::{ContentCipher, ContentKey};
use keykit::secret::SecretBytes;

use crate::support::{Desk, contoso, fabrikam, woodgrove};

const OPEN: &str = "--format json content open --tenant tenant";
const SIZES: [usize; 10] = [0, 1, 15, 16, 511, 512, 513, 4095, 4096, 4097];

/// A tenant with two of three keys.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml woodgrove.xml").exits(0);
    desk.run(&format!("tenant activate {} --tenant tenant", contoso().key.id())).exits(0);
    desk
}

/// A licence of the program for this cipher, and its content key.
fn licence(desk: &Desk, argument: &str, cipher: ContentCipher) -> (Vec<u8>, ContentKey) {
    let name = format!("licence-{argument}");
    desk.run(&format!("licence issue --tenant tenant --content-key-out {name}.key --cipher {argument} --owner author@rms.example -o {name}"))
        .exits(0);
    (desk.read(&name), ContentKey::new(cipher, SecretBytes::take(desk.read(&format!("{name}.key")))).unwrap())
}

fn pfile(licence: &[u8], size: usize, content: &[u8]) -> Vec<u8> {
    let (version, original_size) = (PfileVersion::CURRENT, Some(size as u64));
    let new =
        NewProtectedFile { version, notice: b"protected", extension: ".txt", publishing_licence: licence, original_size, metadata: &[], content };
    new.to_bytes().unwrap()
}

fn office<'a>(layout: CompoundLayout, licence: &'a [u8], size: usize, content: &'a [u8]) -> NewProtectedDocument<'a> {
    NewProtectedDocument { layout, publishing_licence: licence, end_user_licences: &[], original_size: size as u64, content }
}

#[test]
fn content_of_every_size_comes_out_as_it_went_in() {
    let desk = desk();
    for (argument, cipher) in [("ecb", ContentCipher::Ecb), ("cbc4k", ContentCipher::Cbc4k), ("cbc512", ContentCipher::Cbc512)] {
        let (licence, key) = licence(&desk, argument, cipher);
        for size in SIZES {
            let content: Vec<u8> = b"PK\x03\x04".iter().copied().chain((0..=250).cycle()).take(size).collect();
            let encrypted = encrypt(&key, cipher, &content).unwrap();
            // One kind of file for each size in turn; the library's own tests have them all.
            let (name, kind, bytes) = match size % 3 {
                0 => ("file.docx", "office-irm", office(CompoundLayout::OpenXml, &licence, size, &encrypted).to_bytes().unwrap()),
                1 => ("file.pfile", "pfile", pfile(&licence, size, &encrypted)),
                _ => ("file.rpmsg", "rpmsg", write_mail(&office(CompoundLayout::Binary, &licence, size, &encrypted)).unwrap()),
            };
            desk.write(name, bytes);
            let opened = desk.run(&format!("{OPEN} {name} -o out")).exits(0).says("in the clear").json("content-open");
            assert_eq!((&opened["kind"], &opened["bytes"], &opened["cipher"]), (&kind.into(), &size.into(), &cipher.to_string().into()));
            assert_eq!(opened["key_id"], contoso().key.id().to_string());
            assert!(desk.read("out") == content, "{argument} {size}");
            assert_eq!(fs::metadata(desk.path("out")).unwrap().permissions().mode() & 0o777, 0o600);
            fs::remove_file(desk.path("out")).unwrap();
        }
    }
}

#[test]
fn neither_content_nor_key_is_printed() {
    let desk = desk();
    let (licence, key) = licence(&desk, "cbc4k", ContentCipher::Cbc4k);
    let content = b"the recipe of the house";
    desk.write("file.pfile", pfile(&licence, content.len(), &encrypt(&key, ContentCipher::Cbc4k, content).unwrap()));
    let key_as_hex: String = key.key().expose().iter().map(|byte| format!("{byte:02x}")).collect();
    for (format, out) in [("json", "a"), ("text", "b")] {
        let ran = desk.run(&format!("--format {format} content open file.pfile --tenant tenant -o {out}")).exits(0);
        let printed = ran.stdout() + &ran.stderr();
        assert!(!printed.contains("recipe") && !printed.to_lowercase().contains(&key_as_hex), "{printed}");
        assert_eq!(desk.read(out), content);
    }
}

#[test]
fn what_can_not_be_opened_leaves_no_file() {
    let desk = desk();
    let (licence, key) = licence(&desk, "cbc4k", ContentCipher::Cbc4k);
    let encrypted = encrypt(&key, ContentCipher::Cbc4k, &[1; 200_000]).unwrap();
    let whole = pfile(&licence, 200_000, &encrypted);
    desk.write("whole.pfile", &whole);
    desk.write("cut.pfile", &whole[..whole.len() - 5]);
    desk.write("shorter.pfile", &whole[..whole.len() - 4096]);
    desk.write("size.pfile", pfile(&licence, 199_999, &encrypted));
    let other = ContentKey::new(ContentCipher::Cbc4k, SecretBytes::copy_of(&[1; 16])).unwrap();
    // The last byte is known to decrypt to no padding: the padding of the content that it was made from is 17 bytes.
    let no_padding = encrypt(&key, ContentCipher::Cbc4kNoPadding, &[17; 32]).unwrap();
    desk.write("padding.pfile", pfile(&licence, 20, &no_padding));
    desk.write(
        "other.docx",
        office(CompoundLayout::OpenXml, &licence, 7, &encrypt(&other, ContentCipher::Cbc4kNoPadding, &[5; 7]).unwrap()).to_bytes().unwrap(),
    );
    desk.write("lost.pfile", &fabrikam().cluster.licences[0].pfile);
    desk.write("licence.xrml", &licence);
    desk.write("plain.txt", "nothing");
    desk.write("there", "something of value");
    desk.write("mode1.pfile", &woodgrove().cluster.licences[0].pfile);
    let before = desk.snapshot();
    for (arguments, code, word) in [
        ("cut.pfile -o out", 3, "cut off"),
        // Content of the byte 1 looks like padding wherever it is cut: the size tells.
        ("shorter.pfile -o out", 3, "the file says 200000"),
        ("size.pfile -o out", 3, "the file says 199999"),
        ("padding.pfile -o out", 1, ""),
        ("other.docx -o out", 1, ""),
        ("lost.pfile -o out", 1, "which the tenant does not have"),
        // The key of mode 1 opens the licence; the content of the sample is none.
        ("mode1.pfile -o out", 3, "cut off"),
        ("licence.xrml -o out", 3, "licence alone"),
        ("plain.txt -o out", 3, "no protected file"),
        ("nowhere -o out", 2, "nowhere"),
        ("whole.pfile -o there", 9, "exists already"),
        ("whole.pfile -o whole.pfile", 4, "rule 75"),
        ("whole.pfile -o nowhere/out", 8, "nowhere"),
        ("whole.pfile", 2, "--output"),
    ] {
        desk.run(&format!("{OPEN} {arguments}")).exits(code).says(word);
    }
    // A disk that is full leaves nothing either.
    desk.run_limited(100, "content open whole.pfile --tenant tenant -o out").exits(8);
    assert_eq!(desk.snapshot(), before);
    desk.run(&format!("{OPEN} whole.pfile -o out")).exits(0);
    assert_eq!(desk.read("out"), [1; 200_000]);
}

#[test]
fn what_does_not_look_like_content_is_said() {
    let desk = desk();
    let (licence, key) = licence(&desk, "ecb", ContentCipher::Ecb);
    let encrypted = encrypt(&key, ContentCipher::Ecb, b"no package").unwrap();
    desk.write("file.docx", office(CompoundLayout::OpenXml, &licence, 10, &encrypted).to_bytes().unwrap());
    let opened = desk.run(&format!("{OPEN} file.docx -o out")).exits(0).says("does not begin like a ZIP file").json("content-open");
    assert_eq!((&opened["begins_as_expected"], &opened["layout"]), (&false.into(), &"open-xml".into()));
}
