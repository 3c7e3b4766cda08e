"""A thousand random corpora: who may not read a label finds no word of it in the report, on the page or as object."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audited_company import build_company, company

from hrmbuild.audit.evidence import EvidenceRejection, read_evidence, read_rejections
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.audit.report import report_value
from hrmbuild.audit.report_input import PackFacts, ReportInput, Sample
from hrmbuild.audit.shown_text import clearance
from hrmbuild.pipelines.audit_report_html import page
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.records.manifest import Manifest

LABELS = ("public", "internal", "confidential", "restricted")
ROWS = 12


@pytest.fixture(scope="module")
def folder(make_once: Callable[..., Path]) -> Path:
    found = current_manifest(company(make_once("audited", build_company)))
    assert found is not None
    return found


def labelled(manifest: Manifest, draw: random.Random) -> tuple[Manifest, dict[str, str]]:
    """The manifest with a drawn label for each source, some of them quarantined, and the labels by hash."""
    entries = []
    for one in manifest.sources:
        source = one.source.model_copy(update={"label": draw.choice(LABELS)})
        told = {"status": "quarantined", "reason": f"read.bad_csv: {mark(source.label)}"} if draw.random() < 0.3 else {}
        entries.append(one.model_copy(update={"source": source, **told}))
    labels = {one.source.sha256: one.source.label for one in entries}
    return manifest.model_copy(update={"sources": tuple(entries), "labels": LABELS}), labels


def mark(label: str) -> str:
    """A word that stands in texts of this label only."""
    return f"words-that-are-{label}"


def marked_row(row: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    label = max((labels[one["source_sha256"]] for one in row["occurrences"]), key=LABELS.index)
    word = mark(label)
    occurrences = [
        {**one, "text": word, "query": f"SELECT '{word}'", "inputs": {word: word},
         "locator": {"heading_path": [word], "sheet": word, "line_from": 1}}
        for one in row["occurrences"]
    ]  # fmt: skip
    texts = {"instruction": word, "response": word, "answer": {"type": "text", "value": word}}
    return {**row, **texts, "label": label, "occurrences": occurrences}


def marked_rejection(one: EvidenceRejection, labels: dict[str, str], draw: random.Random) -> EvidenceRejection:
    word = mark(labels[one.source_sha256])
    place = json.dumps({"line_from": 3, "sheet": word, "pointer": word, "part": word, "heading_path": [word]})
    text = None if draw.random() < 0.2 else f"{word}?\n\n{word}."
    return replace(one, detail=f"it holds {word}", locator=place, text=text)


@pytest.mark.parametrize("trials", [4, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_word_above_the_label_stands_in_the_report(folder: Path, trials: int) -> None:
    manifest = read_manifest(folder)
    rows = [row.value for row in read_evidence(folder)]
    rejections = list(read_rejections(folder))
    draw = random.Random(20261122)
    for trial in range(trials):
        labelled_manifest, labels = labelled(manifest, draw)
        up_to = draw.choice(LABELS)
        sample = [marked_row(row, labels) for row in draw.sample(rows, ROWS)]
        found = [marked_rejection(one, labels, draw) for one in rejections]
        given = ReportInput(
            manifest=labelled_manifest, manifest_sha256="0" * 64, clearance=clearance(LABELS, up_to), folder_name="m",
            facts=PackFacts(by={"derivation": {"quoted": 1}}), rejections=found, decisions=None, approval=None,
            log=None, trust=None, signature=(), diff=None, model=None,
            sample=Sample("nonce", ROWS, tuple((f"{n:064x}", row) for n, row in enumerate(sample))),
        )  # fmt: skip
        value = report_value(given)
        told = json.dumps(value) + (page(value) if trial % 10 == 0 else "")
        above = LABELS[LABELS.index(up_to) + 1 :]
        assert [label for label in above if mark(label) in told] == [], (trial, up_to)
        readable = {row["label"] for row in sample} - set(above)
        assert all(mark(label) in told for label in readable), (trial, up_to)
