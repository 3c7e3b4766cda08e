"""The whole road on documents that nobody here wrote: every file on the disk is on the balance sheet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from installed import REPOSITORY, Environment
from test_determinism import HERE

pytestmark = pytest.mark.slow

FOLDERS = (
    "rules/sara-tax-statutes/common", "rules/github-site-policy/files", "memos/ruby-mail-eml/files",
    "tables/telco-churn/files", "pairs/gsm8k/files",
)  # fmt: skip
QUICK = "  eval_every_steps: 4\n  eval_pairs: 16\n"


def on_the_disk(data: Path) -> set[str]:
    """What the settings point at, by another way than theirs."""
    found = set((data / "rules/sara-tax-statutes/files").glob("*.pl"))
    for folder in FOLDERS:
        found |= {path for path in (data / folder).rglob("*") if path.is_file()}
    return {path.relative_to(data).as_posix() for path in found}


@pytest.fixture(scope="module")
def environment() -> Environment:
    return HERE


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's settings with fewer questions while training."""
    text = (REPOSITORY / "examples" / "real-data.yaml").read_text(encoding="utf-8")
    assert "  steps: 60\n" in text
    path = tmp_path_factory.mktemp("real") / "real-data.yaml"
    path.write_text(text.replace("  steps: 60\n", "  steps: 4\n" + QUICK), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(environment: Environment, settings: Path, shared_data: Path) -> dict[str, dict]:
    """Each stage's report."""
    words = ("--config", settings, "--sources", shared_data, "--work", settings.parent, "--json")
    report = json.loads(environment.run("hrmbuild", "build", *words, cwd=settings.parent))
    assert report["ok"] is True
    return {stage["stage"]: stage["report"] for stage in report["stages"]}


def test_every_file_is_accounted_for(built: dict[str, dict], shared_data: Path) -> None:
    report = built["ingest"]
    assert {file["path"] for file in report["files"]} == on_the_disk(shared_data)
    assert report["unmatched"] == []
    for file in report["files"]:
        assert file["made"] == file["kept"] + file["rejected"], file["path"]
        assert file["made"] or file["reasons"] or file["reason"] or file["skipped"], file["path"]
    quarantined = {file["path"] for file in report["quarantined"]}
    assert len(quarantined) == report["sources"]["quarantined"] <= 0.02 * len(report["files"])


def test_each_folder_gives_pairs(built: dict[str, dict]) -> None:
    kept = dict.fromkeys((*FOLDERS, "rules/sara-tax-statutes/files"), 0)
    for file in built["ingest"]["files"]:
        kept[next(folder for folder in kept if file["path"].startswith(folder))] += file["kept"]
    assert min(kept.values()) > 0


def test_what_is_longer_than_the_context_is_refused_by_the_gate_or_counted(built: dict[str, dict]) -> None:
    counted = built["train"]["too_long"]
    assert all("pairs/gsm8k" in name for name in counted) and sum(counted.values()) <= 3, "the gate counts letters"
    assert built["ingest"]["reasons"]["gate.instruction_too_long"] > 0


def test_the_package_verifies_and_answers(
    built: dict[str, dict], environment: Environment, settings: Path, shared_data: Path
) -> None:
    package = built["package"]["package"]
    verdict = json.loads(
        environment.run("hrmbuild", "verify", package, "--sources", shared_data, "--config", settings, "--work",
                        settings.parent, "--json", cwd=settings.parent)
    )  # fmt: skip
    assert (verdict["ok"], verdict["intact"]) == (True, True)
    asked = environment.run("hrmbuild", "ask", package, "Tom has 3 apples. How many?", "--json", cwd=settings.parent)
    assert json.loads(asked)["tokens"] > 0


def test_a_case_and_its_twin_stay_on_one_side(built: dict[str, dict]) -> None:
    import polars

    rows = polars.read_parquet(Path(built["freeze"]["manifest"]) / "pairs.parquet", columns=["split", "row"])
    paths = {file["sha256"]: file["path"] for file in built["ingest"]["files"]}
    sides: dict[str, set[str]] = {}
    for split, row in rows.iter_rows():
        for occurrence in json.loads(row)["occurrences"]:
            path = paths[occurrence["source_sha256"]]
            if path.endswith(("_pos.pl", "_neg.pl")):
                sides.setdefault(path[: -len("_pos.pl")], set()).add(split)
    assert len(sides) > 20
    assert [case for case, found in sorted(sides.items()) if len(found) > 1] == []
