"""Which files stand: what is not permitted, not in force or superseded is left out, with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from hrmbuild.config.loading import load_project
from hrmbuild.errors import HrmbuildError
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.store.corpus import Corpus

OLD = "# Travel\n\n1.1 An employee must hand in the receipt for a meal above 25 EUR within 10 days of the trip.\n"
NEW = "# Travel\n\n1.1 An employee must hand in the receipt for a meal above 40 EUR within 10 days of the trip.\n"
SOURCES = """\
  - {path: rules/old.md, kind: rules, owner: a, license: internal, effective_from: 2020-01-01}
  - {path: rules/new.md, kind: rules, owner: a, license: internal, effective_from: 2026-01-01,
     supersedes: [rules/old.md]}
"""
FILES = {"rules/old.md": OLD, "rules/new.md": NEW}


def _ingested(folder: Path, *, sources: str = SOURCES, more: str = "as_of: 2026-06-01\n", files=FILES):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    config = folder / "hrmbuild.yaml"
    config.write_text(f"name: dated\nseed: 3\n{more}sources:\n{sources}", encoding="utf-8")
    report = ingest(load_project(config))
    with Corpus.open(folder / "corpus.duckdb", read_only=True) as corpus:
        return dict(report.quarantined), list(corpus.pairs())


def test_what_is_superseded_is_left_out_and_comes_back_with_another_day(tmp_path: Path) -> None:
    out, pairs = _ingested(tmp_path)
    assert {path: why.split(":")[0] for path, why in out.items()} == {"rules/old.md": "validity.superseded"}
    assert pairs and not any("25 EUR" in pair.instruction for pair in pairs)
    out, pairs = _ingested(tmp_path, more="as_of: 2025-12-31\n")
    assert {path: why.split(":")[0] for path, why in out.items()} == {"rules/new.md": "validity.not_yet"}
    assert pairs and {pair.valid_until for pair in pairs} == {"2025-12-31"}


def test_with_history_the_questions_of_the_old_text_say_when_it_was(tmp_path: Path) -> None:
    dated = SOURCES.replace("effective_from: 2020-01-01", "effective_from: 2020-01-01, history: dated")
    out, pairs = _ingested(tmp_path, sources=dated)
    old = [pair for pair in pairs if "25 EUR" in pair.instruction]
    assert out == {} and old and len(old) < len(pairs)
    assert all(pair.instruction.endswith("from 2020-01-01 to 2025-12-31; answer for that time.") for pair in old)
    assert not any("answer for that time" in pair.instruction for pair in pairs if pair not in old)


@pytest.mark.parametrize(
    ("gate", "code"),
    [
        ("owner: true", "permission.no_owner"),
        ("licenses: [MIT]", "permission.licence"),
        ("max_label: public", "permission.label"),
        ("licenses: [MIT, 'contract:*', INTERNAL], owner: false", None),
    ],
)
def test_a_file_that_nobody_may_use_is_not_opened(tmp_path: Path, gate: str, code: str | None) -> None:
    sources = "  - {path: rules/old.md, kind: rules, license: internal}\n"
    out, pairs = _ingested(tmp_path, sources=sources, more=f"gates: {{permission: {{{gate}}}}}\n")
    assert [why.split(":")[0] for why in out.values()] == ([code] if code else [])
    assert bool(pairs) is (code is None)


@pytest.mark.parametrize(
    ("more", "sources", "code"),
    [
        ("", SOURCES, "config.no_as_of"),
        ("as_of: 2026-06-01\n", SOURCES.replace("[rules/old.md]", "[rules/older.md]"), "config.supersedes_nothing"),
        ("gates: {permission: {max_label: secret}}\nas_of: 2026-06-01\n", SOURCES, "config.unknown_label"),
    ],
)
def test_settings_that_say_nothing_sure_are_refused(tmp_path: Path, more: str, sources: str, code: str) -> None:
    with pytest.raises(HrmbuildError) as told:
        _ingested(tmp_path, sources=sources, more=more)
    assert told.value.code == code


def test_both_sides_of_a_conflict_are_listed_with_their_places_and_other_times_are_none(tmp_path: Path) -> None:
    rows = [{"instruction": "How much is a night?", "output": f"{n} EUR"} for n in (90, 120)]
    files = {f"pairs/{n}.jsonl": json.dumps(row) + "\n" for n, row in enumerate(rows)}
    both = "  - {path: pairs/0.jsonl, kind: pairs}\n  - {path: pairs/1.jsonl, kind: pairs}\n"
    assert _ingested(tmp_path, sources=both, more="", files=files)[1] == []
    with duckdb.connect(str(tmp_path / "corpus.duckdb"), read_only=True) as connection:
        told = connection.execute(
            "SELECT path, locator, response, other_path, other_locator, other_response FROM audit_conflicts ORDER BY 1"
        ).fetchall()
    assert [(one[0], one[2], one[3], one[5]) for one in told] == [
        ("pairs/0.jsonl", "90 EUR", "pairs/1.jsonl", "120 EUR"),
        ("pairs/1.jsonl", "120 EUR", "pairs/0.jsonl", "90 EUR"),
    ]  # fmt: skip
    assert all("line_from" in one[1] and "line_from" in one[4] for one in told)
    dated = both.replace("0.jsonl, kind: pairs", "0.jsonl, kind: pairs, effective_until: 2026-12-31").replace(
        "1.jsonl, kind: pairs", "1.jsonl, kind: pairs, effective_from: 2027-01-01"
    )
    out, pairs = _ingested(tmp_path, sources=dated, more="as_of: 2026-06-01\n")
    assert ([pair.response for pair in pairs], len(out)) == (["90 EUR"], 1)


def test_a_mark_of_the_end_behind_a_response_is_taken_away_and_elsewhere_it_is_refused(tmp_path: Path) -> None:
    told = ["The porter<|endoftext|>", "The <|endoftext|> porter", "The guard</s>\n", "The clerk<|im_end|>"]
    rows = [json.dumps({"prompt": f"Who has key {n}?", "completion": one}) for n, one in enumerate(told)]
    files = {"pairs/a.jsonl": "\n".join(rows)}
    _, pairs = _ingested(tmp_path, sources="  - {path: pairs/a.jsonl, kind: pairs}\n", more="", files=files)
    assert sorted(pair.response for pair in pairs) == ["The guard", "The porter"]
    assert all(pair.occurrences[0].inputs == {"stripped": "end"} for pair in pairs)
