#!/usr/bin/env python3
"""Judges signed XrML documents from the file alone, with nothing but Python's standard library.

For every document: the digest of its body (UTF-16LE, from <BODY to </BODY>), and the RSASSA-PKCS1-v1_5 signature under the
key of its ISSUER element (modulus little-endian). For neighbours: whether the issuer's key is the one that the next
document certifies. Prints one JSON object; exits with 1 if a digest or signature does not hold.

Usage: licence.py FILE...
"""

import base64
import hashlib
import json
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


def main():
    files, sound = [], True
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
        documents = [judge(document) for document in re.findall(r"<XrML[\s>].*?</XrML>", text, re.S)]
        sound = sound and bool(documents) and all(one["digest_ok"] and one["signature_ok"] for one in documents)
        linked = [left["issuer"] == right["certified"] for left, right in zip(documents, documents[1:])]
        for one in documents:
            del one["issuer"], one["certified"]
        files.append({"path": path, "documents": documents, "linked": linked})
    print(json.dumps({"sound": sound, "files": files}))
    sys.exit(0 if sound else 1)


main()
