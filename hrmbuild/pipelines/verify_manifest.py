"""Is a manifest what it says? Everything that the folder, the corpus and the sources let anyone recompute.

Owns the list of checks and joining manifest, evidence pack, corpus and sources. Every check stands on its own line and
none is left out because another failed: one bad thing never hides another. What is not at hand or was not asked for
(corpus, sources, log, `--deep`) has a line that says so, and is never called ok.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hrmbuild.audit.checks import Check, VerifyReport, named, not_looked_at
from hrmbuild.audit.decisions import DECISIONS_NAME, Recorded, decision_checks, read
from hrmbuild.audit.erased import ERASED_NAME, read_erased
from hrmbuild.audit.log import Log, read_log
from hrmbuild.audit.manifest import (
    DIGEST_NAME,
    MANIFEST_NAME,
    SIGNATURE_NAME,
    canonical_problem,
    digest_problem,
    load_manifest_bytes,
    manifest_folder,
    parse_manifest,
)
from hrmbuild.audit.manifest_signature import log_check, manifest_signature_checks, read_manifest_signature
from hrmbuild.audit.pack_checks import check_pack, file_problem
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
from hrmbuild.pipelines.manifests import corpus_beside
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.remake_checks import MADE_AGAIN, Remake, remake_checks
from hrmbuild.pipelines.source_checks import check_sources
from hrmbuild.pipelines.token_checks import check_tokenizer
from hrmbuild.records.manifest import Manifest
from hrmbuild.tokens.encode_stream import available_cores

_NOT_DEEP = "not asked (--deep): that the tokenizer, the counts and answers which are no quotes come from the sources"


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
    counted = _counted(log, trust)
    checks += _erasure_checks(folder, log, _erased(counted), trust=trust)
    gone = _withdrawn(counted) | _erased(counted)
    lost = [one.source.path for one in manifest.sources if one.status == "read" and one.source.sha256 in gone]
    if lost:
        checks.append(Check("withdrawn material", True, f"{SAID}: {named(lost)}"))
    checks += _outside(folder, manifest, pack, corpus=corpus, sources=sources, gone=gone, progress=shown)
    absent = _not_as_frozen(manifest, gone, sources)
    checks += _deep_checks(deep, folder, manifest, absent=absent, unreadable=pack.unreadable, progress=shown)
    return VerifyReport("manifest", str(folder), tuple(checks))


def _checks_of(folder: Path) -> tuple[Check, ...]:
    """Of an included corpus: its folder, and the corpus file that it was frozen from where that lies beside it."""
    corpus = corpus_beside(folder)
    try:
        return verify_manifest(folder, corpus=corpus).checks
    except InputError as error:
        told = f"{error.what} ({corpus})"
        is_used = error.code == "store.locked"
        about = not_looked_at("corpus", told) if is_used else Check("corpus", False, f"not compared: {told}")
        return (*(one for one in verify_manifest(folder).checks if one.name != "corpus"), about)


def _counted(log: Path | None, trust: Trust | None) -> tuple[Recorded, ...]:
    """The project's decisions; where somebody asks who signed, only those of people who may decide: what nobody
    signed excuses nothing that is missing."""
    recorded = read(log.parent / DECISIONS_NAME).recorded if log is not None else ()
    return recorded if trust is None else tuple(one for one in recorded if one.judge(trust).ok)


def _erased(recorded: tuple[Recorded, ...]) -> set[str]:
    """SHA-256 of the sources whose erasure was decided: such a file is rightly gone."""
    return {one.decision.subject.sha256 for one in recorded if one.decision.action == "erase"}


def _withdrawn(recorded: tuple[Recorded, ...]) -> set[str]:
    """SHA-256 of the sources that are withdrawn."""
    return {one for one, (code, _) in decided(recorded, {}).kept_out.items() if code == WITHDRAWN}


def _deep_checks(
    deep: bool | Remake,
    folder: Path,
    manifest: Manifest,
    *,
    absent: list[str],
    unreadable: str | None,
    progress: Progress,
) -> Iterator[Check]:
    if not isinstance(deep, Remake):
        yield not_looked_at(MADE_AGAIN, _NOT_DEEP if not deep else "no project is at hand to make pairs again")
    elif absent:
        yield not_looked_at(MADE_AGAIN, f"not done: {named(absent)}: withdrawn, and not there as it was frozen")
    elif unreadable is not None:
        yield Check(MADE_AGAIN, False, f"not compared: {unreadable}")
    else:
        yield from remake_checks(deep, folder, manifest, progress=progress)


def _not_as_frozen(manifest: Manifest, gone: set[str], sources: Path | None) -> list[str]:
    """Withdrawn files of which nothing can be made again."""
    if sources is None:
        return []
    withdrawn = [one.source for one in manifest.sources if one.source.sha256 in gone]
    return [one.path for one in withdrawn if file_problem(sources / one.path, one.sha256) is not None]


def _erasure_checks(folder: Path, log: Path | None, decided_so: set[str], *, trust: Trust | None) -> Iterator[Check]:
    """No signature of the manifest covers what an erasure rewrote: the log and signed decisions have to."""
    if not (folder / ERASED_NAME).exists():
        return
    found = read_log(log) if log is not None else None
    if found is not None:
        told = found.knows("erase_pack", sha256_hex((folder / ERASED_NAME).read_bytes()))
        yield Check(ERASED_NAME, told, "the log tells of it" if told else "the log tells of no such erasure")
    if found is None and trust is None:
        yield not_looked_at(ERASED_NAME, "whether anybody decided this erasure stands in a log that is not at hand")
    after = read_erased(folder)
    if trust is not None and after is not None:
        lacking = [one[:12] for one in after.sources if one not in decided_so] or ([] if after.sources else ["nothing"])
        where = ": verify it in its project, beside its log and decisions" if log is None else ""
        why = f"nobody who may decide signed the erasure of {named(lacking)}{where}"
        told_by = "an approver decided the erasure of each source"
        yield Check("erased by", not lacking, why if lacking else told_by, about_who=True)


def _bytes_check(data: bytes) -> Check:
    problem = canonical_problem(data)
    return Check(MANIFEST_NAME, problem is None, problem or "format 1, canonical bytes")


def _digest_check(folder: Path, data: bytes) -> Check:
    problem = digest_problem(folder, data)
    return Check(f"{MANIFEST_NAME} in {DIGEST_NAME}", problem is None, problem or "its SHA-256 is the one noted")


def _log_checks(folder: Path, data: bytes, path: Path | None, *, trust: Trust | None) -> Iterator[Check]:
    if path is None:
        yield not_looked_at("log", "not at hand: whether a log knows this freeze, and what was decided about it")
        return
    try:
        envelope = read_manifest_signature(folder)
    except InputError:
        envelope = None  # Said already, by the signature's own check.
    stated = envelope.statement["predicate"] if envelope is not None else {}
    log = read_log(path) if path.exists() else None
    yield from decision_checks(read(path.parent / DECISIONS_NAME), log or Log((), ()), trust=trust)
    yield from _manifest_decisions(folder, data, log or Log((), ()), path.parent)
    if envelope is None and log is not None and _was_signed(log, sha256_hex(data)):
        yield Check(SIGNATURE_NAME, False, "missing: the log tells that this freeze was signed")
    yield log_check(log, event="freeze", sha256=sha256_hex(data), stated_head=stated.get("log_head"),
                    signed_at=stated.get("signed_at"))  # fmt: skip


def _was_signed(log: Log, sha256: str) -> bool:
    return any((one.event, one.sha256) == ("freeze", sha256) and "signed_by" in one.facts for one in log.entries)


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
    gone: set[str],
    progress: Progress,
) -> Iterator[Check]:
    if corpus is None:
        yield not_looked_at("corpus", "not at hand, or another manifest is the current one: no row was compared")
    elif gone & {one.source.sha256 for one in manifest.sources}:
        yield not_looked_at("corpus", "withdrawn material and its copies leave it at the next ingest: no row compared")
    elif pack.unreadable is None:
        yield check_corpus(folder, manifest, corpus=corpus)
    else:
        yield Check("corpus", False, f"not compared: {pack.unreadable}")
    if sources is not None:
        yield from check_sources(manifest, pack, sources, gone=gone, progress=progress)
    else:
        yield not_looked_at("sources", "not at hand (--sources): neither their bytes nor what was quoted of them")
