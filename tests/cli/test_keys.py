"""`keys`, `--key` and `--trust` as they are typed, and what a user gets wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from typed_commands import Type

from hrmbuild.audit.keys import PASSPHRASE_VARIABLE


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, no passphrase in the environment, and nobody at the terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return tmp_path


def test_a_key_is_made_and_shown_and_its_trust_entry_is_printed(here: Path, typed: Type) -> None:
    made = typed("keys", "new", "ada", "--json").json
    assert made.keys() == {"private", "public", "fingerprint", "encrypted", "trust_entry"} and not made["encrypted"]
    for half in (made["private"], made["public"]):
        shown = typed("keys", "show", half, "--json").json
        assert shown["fingerprint"] == made["fingerprint"] and "PRIVATE" not in str(shown)
    assert made["fingerprint"] in typed("keys", "show", made["public"]).out
    assert typed("keys", "new", "bob", "--out", "elsewhere").status == 0
    assert (here / "elsewhere" / "bob.public.pem").is_file()


def test_a_passphrase_comes_from_the_environment(here: Path, typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = typed("keys", "new", "ada", "--passphrase")
    assert (asked.status, "HRMBUILD_KEY_PASSPHRASE" in asked.err) == (2, True)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "a tree")
    assert typed("keys", "new", "ada", "--json").json["encrypted"]
    assert typed("keys", "show", "keys/ada.private.pem").status == 0
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "a bush")
    wrong = typed("keys", "show", "keys/ada.private.pem", "--json")
    assert (wrong.status, wrong.json["error"]["code"]) == (2, "keys.wrong_passphrase")


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("keys", "new", "a/b"), 2, "keys.bad_name"),
        (("keys", "new"), 2, "usage.arguments"),
        (("keys", "show", "nothing.pem"), 3, "keys.unreadable"),
        (("keys", "show", "ada"), 3, "keys.unreadable"),
        (("verify", "ada", "--trust", "nothing.yaml"), 3, "verify.unknown"),
    ],
)
def test_mistakes_are_told_with_their_code(
    here: Path, typed: Type, words: tuple[str, ...], status: int, code: str
) -> None:
    (here / "ada").mkdir()
    outcome = typed(*words, "--json")
    assert (outcome.status, outcome.json["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [("none.pem", 3, "keys.unreadable"), ("keys/ada.public.pem", 2, "keys.not_private"),
     ("keys/ada.private.pem", 3, "keys.too_open")],
)  # fmt: skip
def test_a_key_that_cannot_sign_stops_freeze_before_its_work(
    project: Path, typed: Type, key: str, status: int, code: str
) -> None:
    typed("keys", "new", "ada")
    (project / "keys" / "ada.private.pem").chmod(0o644)
    outcome = typed("freeze", "--key", key, "--json")
    assert (outcome.status, outcome.json["error"]["code"]) == (status, code)
    assert not (project / "manifests").exists()
