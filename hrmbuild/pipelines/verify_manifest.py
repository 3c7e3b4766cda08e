"""Is a manifest what it says? Everything that the folder, the corpus and the sources let anyone recompute.

Owns the list of checks and joining manifest, evidence pack, corpus and sources. Every check stands on its own line and
none is left out because another failed: one bad thing never hides another. What is not at hand (corpus, sources) is not
checked, and then has no line.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hrmbuild.audit.checks import Check, VerifyReport, named
from hrmbuild.audit.decisions import DECISIONS_NAME, decision_checks, read
from hrmbuild.audit.erased import ERASED_NAME
from hrmbuild.audit.log import Log, read_log
from hrmbuild.audit.manifest import (
    DIGEST_NAME,
    MANIFEST_NAME,
    canonical_problem,
    digest_problem,
    load_manifest_bytes,
    manifest_folder,
    parse_manifest,
)
from hrmbuild.audit.manifest_signature import log_check, manifest_signature_checks, read_manifest_signature
from hrmbuild.audit.pack_checks import check_pack
from hrmbuild.audit.pack_rows import PackContents, load_pack
from hrmbuild.audit.trust import Trust
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.corpus_checks import check_corpus
from hrmbuild.pipelines.decided import SAID, WITHDRAWN, decided
from hrmbuild.pipelines.decision_checks import manifest_decisions_checks
from hrmbuild.pipelines.include_checks import include_checks
from hrmbuild.pipelines.includes import included_folders, looked_for
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.remake_checks import Remake, remake_checks
from hrmbuild.pipelines.source_checks import check_sources
from hrmbuild.pipelines.token_checks import check_tokenizer
from hrmbuild.records.manifest import Manifest
from hrmbuild.tokens.encode_stream import available_cores


def verify_manifest(  # noqa: PLR0913 - one argument for each thing that may be at hand
    path: Path,
    *,
    corpus: Path | None = None,
    sources: Path | None = None,
    deep: bool | Remake = False,
    trust: Trust | None = None,
    log: Path | None = None,
    project: Project | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check a manifest's folder.

    Args:
        path: the folder, or the `manifest.json` in it.
        corpus: the corpus file, to compare rows with.
        sources: the folder that source paths start at, to compare bytes and quotes with.
        deep: also train the tokenizer again and count the tokens of every row again; where it is known under which
            settings, make every pair again from its source.
        trust: whose signature counts; absent: who froze it is not asked.
        log: the log of the project that it was frozen in, where that is at hand; of sources that the decisions beside
            it withdrew since, neither the files nor the corpus without them are compared.
        project: whose settings say where included corpora lie; absent: they are not at hand.

    Raises:
        InputError: `manifest.missing`; `store.*` where the given corpus cannot be opened.
    """
    folder, shown = manifest_folder(path), progress or SilentProgress()
    data = load_manifest_bytes(path)
    try:
        manifest = parse_manifest(data, where=str(folder / MANIFEST_NAME))
    except InputError as error:
        checks = [Check(MANIFEST_NAME, False, error.what), _digest_check(folder, data)]
        if trust is not None:
            checks.append(Check("signed by", False, "not to be told without a manifest", about_who=True))
        return VerifyReport("manifest", str(folder), tuple(checks))
    shown.stage("rows", total=sum(one.pairs for one in manifest.splits.values()), unit="pairs")
    pack = load_pack(folder, processes=available_cores(), on_rows=shown.advance)
    checks = [_bytes_check(data), _digest_check(folder, data)]
    checks += check_pack(folder, manifest, pack)
    at_hand = included_folders(project, manifest)
    checks += check_tokenizer(folder, manifest, deep=bool(deep), included=at_hand, progress=shown)
    checks += include_checks(folder, manifest, at_hand=at_hand, looked_for=partial(looked_for, project, manifest),
                             deep=bool(deep), verify=_checks_of)  # fmt: skip
    checks += manifest_signature_checks(folder, manifest, data, trust=trust)
    checks += _log_checks(folder, data, log, trust=trust)
    gone = _withdrawn(log)
    lost = [one.source.path for one in manifest.sources if one.status == "read" and one.source.sha256 in gone]
    if lost:
        checks.append(Check("withdrawn material", True, f"{SAID}: {named(lost)}"))
        corpus, rest = None, tuple(one for one in manifest.sources if one.source.path not in lost)
        manifest = manifest.model_copy(update={"sources": rest})
    checks += _outside(folder, manifest, pack, corpus=corpus, sources=sources, erased=_erased(log), progress=shown)
    if isinstance(deep, Remake):
        checks += remake_checks(deep, folder, manifest, progress=shown)
    return VerifyReport("manifest", str(folder), tuple(checks))


def _checks_of(folder: Path) -> tuple[Check, ...]:
    """Of an included corpus: its folder alone."""
    return verify_manifest(folder).checks


def _erased(log: Path | None) -> set[str]:
    """SHA-256 of the sources whose erasure the project's decisions tell: such a file is rightly gone."""
    recorded = read(log.parent / DECISIONS_NAME).recorded if log is not None else ()
    return {one.decision.subject.sha256 for one in recorded if one.decision.action == "erase"}


def _withdrawn(log: Path | None) -> set[str]:
    """SHA-256 of the sources that the project's decisions withdraw."""
    recorded = read(log.parent / DECISIONS_NAME).recorded if log is not None else ()
    return {one for one, (code, _) in decided(recorded, {}).kept_out.items() if code == WITHDRAWN}


def _bytes_check(data: bytes) -> Check:
    problem = canonical_problem(data)
    return Check(MANIFEST_NAME, problem is None, problem or "format 1, canonical bytes")


def _digest_check(folder: Path, data: bytes) -> Check:
    problem = digest_problem(folder, data)
    return Check(f"{MANIFEST_NAME} in {DIGEST_NAME}", problem is None, problem or "its SHA-256 is the one noted")


def _log_checks(folder: Path, data: bytes, path: Path | None, *, trust: Trust | None) -> Iterator[Check]:
    if path is None:
        return
    try:
        envelope = read_manifest_signature(folder)
    except InputError:
        envelope = None  # Said already, by the signature's own check.
    head = envelope.statement["predicate"].get("log_head") if envelope is not None else None
    log = read_log(path) if path.exists() else None
    yield from decision_checks(read(path.parent / DECISIONS_NAME), log or Log((), ()), trust=trust)
    yield from _manifest_decisions(folder, data, log or Log((), ()), path.parent)
    if log is not None and (folder / ERASED_NAME).exists():
        told = log.knows("erase_pack", sha256_hex((folder / ERASED_NAME).read_bytes()))
        yield Check(ERASED_NAME, told, "the log tells of it" if told else "the log tells of no such erasure")
    check = log_check(log, event="freeze", sha256=sha256_hex(data), stated_head=head)
    if check is not None:
        yield check


def _manifest_decisions(folder: Path, data: bytes, log: Log, work: Path) -> Iterator[Check]:
    try:
        manifest = parse_manifest(data, where=str(folder / MANIFEST_NAME))
        yield from manifest_decisions_checks(folder, manifest, data, log=log, work=work)
    except InputError as error:
        yield Check("decisions in the manifest", False, error.what)


def _outside(
    folder: Path,
    manifest: Manifest,
    pack: PackContents,
    *,
    corpus: Path | None,
    sources: Path | None,
    erased: set[str],
    progress: Progress,
) -> Iterator[Check]:
    if corpus is not None:
        if pack.unreadable is None:
            yield check_corpus(folder, manifest, corpus=corpus)
        else:
            yield Check("corpus", False, f"not compared: {pack.unreadable}")
    if sources is not None:
        rest = tuple(one for one in manifest.sources if one.source.sha256 not in erased)
        manifest = manifest.model_copy(update={"sources": rest})
        yield from check_sources(manifest, pack, sources, progress=progress)
