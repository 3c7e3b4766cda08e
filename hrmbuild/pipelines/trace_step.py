"""A run as `audit trace` tells it, and with a step: each pair that the step showed, and where that pair stands.

Owns the way from a step of `metrics.jsonl` to rows: the epoch's plan is made again, its digest held against the one
recorded, and each pair of it found in the manifest's own pack or in that of an included corpus. Read only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.audit.manifest import read_manifest
from hrmbuild.audit.shown_text import numbers_of
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.pipelines.base_pairs import TAKEN, Base, bases, bases_at_hand
from hrmbuild.pipelines.frozen_corpus import frozen_folder
from hrmbuild.pipelines.pack_facts import train_rows
from hrmbuild.pipelines.train_mix import run_repeats
from hrmbuild.records.locator import Locator
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.run import RunConfig
from hrmbuild.tokens.batch import step_digest
from hrmbuild.tokens.files import TokenData, folder_name, open_token_files
from hrmbuild.training.feed import run_plan, trained_slots
from hrmbuild.training.metrics import read_metrics
from hrmbuild.training.run_folder import RunFolder


@dataclass(frozen=True)
class _Pack:
    """Where a pair may stand: the own pack, or that of a base."""

    folder: Path
    manifest: Manifest
    base: Base | None


def trace_run(project: Project, run: Path, *, step: int | None) -> dict[str, Any]:
    """What a run was trained on; with `step` (counted from 1) the pairs of that step too.

    Raises:
        UsageError: `trace.no_step`.
        InputError: `trace.no_run`, `trace.no_tokens`, `package.manifest_missing`, `tokens.altered`; `include.*`.
    """
    record = RunFolder(run).record()
    if record is None:
        raise InputError("trace.no_run", "no run is recorded here", where=str(run), fix="name a folder of runs/")
    folder = frozen_folder(project, record.manifest_sha256)
    manifest = read_manifest(folder)
    lines = read_metrics(RunFolder(run).metrics)
    told: dict[str, Any] = {
        "run": str(run), "preset": record.config.preset, "steps": len(lines), "manifest": folder.name,
        "manifest_sha256": record.manifest_sha256, "content_root": manifest.content_root,
        "training_root": manifest.training_root, "includes": list(_includes(project, folder, manifest)), "step": None,
    }  # fmt: skip
    if step is None:
        return told
    if not 1 <= step <= len(lines):
        raise UsageError("trace.no_step", f"the run has made no step {step}", where="--step",
                         fix=f"name one of 1 to {len(lines)}")  # fmt: skip
    data = _tokens(project, record.config, run)
    ids, digest = _shown(record.config, manifest, data, lines, step=step)
    recorded = lines[step - 1].get("batch")
    pairs = list(_places(project, folder, manifest, ids))
    by_pack = dict[str, int]()
    for one in pairs:
        name = (one["base"] or manifest.name) if one["leaf"] else "not found"
        by_pack[name] = by_pack.get(name, 0) + 1
    return told | {"step": {"number": step, "epoch": lines[step - 1]["epoch"], "batch": recorded,
                            "as_planned": digest == recorded, "from": by_pack, "pairs": pairs}}  # fmt: skip


def _includes(project: Project, folder: Path, manifest: Manifest) -> Iterator[dict[str, Any]]:
    for one, told in zip(bases(project, folder, manifest), manifest.includes or (), strict=True):
        here = {"at_hand": True, "why": None} if isinstance(one, Base) else {"at_hand": False, "why": one.why}
        yield {"name": told.name, "content_root": told.content_root, "taken": told.taken.pairs, **here}


def _tokens(project: Project, config: RunConfig, run: Path) -> TokenData:
    root, digest = config.training_root, config.tokenizer_sha256
    folder = project.work / "token-files" / folder_name(root, digest)
    if not folder.is_dir():
        raise InputError("trace.no_tokens", "the token files of this run are not at hand", where=str(folder),
                         why="which pairs a step showed follows from their lengths",
                         fix=f"run: hrmbuild audit replay {run} --nonce N (it writes them again)")  # fmt: skip
    return open_token_files(folder, content_root=root, tokenizer_sha256=digest)


def _shown(
    config: RunConfig, manifest: Manifest, data: TokenData, lines: list[dict[str, Any]], *, step: int
) -> tuple[list[str], str]:
    """Ids of the pairs of a step in their order, each once, and the digest of the plan."""
    split = data.splits["train"]
    slots = trained_slots(split, config.model.context_tokens)
    repeats = run_repeats(manifest, data, slots, mix=config.mix, seed=config.seed)
    epoch = lines[step - 1]["epoch"]
    number = sum(line["epoch"] == epoch for line in lines[: step - 1])
    bins = run_plan(config, slots, repeats=repeats, epoch=epoch).step(number)
    ids = [bytes(split.ids[pair]).hex() for pairs in bins for pair in pairs]
    return list(dict.fromkeys(ids)), step_digest(split, bins)


def _places(project: Project, folder: Path, manifest: Manifest, ids: list[str]) -> Iterator[dict[str, Any]]:
    """Each pair with the pack, source and place that it comes from; an own row before an included one."""
    included = [_Pack(one.pack.folder, one.pack.manifest, one) for one in bases_at_hand(project, folder, manifest)]
    found: dict[str, dict[str, Any]] = {}
    for pack in (_Pack(folder, manifest, None), *included):
        missing = [one for one in ids if one not in found]
        rows = train_rows(pack.folder, missing) if missing else {}
        found |= {key: _place(pack, key, leaf, row) for key, (leaf, row) in rows.items()
                  if pack.base is None or pack.base.fate(row) == TAKEN}  # fmt: skip
    for key in ids:
        yield found.get(key) or {"id": key, "leaf": None, "base": None, "content_root": None, "source": None,
                                 "source_sha256": None, "place": None}  # fmt: skip


def _place(pack: _Pack, key: str, leaf: str, row: dict[str, Any]) -> dict[str, Any]:
    """By the first occurrence. Of its place the numbers only: headings are words of the file."""
    first = row["occurrences"][0]
    paths = {one.source.sha256: one.source.path for one in reversed(pack.manifest.sources)}
    return {
        "id": key, "leaf": leaf, "base": pack.base.name if pack.base else None,
        "content_root": pack.manifest.content_root, "source": paths.get(first["source_sha256"]),
        "source_sha256": first["source_sha256"], "place": str(Locator.model_validate(numbers_of(first["locator"]))),
    }  # fmt: skip
