"""The certificates that gateways trust: one PEM file of the estate."""

from __future__ import annotations

import re
import ssl

from recovery.declared.nodes import Document, file_text, quoted, read_bytes, text
from recovery.files import is_there

_BEGIN = re.compile(r"-----BEGIN ([^\n]*?)-----")
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END CERTIFICATE-----(?=\n|\Z)")
"""Source: RFC 7468, section 3, in the strict form that OpenSSL writes."""


def read(estate: Document) -> Document | None:
    """Read the trust anchors that `estate.yaml` names.

    Returns:
        The file, with its mistakes; None when `estate.yaml` names none, or one that isn't there.
    """
    name = text(estate.data, "trust_anchors")
    if not name or not name.isprintable():
        return None
    document = Document(estate.file.parent / name)
    if not is_there(document.file):
        estate.add(("trust_anchors",), f"found {quoted(name)}, but there is no file {file_text(document.file)}")
        return None
    content = read_bytes(document)
    if content is not None:
        document.content = content
        _check(document, content)
    return document


def _check(document: Document, content: bytes) -> None:
    try:
        pem = content.decode()
    except UnicodeDecodeError:
        document.refuse(1, "is not a text of PEM blocks, expected certificates between BEGIN and END lines")
        return
    pem = pem.replace("\r\n", "\n")
    blocks = {found.start(): found.group() for found in _BLOCK.finditer(pem)}
    count = 0
    for found in _BEGIN.finditer(pem):
        count += 1
        line = pem.count("\n", 0, found.start()) + 1
        if "PRIVATE KEY" in found.group(1):
            document.refuse(line, "holds a private key; take it out, and treat that key as known to others")
        elif found.group(1) != "CERTIFICATE":
            document.refuse(line, f"found a PEM block of {quoted(found.group(1))}, expected certificates only")
        elif found.start() not in blocks or not _is_certificate(blocks[found.start()]):
            document.refuse(line, "the certificate that starts here is damaged; export it again")
    if count == 0:
        document.refuse(1, "holds no certificate, expected at least one '-----BEGIN CERTIFICATE-----' block")


def _is_certificate(pem: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return False
    return True
