"""Secrets planted in every format, in bodies and in all other places of a file: none of them in anything that is made.

What is searched: all that commands print, and the bytes and values of every file that they write (corpus, log,
decisions, evidence pack, reports, exports, token files, run, package). `secret_company` says what stands where.
"""

from __future__ import annotations

import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from canary_company import opened
from secret_company import write_secrets

from hrmbuild.cli.main import main

ALL = ("--show-label", "restricted")
REASON = "password: hunter7xQ9#vv"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("ingest", "--dry-run"), ("ingest", "--preview", "5"), ("ingest", "--json"),
    ("rejections", "--limit", "1000", *ALL), ("rejections", "--limit", "1000", "--json", *ALL),
    ("rules", *ALL), ("rules", "--json", *ALL), ("templates", "test", "--source", "rules/a.yaml", *ALL),
    ("templates", "test", "--source", "prose/a.md", "--json", *ALL), ("freeze",), ("freeze", "--json"),
    ("audit", "report", "--nonce", "n", "--n", "200", *ALL), ("audit", "sample", "--nonce", "n", "--n", "200", *ALL),
    ("audit", "export", "--out", "jsonl", "--format", "jsonl", "--croissant", "--max-label", "restricted"),
    ("audit", "export", "--out", "parquet", "--max-label", "restricted"), ("audit", "trace", "pairs/a.jsonl"),
    ("audit", "trace", "tables/f.xlsx", "--json"), ("withdraw", "pairs/a.jsonl", "--reason", "asked"),
    ("approve", "prose/a.md", "--reason", REASON), ("withdraw", "prose/a.md", "--reason", REASON, "--yes"),
    ("hold", "prose/a.md", "--reason", REASON), ("ask", f"nowhere {REASON}", f"so {REASON}"),
    ("train",), ("package",), ("eval", "--show", "10", "--most", "10", "--report", "scores.html", *ALL),
    ("ask", "Which password?", "--max-tokens", "4", "--json"), ("status",), ("audit", "log"), ("plan",), ("due",),
    ("withdraw", "pairs/a.jsonl", "--reason", "asked", "--yes"), ("ingest",), ("freeze",), ("audit", "report", *ALL),
    ("audit", "diff", "first", "manifests/CURRENT"),
)  # fmt: skip


def told_by(words: tuple[str, ...]) -> tuple[int, str]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(list(words))
    return status, out.getvalue() + err.getvalue()


@pytest.mark.slow
def test_no_planted_secret_is_shown_or_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "company"
    folder.mkdir()
    planted = write_secrets(folder) | {"hunter7xQ9#vv": "a reason, a question"}
    before = {path for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    found: list[str] = []
    ends: set[int] = set()
    with chdir(folder):
        for words in COMMANDS:
            status, told = told_by(words)
            ends.add(status)
            assert status != 70, told
            found += [f"{' '.join(words)} shows {place}" for needle, place in planted.items() if needle in told]
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file() and path not in before and os.access(path, os.R_OK):
            data = opened(path)
            found += [f"{path.name} holds {place}" for needle, place in planted.items() if needle.encode() in data]
    assert len(planted) > 120
    assert 0 in ends
    assert found == []
