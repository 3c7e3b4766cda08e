"""`hrmbuild withdraw`: everything that was made of a source, and, when it is said, the decision that withdraws it.

Owns finding what was made of it and recording the decision. The corpus changes with the next ingest, packages and runs
do not change at all: it never says that a model forgot, it says what training again took the last time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hrmbuild.audit.decisions import DECISIONS_NAME, append
from hrmbuild.audit.log import LOG_NAME, read_log
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.audit.shingles import sketch
from hrmbuild.config.loading import Project
from hrmbuild.errors import HrmbuildError, InputError, UsageError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.packaging.verify import read_package_manifest
from hrmbuild.pipelines.decide import LEAST_DIGITS, meant
from hrmbuild.pipelines.decided import SKETCH_FACT
from hrmbuild.pipelines.deciders import Stated
from hrmbuild.pipelines.keys import now
from hrmbuild.pipelines.ledger import Ledger
from hrmbuild.pipelines.manifests import all_manifests
from hrmbuild.pipelines.near_copies import PROSE, text_of
from hrmbuild.pipelines.source_files import find_files
from hrmbuild.pipelines.withdrawn_material import withdrawn_sources
from hrmbuild.records.decision import Decision, Subject
from hrmbuild.records.manifest import Manifest
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.made_of import Supported
from hrmbuild.training.run_folder import RunFolder

OUT_OF_REACH = (
    "weights that were trained on it: only another training without it makes a model that never saw it",
    "copies of manifests, packages, exports, reports and samples outside this folder; backups; version control",
    "reports, samples and previews that were written to files: no record says where they lie",
)


@dataclass(frozen=True)
class Costs:
    """What the trainings took that stand on the source; training again takes about as much."""

    runs: int = 0
    gpu_hours: float = 0.0
    """Hours of all devices together (of the machine, where it has none)."""
    usd: float | None = None
    """None: no price is known."""


@dataclass(frozen=True)
class WithdrawReport:
    """What was made of a source."""

    source: str
    """SHA-256."""
    paths: tuple[str, ...]
    pairs: tuple[str, ...]
    """Ids of the pairs of the corpus that only this source supports: they go."""
    kept_by_others: tuple[Supported, ...]
    """Pairs that stay, and by which other files."""
    manifests: tuple[dict[str, Any], ...]
    runs: tuple[str, ...]
    packages: tuple[str, ...]
    exports: tuple[dict[str, str], ...]
    costs: Costs
    out_of_reach: tuple[str, ...] = OUT_OF_REACH
    recorded: bool = False
    near_copies: bool = False
    """Whether fingerprints of its text were taken, by which near copies are known."""
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The keys of `withdraw --json`."""
        return asdict(self)


@dataclass(frozen=True)
class Named:
    """The source that a person means."""

    sha256: str
    paths: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The keys of `hold --json`."""
        return asdict(self)


def withdraw(project: Project, name: str, stated: Stated, *, yes: bool = False) -> WithdrawReport:
    """List what was made of a source; with `yes`, record that it is withdrawn.

    Args:
        name: its path as ingest shows it, or the first eight digits or more of its SHA-256.

    Raises:
        UsageError: `withdraw.unknown`, `withdraw.ambiguous`, `decide.no_reason`, `keys.*`.
        InputError: `decisions.broken`, `log.broken`, `store.*`, `disk.*`.
    """
    who = stated.decider(project)
    source = named_source(project, name)
    report = made_of(project, source)
    if not yes:
        return report
    told, notes = _sketch(project, source)
    facts = {SKETCH_FACT: told} if told else {}
    subject = Subject(kind="source", sha256=source.sha256, name=source.paths[0])
    append(project.work / DECISIONS_NAME,
           Decision(action="withdraw", subject=subject, reason=stated.reason.strip(), role=stated.role,
                    person=who.person, at=now(), facts=facts), key=who.key)  # fmt: skip
    return WithdrawReport(**{**vars(report), "recorded": True, "near_copies": bool(told), "notes": notes})


def named_source(project: Project, name: str) -> Named:
    """A source of the corpus, of a manifest, or of the decisions, by path or digest.

    Raises:
        UsageError: `withdraw.unknown`, `withdraw.ambiguous`.
    """
    found: dict[str, dict[str, None]] = {}
    known = list(_known(project))
    for path, sha256 in known:
        if name == path or (len(name) >= LEAST_DIGITS and sha256.startswith(name.lower())):
            found.setdefault(sha256, {})[path] = None
    if not found:
        raise UsageError("withdraw.unknown", f"no source is named {name}", where=name,
                         why="sources are those of the corpus and of the manifests here",
                         fix=f"{meant(name, [path for path, _ in known])}give a path as ingest shows it, or "
                             f"{LEAST_DIGITS} digits of its SHA-256")  # fmt: skip
    if len(found) > 1:
        raise UsageError("withdraw.ambiguous", f"{len(found)} sources are named {name}", where=name,
                         why=", ".join(f"{one[:16]} {next(iter(paths))}" for one, paths in list(found.items())[:4]),
                         fix="give the digits of one")  # fmt: skip
    sha256, paths = next(iter(found.items()))
    return Named(sha256, tuple(paths))


def _known(project: Project) -> Iterator[tuple[str, str]]:
    if project.corpus_path.is_file():
        with Corpus.open(project.corpus_path, read_only=True) as corpus:
            yield from ((one.source.path, one.source.sha256) for one in corpus.sources())
    for folder in all_manifests(project):
        manifest = read_manifest(folder)
        yield from ((one.source.path, one.source.sha256) for one in manifest.sources)
        yield from ((source.path, source.sha256) for source in manifest.trained_sources)


def made_of(project: Project, source: Named) -> WithdrawReport:
    """What stands on it now: pairs of the corpus, then manifests and what came of them."""
    supported: Sequence[Supported] = ()
    if project.corpus_path.is_file():
        with Corpus.open(project.corpus_path, read_only=True) as corpus:
            supported = corpus.made_of(source.sha256)
    manifests = list(_manifests(project, source.sha256))
    hashes = {one["sha256"] for one in manifests}
    runs = tuple(_runs(project, hashes))
    return WithdrawReport(
        source.sha256, source.paths, tuple(one.pair for one in supported if not one.others),
        tuple(one for one in supported if one.others), tuple(manifests), runs, tuple(_packages(project, hashes)),
        tuple(_exports(project, hashes)), _costs(project, runs),
        notes=("it is withdrawn already",) if source.sha256 in withdrawn_sources(project) else (),
    )  # fmt: skip


def _manifests(project: Project, sha256: str) -> Iterator[dict[str, Any]]:
    for folder in all_manifests(project):
        pairs = _pairs_in(read_manifest(folder), sha256)
        if pairs is not None:
            digest = sha256_hex(load_manifest_bytes(folder))
            yield {"folder": folder.name, "sha256": digest, "pairs": pairs}


def _pairs_in(manifest: Manifest, sha256: str) -> int | None:
    counts = [one.count.pairs for one in manifest.sources if one.source.sha256 == sha256 and one.status == "read"]
    included = [one.count.pairs for base in manifest.includes or () for one in base.sources
                if one.source.sha256 == sha256]  # fmt: skip
    return max(counts, default=0) + sum(included) if counts or included else None


def _runs(project: Project, manifests: set[str]) -> Iterator[str]:
    for path in sorted(project.runs_folder.glob("*/run.json")):
        try:
            record = RunFolder(path.parent).record()
        except HrmbuildError:
            continue  # `verify` says what is wrong with it.
        if record is not None and record.manifest_sha256 in manifests:
            yield path.parent.name


def _packages(project: Project, manifests: set[str]) -> Iterator[str]:
    for path in sorted(project.packages_folder.glob("*/corpus-manifest.json")):
        try:
            found = read_package_manifest(path.parent).corpus_manifest_sha256
        except InputError:
            continue  # `verify` says what is wrong with it.
        if found in manifests:
            yield path.parent.name


def _exports(project: Project, manifests: set[str]) -> Iterator[dict[str, str]]:
    for one in read_log(project.work / LOG_NAME).entries:
        if one.event == "export" and one.facts.get("manifest_sha256") in manifests:
            yield {"name": one.facts.get("name", ""), "sha256": one.sha256, "at": one.at}


def _costs(project: Project, runs: Sequence[str]) -> Costs:
    ledger = Ledger(project)
    entries = [entry for run in runs for entry in ledger.of_run(project.runs_folder / run)]
    prices = [entry.usd for entry in entries if entry.usd is not None]
    hours = sum(entry.gpu_hours for entry in entries)
    return Costs(len(runs), round(hours, 4), round(sum(prices), 2) if prices else None)


def _sketch(project: Project, source: Named) -> tuple[str, tuple[str, ...]]:
    """Fingerprints of its text where the file is at hand, and what to say where they cannot be taken."""
    files = [file for file in find_files(project).files if file.sha256 == source.sha256]
    prose = [file for file in files if project.config.sources[file.entry].kind in PROSE]
    if not prose:
        return "", ("only files of the same bytes are kept out: its text is not at hand, or it is no prose",)
    told = sketch(text_of(project, prose[0]))
    return told, () if told else ("only files of the same bytes are kept out: no words can be read in it",)
