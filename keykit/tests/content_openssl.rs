//! OpenSSL's command line as the judge of the ciphers of content: it encrypts each segment on its own, and keykit decrypts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use keykit::content::{EncryptedForm, decrypt, encrypt};
use keykit::licence::{ContentCipher, ContentKey};
use keykit::secret::SecretBytes;

const KEY: [u8; 32] = *b"a key that is used in tests only";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn openssl(cipher: &str, key: &[u8], options: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(["enc", &format!("-aes-{}-{cipher}", key.len() * 8), "-K", &hex(key)]).args(options);
    let mut child = match command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            keykit_vectors::skip("content_openssl", &format!("openssl: {error}"));
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

/// Content as the specification has it, by OpenSSL alone.
fn encrypted_by_openssl(cipher: ContentCipher, key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let filled = [content, &vec![0; content.len().next_multiple_of(16) - content.len()]].concat();
    let (segment, step, padded) = match cipher {
        ContentCipher::Ecb => return openssl("ecb", key, &["-nopad"], &filled),
        ContentCipher::Cbc4k => (4096, 1, true),
        ContentCipher::Cbc4kNoPadding => (4096, 1, false),
        _ => (512, 512, false),
    };
    let text = if padded { content } else { &filled };
    let mut segments: Vec<&[u8]> = text.chunks(segment).collect();
    if padded && content.len().is_multiple_of(segment) {
        segments.push(&[]);
    }
    let mut encrypted = Vec::new();
    for (number, text) in segments.iter().enumerate() {
        let mut counter = [0; 16];
        counter.first_chunk_mut::<8>().unwrap().copy_from_slice(&(number as u64 * step).to_le_bytes());
        let start = hex(&openssl("ecb", key, &["-nopad"], &counter)?);
        let is_last = number + 1 == segments.len();
        let options: &[&str] = if padded && is_last { &["-iv", &start] } else { &["-iv", &start, "-nopad"] };
        encrypted.extend(openssl("cbc", key, options, text)?);
    }
    Some(encrypted)
}

#[test]
fn what_openssl_encrypts_is_decrypted() {
    for key in [&KEY[..16], &KEY] {
        for cipher in ContentCipher::ALL {
            for size in [1, 16, 513, 4095, 4096, 4097_usize] {
                let content: Vec<u8> = (0..=250).cycle().take(size).collect();
                let Some(encrypted) = encrypted_by_openssl(cipher, key, &content) else { return };
                let content_key = ContentKey::new(cipher, SecretBytes::copy_of(key)).unwrap();
                assert_eq!(encrypt(&content_key, cipher, &content).unwrap(), encrypted, "{cipher} {size}");
                let form = EncryptedForm { cipher, encrypted_size: encrypted.len() as u64, original_size: Some(size as u64) };
                let mut plain = Vec::new();
                decrypt(&content_key, &form, &mut encrypted.as_slice(), &mut |bytes| {
                    plain.extend_from_slice(bytes);
                    Ok(())
                })
                .unwrap();
                assert_eq!(plain, content, "{cipher} {size}");
            }
        }
    }
}
