"""`hrmbuild audit erase`: the texts of a withdrawn source out of everything that this project can reach; and `hold`.

Owns the order of the steps. Each of them may be done twice, so that a kill at any instant leaves an erasure that the
same command finishes; the decision stands first. Leaves are kept, so that signed roots still verify. It says what it
cannot reach, and never that a model forgot.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hrmbuild.audit import evidence
from hrmbuild.audit.decisions import DECISIONS_NAME, append, read
from hrmbuild.audit.edits import EDITS_NAME, drop_edits, read_edits
from hrmbuild.audit.erased import ERASED_NAME, REWRITTEN, erase_pack, read_erased
from hrmbuild.audit.log import LOG_NAME
from hrmbuild.audit.log import append as append_to_log
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.audit.pack_checks import file_problem
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, InputError, UsageError
from hrmbuild.fingerprint import hash_file, sha256_hex
from hrmbuild.pipelines.audit_report import REPORTS_FOLDER
from hrmbuild.pipelines.decided import EDITED_FROM, SOURCES_FACT
from hrmbuild.pipelines.deciders import Decider, Stated
from hrmbuild.pipelines.keys import now
from hrmbuild.pipelines.remake_checks import STATE_NAME
from hrmbuild.pipelines.source_files import find_files
from hrmbuild.pipelines.withdraw import OUT_OF_REACH, Named, made_of, named_source
from hrmbuild.pipelines.withdrawn_material import withdrawn_sources
from hrmbuild.records.decision import Action, Decision, Subject
from hrmbuild.store.connection import write_anew
from hrmbuild.store.corpus import Corpus


@dataclass(frozen=True)
class EraseReport:
    """What went, or would go."""

    source: str
    paths: tuple[str, ...]
    files: tuple[str, ...]
    """Source files of these bytes."""
    manifests: dict[str, int]
    """Folder -> rows of its pack without texts now."""
    edits: int
    """Texts of reviewers."""
    removed: tuple[str, ...]
    """Token files, reports and states of checks that held its words."""
    out_of_reach: tuple[str, ...]
    done: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The keys of `audit erase --json`."""
        return asdict(self)


def hold(project: Project, name: str, stated: Stated, *, release: bool = False) -> Named:
    """Record a legal hold over a source, or that it ends; while it stands nothing of it is erased.

    Raises:
        UsageError, InputError: as `withdraw`.
    """
    who, source = stated.decider(project), named_source(project, name)
    _record(project, "unhold" if release else "hold", source, stated, who)
    return source


def erase(project: Project, name: str, stated: Stated, *, yes: bool = False) -> EraseReport:
    """Erase the texts of a withdrawn source; without `yes` only list.

    Raises:
        AnswerIsNoError: `erase.not_withdrawn`, `erase.held`, `erase.not_ingested`.
        UsageError: `erase.no_key`, and as `withdraw`.
        InputError: `evidence.altered`, `evidence.unreadable`, `store.*`, `disk.*`.
    """
    who, source = stated.decider(project), named_source(project, name)
    _refuse(project, source)
    report = made_of(project, source)
    folders = [project.manifests_folder / one["folder"] for one in report.manifests]
    for folder in folders:
        _refuse_altered(folder)
    files = [file.path for file in find_files(project).files if file.sha256 == source.sha256]
    places = list(_places(project, folders))
    beyond = [f"run {one}" for one in report.runs] + [f"package {one}" for one in report.packages]
    beyond += [f"export {one['name']}" for one in report.exports] + list(OUT_OF_REACH)
    names = tuple(str(path.relative_to(project.work)) for path in places)
    if not yes:
        counts = {one["folder"]: one["pairs"] for one in report.manifests}
        return EraseReport(source.sha256, source.paths, tuple(map(str, files)), counts, 0, names, tuple(beyond), False)
    if who.key is None:
        raise UsageError("erase.no_key", "an erasure is signed", where="--key", why="it cannot be taken back",
                         fix="hrmbuild audit erase … --key K --yes")  # fmt: skip
    if not _is_decided(project, source):
        _record(project, "erase", source, stated, who)
    pairs = _pairs_of(project, source, folders)
    n_edits = drop_edits(project.work / EDITS_NAME, pairs - _still_edited(project, pairs))
    rows = {folder.name: _erase_pack(project, folder, source) for folder in folders}
    _clean_corpus(project, pairs)
    for path in places:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in files:
        path.unlink(missing_ok=True)
    return EraseReport(source.sha256, source.paths, tuple(map(str, files)), rows, n_edits, names, tuple(beyond))


def _refuse(project: Project, source: Named) -> None:
    where = source.paths[0]
    if source.sha256 not in withdrawn_sources(project):
        raise AnswerIsNoError("erase.not_withdrawn", "only a withdrawn source is erased", where=where,
                              fix=f"hrmbuild withdraw {where} --reason … --yes")  # fmt: skip
    decisions = [one.decision for one in read(project.work / DECISIONS_NAME).recorded]
    about = [one for one in decisions if one.subject.sha256 == source.sha256 and one.action in ("hold", "unhold")]
    if about and about[-1].action == "hold":
        raise AnswerIsNoError("erase.held", f"a hold stands over it: {about[-1].reason}", where=where,
                              why=f"{about[-1].person} decided so on {about[-1].at}",
                              fix=f"hrmbuild hold {where} --release --reason …, by whoever may")  # fmt: skip
    if not project.corpus_path.is_file():
        return
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        living = [one for one in corpus.sources() if one.source.sha256 == source.sha256 and one.status == "read"]
    if living:
        raise AnswerIsNoError("erase.not_ingested", "the corpus still holds what was read of it", where=where,
                              fix="hrmbuild ingest, then the same command")  # fmt: skip


def _refuse_altered(folder: Path) -> None:
    """An erasure notes new hashes, so it must not note those of a file that somebody altered before it."""
    manifest, after = read_manifest(folder), read_erased(folder)
    if any(folder.glob(".*.erasing")):
        return  # A kill came in between: the files are those of before or after.
    for name in REWRITTEN:
        told = {manifest.evidence[name], *([after.files[name]] if after and name in after.files else [])}
        if all(file_problem(folder / name, digest) is not None for digest in told):
            raise InputError("evidence.altered", "this file is not the one that was frozen", where=str(folder / name),
                             why="an erasure would vouch for it",
                             fix="restore the folder, then the same command again")  # fmt: skip


def _is_decided(project: Project, source: Named) -> bool:
    recorded = read(project.work / DECISIONS_NAME).recorded
    return any(one.decision.action == "erase" and one.decision.subject.sha256 == source.sha256 for one in recorded)


def _record(project: Project, action: Action, source: Named, stated: Stated, who: Decider) -> None:
    subject = Subject(kind="source", sha256=source.sha256, name=source.paths[0])
    append(project.work / DECISIONS_NAME,
           Decision(action=action, subject=subject, reason=stated.reason.strip(), role=stated.role,
                    person=who.person, at=now()), key=who.key)  # fmt: skip


def _places(project: Project, folders: list[Path]) -> Iterator[Path]:
    """Files beside the manifests that hold words of their rows, and are made again where they are needed."""
    for folder in folders:
        root = read_manifest(folder).content_root
        yield from sorted((project.work / "token-files").glob(f"*{root[:12]}*"))
        yield from sorted((project.work / REPORTS_FOLDER).glob(f"*{root[:12]}*"))
    if (project.work / STATE_NAME).exists():
        yield project.work / STATE_NAME


def _pairs_of(project: Project, source: Named, folders: list[Path]) -> set[str]:
    """Ids of the pairs that it supports in any manifest, alone or with others, and of those whose reviews name it."""
    found = {
        row.id for folder in folders for row in evidence.read_evidence(folder)
        if source.sha256 in {one["source_sha256"] for one in row.value["occurrences"]}
    }  # fmt: skip
    for one in read(project.work / DECISIONS_NAME).recorded:
        if source.sha256 in one.decision.facts.get(SOURCES_FACT, "").split():
            found.add(one.decision.subject.sha256)
    return found


def _still_edited(project: Project, pairs: set[str]) -> set[str]:
    """Those whose edit still makes a pair of the corpus, which another source supports: what a person wrote stays."""
    edited = pairs & {one.pair for one in read_edits(project.work / EDITS_NAME).values()}
    if not edited or not project.corpus_path.is_file():
        return set()
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        return edited & {(one.inputs or {}).get(EDITED_FROM) for pair in corpus.pairs() for one in pair.occurrences}


def _erase_pack(project: Project, folder: Path, source: Named) -> int:
    n = erase_pack(folder, source.sha256)
    facts = {"manifest_sha256": sha256_hex(load_manifest_bytes(folder)), "source_sha256": source.sha256}
    append_to_log(project.work / LOG_NAME, "erase_pack", hash_file(folder / ERASED_NAME), at=now(), facts=facts)
    return n


def _clean_corpus(project: Project, pairs: set[str]) -> None:
    if project.corpus_path.is_file():
        with Corpus.open(project.corpus_path) as corpus:
            corpus.drop_salts(pairs)
        write_anew(project.corpus_path)
