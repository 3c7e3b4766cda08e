"""Labels, reasons by source and gates, counted again: a manifest that tells another story than its pack is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrmbuild.audit.manifest import read_manifest
from hrmbuild.audit.pack_recount import label_check, recount_checks
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.manifest import Manifest

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "manifest_1"
SOURCE = sha256_hex(b"source")


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest(GOLDEN)


def failed(manifest: Manifest) -> dict[str, str]:
    return {check.name: check.detail for check in recount_checks(GOLDEN, manifest) if not check.ok}


def test_the_golden_pack_gives_its_own_counts(manifest: Manifest) -> None:
    assert failed(manifest) == {}


def test_another_reason_or_number_of_skips_of_a_source_is_named(manifest: Manifest) -> None:
    entry = manifest.sources[0]
    for change in ({"reasons": {**entry.reasons, "gate.length": 9}}, {"skipped": entry.skipped + 1}):
        sources = (entry.model_copy(update=change), *manifest.sources[1:])
        told = failed(manifest.model_copy(update={"sources": sources}))
        assert told == {"reasons by source": f"differ: {entry.source.path}"}


def test_a_gate_that_tells_other_counts_is_named(manifest: Manifest) -> None:
    first = manifest.gates[0]
    for change in ({"rejected": first.rejected + 1}, {"passed": first.passed + 1}):
        gates = (first.model_copy(update=change), *manifest.gates[1:])
        told = failed(manifest.model_copy(update={"gates": gates}))
        assert told.keys() == {"gates"} and first.name in told["gates"]


def test_a_pack_that_cannot_be_read_fails_both(manifest: Manifest, tmp_path: Path) -> None:
    assert [check.ok for check in recount_checks(tmp_path, manifest)] == [False, False]


@pytest.mark.parametrize(
    ("label", "rows", "told"),
    [
        ("internal", ["public", "internal"], None),
        ("public", ["public", "internal"], "the highest label of its rows is internal"),
        ("restricted", ["public"], "no row has the manifest's label restricted"),
        ("secret", ["secret"], "the label secret is not declared"),
        ("internal", ["internal", "confidential"], "rows have the label confidential, which none of their sources has"),
    ],
)
def test_a_label_is_the_highest_of_what_was_frozen(
    manifest: Manifest, label: str, rows: list[str], told: str | None
) -> None:
    entry = manifest.sources[0]
    known = ("public", "internal", "restricted")
    labelled = [entry.source.model_copy(update={"label": one, "sha256": SOURCE}) for one in (*known, "secret")]
    sources = tuple(entry.model_copy(update={"source": one}) for one in labelled)
    declared = ("public", "internal", "confidential", "restricted")
    changed = manifest.model_copy(update={"label": label, "labels": declared, "sources": sources})
    check = label_check(changed, [(row, frozenset({SOURCE})) for row in rows])
    assert check.ok == (told is None) and (told or "the highest of internal, public") in check.detail
