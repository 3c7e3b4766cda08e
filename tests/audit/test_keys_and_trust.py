"""Keys, envelopes and the judgement of a trust file: what counts, what does not, and that the reason is named."""

from __future__ import annotations

import base64
import json
import shutil
import stat
import subprocess
from datetime import date
from pathlib import Path

import pytest

from hrmbuild.audit.keys import PrivateKey, new_key, read_private_key, read_public_key
from hrmbuild.audit.signing import Envelope, read_signed, signed_bytes, statement, subjects_of
from hrmbuild.audit.trust import Trust, read_trust
from hrmbuild.errors import ConfigError, HrmbuildError, InputError, UsageError
from hrmbuild.fingerprint import draw_below, sha256_hex

TODAY = date(2026, 11, 22)
SIGNED_AT = "2026-06-01T10:00:00Z"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ada's key and Bob's."""
    folder = tmp_path_factory.mktemp("keys")
    new_key("ada", folder)
    new_key("bob", folder)
    return folder


@pytest.fixture(scope="module")
def ada(folder: Path) -> PrivateKey:
    return read_private_key(folder / "ada.private.pem")


def signed(key: PrivateKey) -> bytes:
    subjects = [("manifest.json", sha256_hex(b"manifest"))]
    value = statement(subjects=subjects, predicate_type="urn:test", predicate={"signed_at": SIGNED_AT})
    return signed_bytes(value, key)


def envelope_of(data: bytes) -> Envelope:
    return read_signed(data, where="test")


def trust_of(folder: Path, extra: str = "", *, roles: str = "packager", start: str = "2026-01-01") -> Trust:
    """Ada alone, with more lines for her entry."""
    path = folder / "trust.yaml"
    entry = f"keys:\n  - person: Ada\n    roles: [{roles}]\n    public_key: ada.public.pem\n    valid_from: {start}\n"
    path.write_text(entry + (f"    {extra}\n" if extra else ""), "utf-8")
    return read_trust(path, today=TODAY)


def test_a_private_key_is_for_its_owner_alone_and_both_halves_belong_together(folder: Path, ada: PrivateKey) -> None:
    assert stat.S_IMODE((folder / "ada.private.pem").stat().st_mode) == 0o600
    public = read_public_key(folder / "ada.public.pem")
    assert public.fingerprint == ada.fingerprint and len(public.fingerprint) == 64
    assert public.has_signed(b"data", ada.sign(b"data")) and not public.has_signed(b"date", ada.sign(b"data"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_openssl_sees_the_same_fingerprint(folder: Path, ada: PrivateKey) -> None:
    command = ["openssl", "pkey", "-pubin", "-in", str(folder / "ada.public.pem"), "-outform", "DER"]
    der = subprocess.run(command, capture_output=True, check=True).stdout
    assert sha256_hex(der) == ada.fingerprint


def test_a_key_is_never_overwritten_and_its_name_is_a_file_name(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        new_key("ada", folder)
    assert caught.value.code == "keys.exists"
    for name in ("", "../ada", ".ada", "a" * 65, "a b"):
        with pytest.raises(UsageError) as caught:
            new_key(name, folder)
        assert caught.value.code == "keys.bad_name"


def test_an_encrypted_key_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    made = new_key("eve", tmp_path, passphrase="tree")
    assert made.encrypted and b"ENCRYPTED" in made.private.read_bytes()
    assert read_private_key(made.private, passphrase=lambda: "tree").fingerprint == made.fingerprint
    for given, code in (("bush", "keys.wrong_passphrase"), (None, "keys.passphrase_needed")):
        with pytest.raises(UsageError) as caught:
            read_private_key(made.private, passphrase=lambda given=given: given)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("none.pem", None, "keys.unreadable"),
        ("public.pem", "-----BEGIN PUBLIC KEY-----\n", "keys.not_private"),
        ("damaged.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "keys.unreadable"),
    ],
)
def test_what_is_no_private_key_is_said_to_be_none(tmp_path: Path, name: str, text: str | None, code: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    with pytest.raises(HrmbuildError) as caught:
        read_private_key(tmp_path / name)
    assert caught.value.code == code


def test_a_private_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    made = new_key("open", tmp_path)
    made.private.chmod(0o640)
    with pytest.raises(InputError) as caught:
        read_private_key(made.private)
    assert caught.value.code == "keys.too_open" and "chmod 600" in (caught.value.fix or "")


def test_keys_of_other_kinds_are_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        (tmp_path / "key.pem").write_bytes(key.public_key().public_bytes(*form))
        with pytest.raises(InputError, match="P-256"):
            read_public_key(tmp_path / "key.pem")


def test_an_envelope_says_what_was_signed_and_by_whom(ada: PrivateKey) -> None:
    envelope = envelope_of(signed(ada))
    assert envelope.keyid == ada.fingerprint and envelope.is_signed_by(ada.public)
    assert subjects_of(envelope, where="test") == {"manifest.json": sha256_hex(b"manifest")}


def test_no_byte_of_an_envelope_is_free(folder: Path, ada: PrivateKey) -> None:
    trust, data = trust_of(folder), signed(ada)
    for seed in range(300):
        altered = bytearray(data)
        altered[draw_below(len(data), "envelope", seed, "byte")] ^= 1 << draw_below(8, "envelope", seed, "bit")
        try:
            counts = trust.judge(envelope_of(bytes(altered)), role="packager", signed_at=SIGNED_AT).ok
        except InputError as error:
            counts = error.code != "signature.unreadable"
        assert not counts, seed


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e | {"more": 1},
        lambda e: e | {"payloadType": "text/plain"},
        lambda e: e | {"signatures": []},
        lambda e: e | {"signatures": e["signatures"] * 2},
        lambda e: e | {"payload": base64.b64encode(b"[]").decode()},
        lambda e: e | {"payload": base64.b64encode(b'{"_type": 1}').decode()},
        lambda e: e | {"payload": 7},
    ],
)
def test_an_envelope_of_another_form_is_unreadable(ada: PrivateKey, change) -> None:
    value = change(json.loads(signed(ada)))
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(InputError) as caught:
        envelope_of(data)
    assert caught.value.code == "signature.unreadable"


@pytest.mark.parametrize(
    ("extra", "options", "told"),
    [
        ("", {}, "signed by Ada"),
        ("valid_until: 2026-06-01", {}, "signed by Ada"),
        ("revoked_at: 2027-01-01", {}, "signed by Ada"),
        ("", {"start": "2026-06-02"}, "was not yet valid"),
        ("valid_until: 2026-05-31", {}, "had expired"),
        ("revoked_at: 2026-11-22", {}, "was revoked at 2026-11-22"),
        ("", {"roles": "ingester, approver"}, "not as packager"),
    ],
)
def test_a_signature_counts_only_where_the_trust_file_says_so(
    folder: Path, ada: PrivateKey, extra: str, options: dict[str, str], told: str
) -> None:
    verdict = trust_of(folder, extra, **options).judge(envelope_of(signed(ada)), role="packager", signed_at=SIGNED_AT)
    assert told in verdict.detail
    assert (verdict.ok, verdict.person) == ("as packager at" in verdict.detail, "Ada")


@pytest.mark.parametrize("signed_at", ["2026-11-23T00:00:00Z", "yesterday", None, "2026-06-01"])
def test_a_time_that_has_not_come_or_cannot_be_read_does_not_count(
    folder: Path, ada: PrivateKey, signed_at: object
) -> None:
    assert not trust_of(folder).judge(envelope_of(signed(ada)), role="packager", signed_at=signed_at).ok


def test_an_unknown_key_is_named_by_its_fingerprint(folder: Path) -> None:
    bob = read_private_key(folder / "bob.private.pem")
    verdict = trust_of(folder).judge(envelope_of(signed(bob)), role="packager", signed_at=SIGNED_AT)
    assert (verdict.ok, verdict.person) == (False, None) and bob.fingerprint[:16] in verdict.detail


def test_a_borrowed_name_of_a_key_does_not_help(folder: Path, ada: PrivateKey) -> None:
    bob = read_private_key(folder / "bob.private.pem")
    value = json.loads(signed(bob))
    value["signatures"][0]["keyid"] = ada.fingerprint
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    verdict = trust_of(folder).judge(envelope_of(data), role="packager", signed_at=SIGNED_AT)
    assert not verdict.ok and "did not sign these bytes" in verdict.detail


def test_a_key_may_stand_in_the_trust_file_itself(folder: Path, ada: PrivateKey, tmp_path: Path) -> None:
    pem = "".join(f"      {line}\n" for line in ada.public.pem.decode().splitlines())
    text = f"keys:\n  - person: Ada\n    roles: [packager]\n    valid_from: 2026-01-01\n    public_key: |\n{pem}"
    (tmp_path / "own.yaml").write_text(text + f"    fingerprint: {ada.fingerprint}\n", "utf-8")
    assert read_trust(tmp_path / "own.yaml", today=TODAY).keys[0].key == ada.public


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("roles: [packager]", "roles: [boss]", "config.bad_value"),
        ("roles: [packager]", "roles: []", "config.bad_value"),
        ("person: Ada", "persn: Ada", "config.missing_key"),
        ("valid_from: 2026-01-01", "valid_from: 2026-02-31", "trust.bad_day"),
        ("valid_from: 2026-01-01", "valid_from: soon", "config.bad_value"),
        ("public_key: ada.public.pem", "public_key: none.pem", "keys.unreadable"),
        ("valid_from: 2026-01-01", f"valid_from: 2026-01-01\n    fingerprint: {'ab' * 32}", "trust.wrong_fingerprint"),
    ],
)
def test_every_mistake_in_a_trust_file_is_told(folder: Path, old: str, new: str, code: str) -> None:
    trust_of(folder)
    path = folder / "trust.yaml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(HrmbuildError) as caught:
        read_trust(path, today=TODAY)
    assert code in {caught.value.code, *(error.code for error in caught.value.more)}


def test_one_key_cannot_be_two_persons(folder: Path) -> None:
    trust_of(folder)
    path = folder / "trust.yaml"
    entry = path.read_text().partition("keys:\n")[2]
    path.write_text("keys:\n" + entry + entry.replace("Ada", "Bea"))
    with pytest.raises(ConfigError, match="the key of Bea is that of Ada"):
        read_trust(path, today=TODAY)


def test_a_trust_file_inside_of_what_it_judges_is_refused(folder: Path) -> None:
    trust_of(folder)
    with pytest.raises(UsageError) as caught:
        read_trust(folder / "trust.yaml", today=TODAY, verified=folder)
    assert caught.value.code == "trust.inside"
    with pytest.raises(UsageError, match="cannot be read"):
        read_trust(folder / "nowhere.yaml", today=TODAY)
