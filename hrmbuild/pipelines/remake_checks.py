"""A frozen pack beside what its sources give when everything is made again: each query, each rule, each gate.

Owns that comparison, for `verify --deep`. The sources go through readers, compilers, gates and the pass over the whole
corpus once more, into a corpus of its own in a state folder outside of what is verified; then every row is compared.
A kill loses the file that was being worked on: where the caller named the state folder, the next call goes on with the
files that are left. In the project's own folder it begins anew each time: what lies there may have been put there by
whoever is checked. When it is done the state folder is gone, so that the next verification makes everything again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hrmbuild.audit.checks import Check, named, not_looked_at
from hrmbuild.audit.decisions import DECISIONS_NAME
from hrmbuild.audit.edits import EDITS_NAME
from hrmbuild.audit.log import LOG_NAME, Log, read_log
from hrmbuild.audit.manifest import load_manifest_bytes
from hrmbuild.config.loading import Project
from hrmbuild.errors import HrmbuildError
from hrmbuild.files import disk_errors
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.corpus_checks import compare_with_corpus
from hrmbuild.pipelines.gate_counts import gate_entries
from hrmbuild.pipelines.identity import code_sha256, freeze_settings_sha256, project_templates
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.progress import Progress, duration
from hrmbuild.records.manifest import Gate, Manifest
from hrmbuild.store.corpus import Corpus

STATE_NAME = ".verify"
"""Folder in the project's work folder where unfinished recomputations stand, one for each manifest."""
MADE_AGAIN, GATES_AGAIN = "made again", "gates again"


@dataclass(frozen=True)
class Remake:
    """How to make everything again."""

    project: Project
    """Under whose settings, from whose sources."""
    state: Path | None = None
    """Where it stands until it is done, and goes on from; None: in the project's work folder, from nothing."""


def remake_checks(remake: Remake, folder: Path, manifest: Manifest, *, progress: Progress) -> Iterator[Check]:
    """Make everything again and compare."""
    project = remake.project
    if manifest.config_sha256 != freeze_settings_sha256(project):
        yield not_looked_at(
            MADE_AGAIN, f"not done: {project.config_path.name} is not the one that this was frozen under"
        )
        return
    chosen = remake.state or project.work / STATE_NAME / manifest.content_root[:12]
    if remake.state is None:
        shutil.rmtree(chosen, ignore_errors=True)
    scratch = replace(project, work=chosen)
    try:
        _prepare(project, chosen, folder)
        began_s = time.monotonic()
        made_now = ingest(scratch, progress=progress).redone
        seconds = time.monotonic() - began_s
        yield _rows_check(scratch, folder, manifest, rate=_rate(scratch, made_now, seconds))
        yield _gates_check(scratch, manifest)
    except HrmbuildError as error:
        yield Check(MADE_AGAIN, False, f"{error.where}: {error.what}" if error.where else error.what)
    shutil.rmtree(chosen, ignore_errors=True)
    with suppress(OSError):
        (project.work / STATE_NAME).rmdir()  # of other manifests there may be one under way


def _prepare(project: Project, state: Path, folder: Path) -> None:
    """What persons had decided when this was frozen has its part in which pairs there are."""
    work, digest = project.work, sha256_hex(load_manifest_bytes(folder))
    with disk_errors(state):
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (DECISIONS_NAME, EDITS_NAME, LOG_NAME):
            (state / name).unlink(missing_ok=True)
            if (work / name).is_file():
                shutil.copy2(work / name, state / name)
        log = read_log(work / LOG_NAME)
        frozen_as = next((one.n for one in log.entries if (one.event, one.sha256) == ("freeze", digest)), None)
        if frozen_as is not None:
            _cut_after(state, log, frozen_as)


def _cut_after(state: Path, log: Log, frozen_as: int) -> None:
    """Leave out what the log tells from the freeze on: later decisions changed other manifests."""
    lines = (state / LOG_NAME).read_bytes().splitlines(keepends=True)
    (state / LOG_NAME).write_bytes(b"".join(lines[: frozen_as - 1]))
    if (state / DECISIONS_NAME).is_file():
        before = {one.sha256 for one in log.entries[: frozen_as - 1]}
        decisions = (state / DECISIONS_NAME).read_bytes().splitlines(keepends=True)
        kept = [line for line in decisions if sha256_hex(line.removesuffix(b"\n")) in before]
        (state / DECISIONS_NAME).write_bytes(b"".join(kept))


def _rate(scratch: Project, made_now: Collection[str], seconds: float) -> str:
    """Pairs a second of this call; what an earlier one had made before it was killed is told apart."""
    with Corpus.open(scratch.corpus_path, read_only=True) as corpus:
        made = {one.source.path: one.n_made for one in corpus.sources()}
    n_now = sum(n for path, n in made.items() if path in made_now)
    before = sum(made.values()) - n_now
    earlier = f", {before:,} by an earlier call, whose folder answers for them" if before else ""
    return f"{n_now:,} pairs in {duration(seconds)}, {n_now / seconds:,.0f}/s{earlier}"


def _rows_check(scratch: Project, folder: Path, manifest: Manifest, *, rate: str) -> Check:
    with Corpus.open(scratch.corpus_path) as corpus:
        corpus.record_freeze(manifest.content_root, manifest.max_label)  # so that rows that were never frozen are extra
    found = compare_with_corpus(folder, manifest, corpus=scratch.corpus_path)
    if found.is_empty:
        return Check(MADE_AGAIN, True, f"{rate}: each query, rule and quote gives the rows that were frozen")
    other = " (another release froze it)" if manifest.code_sha256 != code_sha256() else ""
    other += " (templates differ)" if manifest.templates_sha256 != project_templates(scratch).tree_sha256() else ""
    return Check(MADE_AGAIN, False, f"{found}{other}; {rate}")


def _gates_check(scratch: Project, manifest: Manifest) -> Check:
    with Corpus.open(scratch.corpus_path, read_only=True) as corpus:
        balance = corpus.balance()
        gates = gate_entries(
            scratch.config.gates, made=balance.made, rejected=corpus.rejections_by_gate(),
            held=corpus.rejections_by_gate(held=True),
        )  # fmt: skip
    wrong = _different(manifest.gates, gates)
    wrong += [] if balance.reasons == manifest.rejections else ["reasons"]
    told = f"{len(gates)} gates let through and refused as many again, under the same thresholds"
    return Check(GATES_AGAIN, not wrong, f"differ: {named(wrong)}" if wrong else told)


def _different(frozen: tuple[Gate, ...], again: tuple[Gate, ...]) -> list[str]:
    """Names of gates that differ; a gate that came with a later release refused nothing then. Masks are
    counted with the rows."""
    before, now = ({one.name: one.model_copy(update={"redacted": None}) for one in gates} for gates in (frozen, again))
    return sorted(name for name in before.keys() & now.keys() if before[name] != now[name]) + sorted(
        name for name in before.keys() - now.keys()
    )
