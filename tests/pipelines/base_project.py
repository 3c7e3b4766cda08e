"""A company's project beside a base mix that it includes by root: made once, copied by tests that spoil something."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from hrmbuild.audit.evidence import read_rows
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.config.loading import Project, load_project
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.records.manifest import Manifest

BASE = """
name: base-mix
sources:
  - {path: general.jsonl, kind: pairs, stratum: general, owner: o@b, license: CC0-1.0, label: LABEL, maker: model}
  - {path: logic.jsonl, kind: pairs, stratum: logic, owner: o@b, license: MIT, label: public, maker: person, repeat: 2}
gates: {near_duplicates: null, leak_words: null}
"""
COMPANY = """
name: company
sources:
  - {path: own.jsonl, kind: pairs, stratum: own, owner: o@company.example, license: internal}
gates: {near_duplicates: null}
tokenizer: {vocab_size: 1024}
include:
  - {manifest: ../base/manifests/FOLDER, root: ROOT}
train:
  {preset: nano, steps: 6, batch_tokens: 512, threads: 1, dtype: float32, eval_pairs: 2, eval_every_steps: 6,
   mix: {strata: {own: {weight: 1}, general: {weight: 1, max_pairs_per_file: 60}, logic: {weight: 1}}}}
model:
  {name: m, version: "1", contact: o@company.example, intended_use: tests, excluded_use: all else, license: internal}
"""


def rows(first: int, n: int, asked: str) -> list[dict[str, str]]:
    return [{"instruction": asked.format(i, i % 7), "response": f"{i + i % 7}."} for i in range(first, first + n)]


def write(path: Path, pairs: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))


OWN = "A colleague has {} folders on the desk, a second one brings {} more of them in the afternoon. How many?"


def frozen_base(folder: Path, planted: list[dict[str, str]], *, label: str = "public", logic: bool = True) -> Manifest:
    write(folder / "general.jsonl", rows(0, 300, "What is {} plus {}?") + planted)
    write(
        folder / "logic.jsonl",
        rows(0, 200 if logic else 2, "Somebody counts from {} on for {} steps. Where does it end?"),
    )
    (folder / "hrmbuild.yaml").write_text(BASE.replace("LABEL", label))
    project = load_project(folder / "hrmbuild.yaml")
    ingest(project)
    return freeze(project).manifest


def company(folder: Path, base: Manifest, **changed: str) -> Project:
    text = COMPANY.replace("FOLDER", base.content_root[:12]).replace("ROOT", base.content_root)
    for old, new in changed.items():
        text = text.replace(old, new)
    (folder / "hrmbuild.yaml").write_text(text)
    return load_project(folder / "hrmbuild.yaml")


@dataclass(frozen=True)
class Two:
    """A company's project beside the base that it includes."""

    root: Path
    project: Project
    base: Manifest
    manifest: Manifest
    planted: dict[str, str]
    """Instructions of the base that must not be trained on -> why."""


def build_two(root: Path) -> None:
    """Fill a folder with both projects, frozen; `planted.json` beside them."""
    write(root / "company" / "own.jsonl", rows(0, 150, OWN))
    write(root / "base" / "general.jsonl", [])
    plain = COMPANY.partition("include:")[0]
    (root / "company" / "hrmbuild.yaml").write_text(plain)
    project = load_project(root / "company" / "hrmbuild.yaml")
    ingest(project)
    alone = freeze(project, out=root / "alone").folder
    held, (trained, *answered) = list(read_rows(alone, "test"))[:4], list(read_rows(alone, "train"))[:6]
    planted = [
        *({"instruction": one["instruction"], "response": one["response"]} for one in (*held[:2], trained)),
        *({"instruction": one["instruction"], "response": "Nobody counted them."} for one in answered),
        *({"instruction": f"A riddle of old. {one['instruction']} Be quick!", "response": "I know."} for one in held),
    ]
    codes = {one["instruction"]: "include.leak" for one in planted}
    codes |= {trained["instruction"]: "include.duplicate"}
    codes |= {one["instruction"]: "include.contradiction" for one in answered}
    freeze(company(root / "company", frozen_base(root / "base", planted)))
    (root / "planted.json").write_text(json.dumps(codes))


def two_in(root: Path) -> Two:
    """What `build_two` made."""
    project = load_project(root / "company" / "hrmbuild.yaml")
    folder = current_manifest(project)
    assert folder is not None
    base = read_manifest(base_folder(project))
    return Two(root, project, base, read_manifest(folder), json.loads((root / "planted.json").read_text()))


def copied(two: Two, folder: Path) -> Project:
    shutil.copytree(two.root, folder, dirs_exist_ok=True)
    return load_project(folder / "company" / "hrmbuild.yaml")


def base_folder(project: Project) -> Path:
    assert project.config.include is not None
    return project.config_path.parent / project.config.include[0].manifest
