"""Every reason code of the code base has words, and `explain` says them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import hrmbuild
from hrmbuild.cli.main import main
from hrmbuild.records.reasons import REASONS

PACKAGE = Path(hrmbuild.__file__).parent
_CODE = re.compile(r"[\"'`]((?:read|compile|gate|corpus|permission|validity)\.[a-z_]+)[\"'`]")
_BUILT = {
    "gate.empty_instruction", "gate.empty_response", "gate.instruction_too_long", "gate.response_too_long",
    "review.edited", "review.rejected", "source.rejected", "withdrawn",
    "withdrawn.near_copy",
}  # fmt: skip
_NO_REASON = {"corpus.duckdb"}


def _codes() -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")) if path.name != "reasons.py"]
    return {code for text in texts for code in _CODE.findall(text)} - _NO_REASON | _BUILT


def test_every_reason_code_is_explained_and_nothing_else() -> None:
    assert sorted(_codes() - set(REASONS)) == []
    assert sorted(set(REASONS) - _codes()) == []


def test_each_explanation_says_what_it_means_and_what_to_do() -> None:
    assert [
        code for code, (meaning, action) in REASONS.items() if not meaning.endswith(".") or not action.endswith(".")
    ] == []


def test_explain_prints_words_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "gate.secret"]) == 0
    assert "Change the secret" in capsys.readouterr().out
    assert main(["explain", "store.locked", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "store.locked"


@pytest.mark.parametrize("code", ["gate.secrets", "read.nothing_of_the_kind", "nonsense", ""])
def test_an_unknown_code_is_told_with_the_nearest(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", code]) == 2
    error = capsys.readouterr().err
    assert "there is no code" in error and ("gate.secret?" in error or code != "gate.secrets")
