"""`hrmbuild approve`, `reject` and `release`: from what a person names to recorded decisions.

Owns finding what is named: a path, a digest, or the first eight digits of one, where only one thing has them. Nothing
is recorded unless everything that was named is found. It must not say what a decision leads to.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hrmbuild.audit.decisions import DECISIONS_NAME, Recorded, append
from hrmbuild.audit.log import LOG_NAME, read_log
from hrmbuild.audit.manifest import MANIFEST_NAME, load_manifest_bytes
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, HrmbuildError, UsageError, raise_all
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.approvals import Approval, manifest_approval
from hrmbuild.pipelines.deciders import Decider, Stated
from hrmbuild.pipelines.keys import now
from hrmbuild.pipelines.manifests import all_manifests
from hrmbuild.pipelines.rejections import ListedRejection, listed_rejections
from hrmbuild.records.decision import Action, Decision, Subject, SubjectKind
from hrmbuild.store.corpus import Corpus

LEAST_DIGITS = 8
UNSEEN: frozenset[SubjectKind] = frozenset({"sample", "run", "package"})
"""Kinds whose whole digest is taken as it is: what has it need not lie here."""


@dataclass(frozen=True)
class DecisionsReport:
    """Decisions that were recorded."""

    recorded: tuple[Recorded, ...]
    log_head: str
    approvals: tuple[Approval, ...] = ()
    """How each manifest that was decided about stands now, where the settings demand approvals."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `approve --json`."""
        told = {"approvals": [one.as_dict() for one in self.approvals]} if self.approvals else {}
        return {"entries": [_entry(one) for one in self.recorded], "log_head": self.log_head, **told}


def _entry(one: Recorded) -> dict[str, Any]:
    told = one.decision.canonical()
    return {"line": one.line, "sha256": one.sha256, "signed_by": one.keyid, "subject": told["subject"],
            **{name: told.get(name) for name in ("action", "reason", "person", "role", "at")}}  # fmt: skip


def decide(
    project: Project, action: Action, names: Sequence[str], stated: Stated, *, kind: SubjectKind | None = None
) -> DecisionsReport:
    """Record `approve` or `reject` over each thing that is named.

    Args:
        names: manifests (folder, digest), sources (path, digest), held rejections (digest); or, with `kind`, a whole
            digest of something that does not lie here.

    Raises:
        UsageError: `decide.unknown`, `decide.ambiguous`, `decide.no_reason`, `keys.*`; every name at once.
        InputError: `decisions.broken`, `log.broken`, `store.*`, `disk.*`.
    """
    who = stated.decider(project)
    known = [one for one in _known(project, names) if kind is None or one.kind == kind]
    found = _each(names, lambda name: _subject(name, known, kind))
    held = (
        {}
        if all(one.kind != "rejection" for one in found)
        else {one.digest: one for one in _rejections(project, held=True)}
    )
    about = [(one, _facts(held[one.sha256]) if one.kind == "rejection" else {}) for one in found]
    report = _record(project, action, about, stated, who)
    return replace(report, approvals=_standing(project, found))


def _standing(project: Project, subjects: Sequence[Subject]) -> tuple[Approval, ...]:
    if project.config.approvals is None:
        return ()
    digests = {one.sha256 for one in subjects if one.kind == "manifest"}
    folders = {sha256_hex(load_manifest_bytes(one)): one for one in all_manifests(project)}
    return tuple(_approval(project, folders[one], one) for one in sorted(digests & folders.keys()))


def _approval(project: Project, folder: Path, digest: str) -> Approval:
    """What hinders an answer is the answer: the decision is recorded by now."""
    try:
        return manifest_approval(project, folder)
    except HrmbuildError as error:
        return Approval(digest, awaited=(f"{error.what}: {error.fix}" if error.fix else error.what,))


def release(project: Project, names: Sequence[str], stated: Stated) -> DecisionsReport:
    """Record that refused or held pairs may enter the corpus with the next ingest.

    Raises:
        AnswerIsNoError: `release.unread`, `release.never`.
        UsageError, InputError: as `decide`.
    """
    who = stated.decider(project)
    rejections = _rejections(project)
    known = [_rejected(one) for one in rejections]
    by_digest = {one.digest: one for one in rejections}
    found = _each(names, lambda name: _subject(name, known, None))
    chosen = [by_digest[one.sha256] for one in found]
    raise_all([problem for one in chosen if (problem := _why_not(one)) is not None])
    about = [(subject, _facts(one)) for subject, one in zip(found, chosen, strict=True)]
    return _record(project, "release", about, stated, who)


def _facts(one: ListedRejection) -> dict[str, str]:
    return {"code": one.code, "source_sha256": one.source_sha256, "pair_id": one.pair_id or ""}


def _why_not(one: ListedRejection) -> AnswerIsNoError | None:
    where = f"{one.path}, {one.place}"
    if one.text is None or one.pair_id is None:
        return AnswerIsNoError(
            "release.unread", f"{one.code} at {where} cannot be released: its text was not kept", where=one.digest[:12],
            why="it holds personal data or a secret, or is no pair at all; nobody can release what nobody can read",
            fix="read the source at that place; correct it there, or let the kind pass in gates.personal_data, "
                "then run: hrmbuild ingest",
        )  # fmt: skip
    if not one.releasable:
        return AnswerIsNoError("release.never", f"{one.code} at {where} cannot be released", where=one.digest[:12],
                               why="no decision makes such a text fit to train on, or keeps a score honest with it",
                               fix=f"hrmbuild explain {one.code}; correct the source")  # fmt: skip
    return None


def _record(
    project: Project, action: Action, about: Sequence[tuple[Subject, dict[str, str]]], stated: Stated,
    who: Decider,
) -> DecisionsReport:  # fmt: skip
    path = project.work / DECISIONS_NAME
    recorded = [
        append(path, Decision(action=action, subject=subject, reason=stated.reason.strip(), role=stated.role,
                              person=who.person, at=now(), facts=facts), key=who.key)
        for subject, facts in about
    ]  # fmt: skip
    return DecisionsReport(tuple(recorded), read_log(project.work / LOG_NAME).head)


def _each(names: Sequence[str], find: Any) -> list[Subject]:
    """Each name once, every problem at once."""
    problems: list[UsageError] = []
    found: dict[Subject, None] = {}
    for name in names:
        try:
            found[find(name)] = None
        except UsageError as error:
            problems.append(error)
    raise_all(problems)
    return list(found)


def meant(name: str, known: Sequence[str]) -> str:
    """`did you mean memos/lamp.md? Or `, where something is named nearly so."""
    near = difflib.get_close_matches(name.removeprefix("./"), known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}? Or " if near else ""


def _subject(name: str, known: Sequence[Subject], kind: SubjectKind | None) -> Subject:
    folder = _manifest_folder(name)
    if folder is not None:
        data = load_manifest_bytes(folder)
        return Subject(kind="manifest", sha256=sha256_hex(data), name=folder.resolve().name)
    digits = name.lower()
    is_digest = len(digits) >= LEAST_DIGITS and set(digits) <= set("0123456789abcdef")
    found = {one.sha256: one for one in known if name == one.name or (is_digest and one.sha256.startswith(digits))}
    if len(found) > 1:
        raise UsageError("decide.ambiguous", f"{len(found)} things have a digest that begins with {name}", where=name,
                         why=", ".join(f"{one.kind} {one.sha256[:16]}" for one in list(found.values())[:4]),
                         fix="give more digits")  # fmt: skip
    if not found and kind in UNSEEN and len(digits) == 64 and is_digest:
        return Subject(kind=kind, sha256=digits)
    if not found:
        raise UsageError("decide.unknown", "nothing here is named so", where=name,
                         why=f"a digest needs {LEAST_DIGITS} digits at least; sources and rejections are those of the "
                             "corpus, manifests those under manifests/",
                         fix=f"{meant(name, [one.name for one in known if one.name])}name a manifest's folder, a "
                             "source's path as ingest shows it, or a digest; for a sample, run or package its whole "
                             "digest and --kind")  # fmt: skip
    return next(iter(found.values()))


def _known(project: Project, names: Sequence[str]) -> list[Subject]:
    """Everything of the project that can be approved or rejected; of the corpus nothing where manifests are named.

    So a manifest can be decided about while an ingest writes the corpus.
    """
    found = [
        Subject(kind="manifest", sha256=sha256_hex(load_manifest_bytes(folder)), name=folder.name)
        for folder in all_manifests(project)
    ]
    folders = {one.name for one in found}
    if all(name in folders or _manifest_folder(name) is not None for name in names):
        return found
    if project.corpus_path.is_file():
        with Corpus.open(project.corpus_path, read_only=True) as corpus:
            found += [Subject(kind="source", sha256=one.source.sha256, name=one.source.path)
                      for one in corpus.sources()]  # fmt: skip
        found += [_rejected(one) for one in _rejections(project, held=True)]
    return found


def _manifest_folder(name: str) -> Path | None:
    path = Path(name)
    folder = path.parent if path.name == MANIFEST_NAME else path
    return folder if (folder / MANIFEST_NAME).is_file() else None


def _rejections(project: Project, *, held: bool = False) -> list[ListedRejection]:
    """All of them, or those that are held."""
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        return [one for one in listed_rejections(corpus) if one.held >= held]


def _rejected(one: ListedRejection) -> Subject:
    return Subject(kind="rejection", sha256=one.digest, name=f"{one.code} {one.path}")
