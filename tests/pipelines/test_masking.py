"""Personal data and secrets from file to manifest: masked with evidence that stands, or gone; nowhere written down."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest
from planted.texts import planted
from planted.values import SECRET_KINDS
from small_project import FILES, write_project

from hrmbuild.audit.manifest import read_manifest
from hrmbuild.audit.pack_checks import check_pack
from hrmbuild.audit.pack_rows import load_pack
from hrmbuild.cli.main import main
from hrmbuild.config.project import GatesConfig
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.masking import Masker
from hrmbuild.pipelines.verify_manifest import verify_manifest
from hrmbuild.records.locator import Locator
from hrmbuild.store.corpus import Corpus

MAIL = "mara.lind@northlake.example.org"
MEMO = f"""\
# Refunds in March

From: Ida Brandt
To: All branches
Date: 2025-03-14
Subject: Refunds

## Decisions

- The desk sends every doubtful refund
  to {MAIL} within 3 days.
- The branch pays refunds to IBAN DE89 3704 0044
  0532 0130 00 until 20 March 2025.

## Actions

- Jonas Weber calls the claimant at +49 30 1234567 by 2025-03-20.
"""
POLICY = """\
# Refund policy

1.1 Every employee must send a refund above 25 EUR to refunds@northlake.example.org within 10 days of the claim.

1.2 The finance desk must pay the claim within 14 days of its arrival.

1.3 The desk must use the password Falcon!4711x within 2 days.
"""


def _files(**more: str) -> dict[str, str]:
    return {**FILES, "memos/refunds.md": MEMO, "policies/refunds.md": POLICY, **more}


def _every_text(path: Path) -> str:
    """All text columns of all tables: the file's bytes alone may hold them compressed."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        return "\n".join(str(row) for table in tables for row in connection.execute(f"FROM {table}").fetchall())


def _written(folder: Path, sources: set[str]) -> dict[str, str]:
    """What the pipelines wrote below the project's folder: the bytes of each file as text."""
    return {
        str(path.relative_to(folder)): path.read_bytes().decode("utf-8", "replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and str(path.relative_to(folder)) not in sources
    }


def test_quotes_stand_at_their_place_after_the_masks(tmp_path: Path) -> None:
    files = _files()
    project = write_project(tmp_path, files)
    report = ingest(project)
    assert report.balance.made == report.balance.kept + report.balance.rejected
    manifest = freeze(project).folder
    checks = verify_manifest(manifest, sources=tmp_path)
    assert [check for check in checks.checks if check.ok is False] == []
    told, pack = read_manifest(manifest), load_pack(manifest)
    assert told.masked and {"email", "iban"} <= set(told.masked)
    assert sum(sum((one.masked or {}).values()) for one in told.sources) == sum(told.masked.values())
    more = told.model_copy(update={"masked": {**told.masked, "email": told.masked["email"] + 1}})
    assert [one.name for one in check_pack(manifest, more, pack) if one.ok is False] == ["counts"]
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        pairs = [
            pair for pair in corpus.pairs() if pair.occurrences[0].inputs and "redacted" in pair.occurrences[0].inputs
        ]
        shown = [one.passage.text for one in corpus.passages(["public", "internal", "confidential", "restricted"])]
    assert pairs and any("[EMAIL_1]" in pair.instruction for pair in pairs)
    assert any("[IBAN_1]" in pair.instruction for pair in pairs)
    assert any("masks" in (pair.occurrences[0].inputs or {}) for pair in pairs)
    assert any("[EMAIL_1]" in text for text in shown) and not any(
        "Falcon" in text or "@north" in text for text in shown
    )
    everything = _every_text(project.corpus_path) + "".join(_written(tmp_path, set(files)).values())
    for words in (MAIL, "refunds@northlake", "0532 0130", "1234567 ", "Falcon!4711x"):
        assert words not in everything, words


def test_a_mask_keeps_its_number_in_a_document(tmp_path: Path) -> None:
    text = (
        f"1.1 Every desk must write to {MAIL} within 3 days.\n\n1.2 Nobody must write to {MAIL.upper()} after 18:00.\n"
    )
    project = write_project(tmp_path, {**FILES, "policies/mail.md": f"# Mail\n\n{text}"})
    ingest(project)
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        of_mail = [pair.instruction for pair in corpus.pairs_of(["policies/mail.md"], limit=50)]
    masks = {mask for text in of_mail for mask in re.findall(r"\[EMAIL_\d+\]", text)}
    assert masks == {"[EMAIL_1]"}


def test_no_planted_secret_is_written_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = [one for one in planted() if one.kind in SECRET_KINDS][:160]
    rows = [
        {"instruction": f"{one.text}\nWho has it, case {n}?", "response": f"The desk of team {n} has it."}
        if n % 2
        else {"instruction": f"What did the note of case {n} say?", "response": one.text}
        for n, one in enumerate(secrets)
    ]
    clean = [{"instruction": f"How many days has claim {n}?", "response": f"{n} days."} for n in range(40)]
    lines = "\n".join(json.dumps(row) for row in [*rows, *clean])
    notes = "\n\n".join(f"- {one.text}" for one in secrets[:40])
    config = (
        FILES["hrmbuild.yaml"] + "  - {path: 'pairs/*.jsonl', kind: pairs, owner: a@b.example, license: internal}\n"
    )
    files = _files(**{"hrmbuild.yaml": config, "pairs/mixed.jsonl": lines, "memos/leaks.md": f"# Leaks\n\n{notes}\n",
                      "policies/broken.yaml": "ruleset: [" + secrets[0].value})  # fmt: skip
    project = write_project(tmp_path, files)
    report = ingest(project)
    assert report.balance.reasons["gate.secret"] >= len(secrets)
    arguments = ["--config", str(project.config_path)]
    assert main(["freeze", *arguments]) == 0
    assert main(["ingest", "--preview", "2", *arguments]) == 0
    told = capsys.readouterr()
    everything = _every_text(project.corpus_path) + told.out + told.err + json.dumps(report.as_dict())
    written = _written(tmp_path, set(files))
    rejections = duckdb.sql(f"FROM '{next(tmp_path.rglob('rejections.parquet'))}'").fetchall()
    everything += str(rejections) + "".join(written.values())
    leaked = [one for one in secrets if _core(one.value) in everything]
    assert leaked == []


def _core(value: str) -> str:
    """The part of a planted value that is secret: its last letters; `-----BEGIN` is known to everybody."""
    return value if value.startswith("-----") else value.rstrip(";/").rsplit("@", 1)[0][-12:]


def test_names_of_sheets_and_keys_name_nobody_and_no_secret() -> None:
    masker = Masker(GatesConfig())
    place = Locator(sheet="key AKIAQ7Z2M4P5X3C3V5B7", pointer="/anna.keller@northlake.com", row_from=3)
    assert masker.place(place) == Locator(sheet="key [SECRET]", pointer="/[EMAIL_1]", row_from=3)
    assert masker.everywhere({"a": ("pass: hunter7xQ9#v", 3)}) == {"a": ("pass: [SECRET]", 3)}
