#!/usr/bin/env python3
"""Judges signed XrML documents from the file alone, with nothing but Python's standard library.

For every document: the digest of its body (UTF-16LE, from <BODY to </BODY>), and the RSASSA-PKCS1-v1_5 signature under the
key of its ISSUER element (modulus little-endian). For neighbours: whether the issuer's key is the one that the next
document certifies. Prints one JSON object; exits with 1 if a digest or signature does not hold.

Usage: licence.py FILE...
       licence.py --extract FOLDER FILE

The second form takes the first document of a file apart, a publishing licence, for other programs to judge. FOLDER gets:
`signed` (the bytes that were signed) and `signature`; `issuer.der` (the issuer's public key as SubjectPublicKeyInfo);
`block` (the RSA block of the sealed content key) and `rest` (what is encrypted under its session key); `bound` (the bytes
whose hash is sealed with the content key).
"""

import base64
import hashlib
import json
import pathlib
import re
import sys

# DigestInfo of RFC 8017, section 9.2, note 1.
DIGEST_INFO = {
    "SHA1": (hashlib.sha1, bytes.fromhex("3021300906052b0e03021a05000414")),
    "SHA256": (hashlib.sha256, bytes.fromhex("3031300d060960864801650304020105000420")),
}


def between(text, start, end):
    """The text from `start` to `end`, both included."""
    found = re.search(re.escape(start) + r"[\s>].*?" + re.escape(end), text, re.S)
    if not found:
        raise ValueError(f"no {start} … {end}")
    return found.group(0)


def values(text):
    return re.findall(r"<VALUE[^>]*>\s*([^<]*?)\s*</VALUE>", text)


def public_key(text):
    key = between(text, "<PUBLICKEY", "</PUBLICKEY>")
    exponent, modulus = values(key)
    modulus = base64.b64decode(modulus, validate=True)
    return int.from_bytes(modulus, "little"), int(exponent), len(modulus)


def judge(document):
    body = between(document, "<BODY", "</BODY>")
    signature = between(document[document.index("</BODY>"):], "<SIGNATURE", "</SIGNATURE>")
    digest_part = between(signature, "<DIGEST", "</DIGEST>")
    name = re.search(r"<ALGORITHM>\s*(.*?)\s*</ALGORITHM>", digest_part).group(1)
    new, prefix = DIGEST_INFO[name]
    digest = new(body.encode("utf-16-le")).digest()
    stated = base64.b64decode(values(digest_part)[-1], validate=True)
    value = base64.b64decode(values(signature.replace(digest_part, ""))[-1], validate=True)
    modulus, exponent, length = public_key(between(body, "<ISSUER", "</ISSUER>"))
    encoded = prefix + digest
    encoded = b"\x00\x01" + b"\xff" * (length - len(encoded) - 3) + b"\x00" + encoded
    opened = pow(int.from_bytes(value, "big"), exponent, modulus).to_bytes(length, "big")
    certified = re.search(r"<ISSUEDPRINCIPALS>.*?</ISSUEDPRINCIPALS>", body, re.S)
    return {
        "type": re.search(r'<BODY[^>]*\btype\s*=\s*"([^"]*)"', body).group(1),
        "hash": name,
        "bits": length * 8,
        "digest_ok": digest == stated,
        "signature_ok": len(value) == length and opened == encoded,
        "issuer": modulus,
        "certified": public_key(certified.group(0))[0] if certified and "<PUBLICKEY" in certified.group(0) else None,
    }


def der(tag, content):
    """One value in DER (X.690)."""
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 + len(size)]) + size + content


def number(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def subject_public_key_info(modulus, exponent):
    key = der(0x30, number(modulus) + number(exponent))
    rsa = der(0x30, der(6, bytes.fromhex("2a864886f70d010101")) + der(5, b""))
    return der(0x30, rsa + der(3, b"\x00" + key))


def extract(folder, path):
    document = re.search(r"<XrML[\s>].*?</XrML>", text_of(path), re.S).group(0)
    body = between(document, "<BODY", "</BODY>")
    signature = between(document[document.index("</BODY>"):], "<SIGNATURE", "</SIGNATURE>")
    modulus, exponent, _ = public_key(between(body, "<ISSUER", "</ISSUER>"))
    principals = re.search(r"<ISSUEDPRINCIPALS>.*?</ISSUEDPRINCIPALS>", body, re.S).group(0)
    server, _, length = public_key(principals)
    bits = between(principals, "<ENABLINGBITS", "</ENABLINGBITS>")
    sealed = base64.b64decode(values(bits)[-1], validate=True)
    parts = {
        "signed": body.encode("utf-16-le"),
        "signature": base64.b64decode(values(signature)[-1], validate=True),
        "issuer.der": subject_public_key_info(modulus, exponent),
        "block": sealed[:length],
        "rest": sealed[length:],
        "bound": principals.replace(bits, "").encode("utf-16-le"),
    }
    for name, content in parts.items():
        (pathlib.Path(folder) / name).write_bytes(content)
    algorithm = re.search(r'<ENABLINGBITS[^>]*\btype\s*=\s*"([^"]*)"', bits).group(1)
    print(json.dumps({"bits": length * 8, "sealed": algorithm, "sealed_to_issuer": server == modulus}))


def text_of(path):
    with open(path, "rb") as file:
        return file.read().decode("utf-8-sig")


def main():
    if sys.argv[1:2] == ["--extract"]:
        return extract(*sys.argv[2:])
    files, sound = [], True
    for path in sys.argv[1:]:
        documents = [judge(document) for document in re.findall(r"<XrML[\s>].*?</XrML>", text_of(path), re.S)]
        sound = sound and bool(documents) and all(one["digest_ok"] and one["signature_ok"] for one in documents)
        linked = [left["issuer"] == right["certified"] for left, right in zip(documents, documents[1:])]
        for one in documents:
            del one["issuer"], one["certified"]
        files.append({"path": path, "documents": documents, "linked": linked})
    print(json.dumps({"sound": sound, "files": files}))
    sys.exit(0 if sound else 1)


main()
