"""Signed statements: an in-toto Statement in a DSSE envelope, as JSON that others read too.

Owns the envelope's bytes, making and opening it. It must not decide whose key counts (`audit.trust` does). What is
signed is PAE(type, payload) = "DSSEv1" SP len(type) SP type SP len(payload) SP payload. Both the envelope and its
payload are canonical JSON (RFC 8785) and are refused in any other spelling, so that no byte of the file is free.
Sources: https://github.com/secure-systems-lab/dsse (protocol and envelope 1.0.2), https://github.com/in-toto/attestation
(Statement v1).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hrmbuild.audit.keys import PrivateKey, PublicKey
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


@dataclass(frozen=True)
class Envelope:
    """An envelope that was read; nothing is known yet of who signed it."""

    payload: bytes
    statement: dict[str, Any]
    """The payload as a value."""
    keyid: str
    """Fingerprint of the key that is said to have signed; what it says proves nothing."""
    signature: bytes

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether `key` signed exactly this payload."""
        return self.keyid == key.fingerprint and key.has_signed(pae(self.payload), self.signature)


def statement(
    *, subjects: Sequence[tuple[str, str]], predicate_type: str, predicate: Mapping[str, Any]
) -> dict[str, Any]:
    """An in-toto Statement over (name, SHA-256) subjects."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }


def pae(payload: bytes) -> bytes:
    """The bytes that are signed."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def signed_envelope(value: Mapping[str, Any], key: PrivateKey) -> dict[str, Any]:
    """The envelope of a statement with one signature, as JSON types."""
    payload = canonical_json(dict(value))
    return {
        "payload": _text(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key.fingerprint, "sig": _text(key.sign(pae(payload)))}],
    }


def signed_bytes(value: Mapping[str, Any], key: PrivateKey) -> bytes:
    """The same as a file's bytes."""
    return canonical_json(signed_envelope(value, key)) + b"\n"


def unsigned_bytes(value: Mapping[str, Any]) -> bytes:
    """A statement that nobody signed, in the same form: an envelope without a signature."""
    envelope: dict[str, Any] = {
        "payload": _text(canonical_json(dict(value))),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [],
    }
    return canonical_json(envelope) + b"\n"


def read_signed(data: bytes, *, where: str) -> Envelope:
    """The envelope in a file's bytes.

    Raises:
        InputError: `signature.unreadable`: not the one form that `signed_bytes` writes.
    """
    return read_envelope(parse_canonical(data, where=where), where=where)


def parse_canonical(data: bytes, *, where: str) -> Any:
    """A JSON value whose file is its canonical bytes and a newline.

    Raises:
        InputError: `signature.unreadable`.
    """
    try:
        value = json.loads(data)
        same = canonical_json(value) + b"\n" == data
    except (ValueError, TypeError, RecursionError) as error:
        raise _unreadable(where, f"it is no JSON that can be canonical ({error})") from error
    if not same:
        raise _unreadable(where, "its bytes are not the canonical ones (RFC 8785)")
    return value


def read_envelope(value: object, *, where: str, may_be_unsigned: bool = False) -> Envelope:
    """The envelope in a JSON value; exactly one signature, no key too many.

    Args:
        may_be_unsigned: none is allowed too; `keyid` and `signature` are then empty.

    Raises:
        InputError: `signature.unreadable`.
    """
    fields = _fields(value, {"payload", "payloadType", "signatures"}, where=where)
    signatures = cast(list[Any], fields["signatures"]) if isinstance(fields["signatures"], list) else None
    if fields["payloadType"] != PAYLOAD_TYPE or signatures is None or len(signatures) not in (1, not may_be_unsigned):
        raise _unreadable(where, f"it is no envelope of type {PAYLOAD_TYPE} with one signature")
    payload = _bytes(fields["payload"], where=where)
    content = parse_canonical(payload + b"\n", where=where)
    parsed = _fields(content, {"_type", "subject", "predicateType", "predicate"}, where=where)
    if parsed["_type"] != STATEMENT_TYPE or not isinstance(parsed["predicate"], dict):
        raise _unreadable(where, "its payload is no in-toto Statement v1")
    if not signatures:
        return Envelope(payload, parsed, "", b"")
    signature = _fields(signatures[0], {"keyid", "sig"}, where=where)
    return Envelope(payload, parsed, str(signature["keyid"]), _bytes(signature["sig"], where=where))


def subjects_of(envelope: Envelope, *, where: str) -> dict[str, str]:
    """Name -> SHA-256 of a statement's subjects.

    Raises:
        InputError: `signature.unreadable`: a subject of another form, or a name that is there twice.
    """
    found: dict[str, str] = {}
    subjects = envelope.statement["subject"]
    for one in cast(list[Any], subjects) if isinstance(subjects, list) else []:
        fields = _fields(one, {"name", "digest"}, where=where)
        digest = _fields(fields["digest"], {"sha256"}, where=where)
        if fields["name"] in found:
            raise _unreadable(where, f"it names {fields['name']} twice")
        found[str(fields["name"])] = str(digest["sha256"])
    return found


def _fields(value: object, keys: set[str], *, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or cast(dict[str, Any], value).keys() != keys:
        raise _unreadable(where, f"it has other keys than {', '.join(sorted(keys))}")
    return cast(dict[str, Any], value)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(value: object, *, where: str) -> bytes:
    """Base64 in its one spelling: the last letter of another may hold bits that decode to nothing."""
    try:
        data = base64.b64decode(value if isinstance(value, str) else "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unreadable(where, "a part of it is no base64") from error
    if not data or _text(data) != value:
        raise _unreadable(where, "a part of it is no base64 in its one form")
    return data


def _unreadable(where: str, told: str) -> InputError:
    return InputError("signature.unreadable", f"this is no signature of ours: {told}", where=where,
                      fix="restore the file, or sign again")  # fmt: skip
