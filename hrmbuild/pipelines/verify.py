"""`hrmbuild verify`: recognises a manifest, a run or a package, checks it, and follows the chain back as far as it can.

Owns recognition and the joining of parts: package -> run -> manifest -> corpus and sources. The checks of each part
are its own. What is not at hand is said to be not looked at; it fails nothing and is never called ok.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hrmbuild.audit.checks import Check, VerifyReport, named, not_looked_at
from hrmbuild.audit.log import LOG_NAME, read_log
from hrmbuild.audit.manifest import SIGNATURE_NAME
from hrmbuild.audit.manifest_signature import log_check
from hrmbuild.audit.trust import TRUST_NAME, Trust, read_trust
from hrmbuild.config.loading import Project
from hrmbuild.errors import HrmbuildError, InputError
from hrmbuild.fingerprint import hash_file
from hrmbuild.packaging.provenance import stated_materials
from hrmbuild.packaging.signature import read_signature
from hrmbuild.packaging.verify import read_package_manifest, verify_package
from hrmbuild.pairs.prompt import OPEN_BOOK
from hrmbuild.pipelines.finished_run import read_finished_run
from hrmbuild.pipelines.frozen_corpus import find_frozen
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.progress import Progress
from hrmbuild.pipelines.remake_checks import Remake
from hrmbuild.pipelines.run_batches import check_batches
from hrmbuild.pipelines.verify_manifest import verify_manifest
from hrmbuild.pipelines.verify_run import verify_run_folder
from hrmbuild.pipelines.withdrawn_material import withdrawn_check
from hrmbuild.records.package import PackageManifest
from hrmbuild.records.run import RunRecord
from hrmbuild.training.run_folder import RunFolder

_MARKS = {
    "package": ("config.json", "model.safetensors", "probe.json", "corpus-manifest.json"),
    "run": ("run.json", "metrics.jsonl", "checkpoints", "result.json"),
    "manifest": ("manifest.sha256", "pairs.parquet", "salts.parquet", "check.py"),
}
"""Names that only one kind of folder holds: an artifact that lost some of them is still recognised by the others."""


def verify(
    path: Path,
    *,
    project: Project | None = None,
    corpus: Path | None = None,
    sources: Path | None = None,
    deep: bool | Path = False,
    trust: Path | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check whatever stands at `path`.

    Args:
        path: a manifest (folder or file), a run folder or a package folder.
        project: where runs, manifests and sources of the chain are looked for; None checks the artifact alone.
        corpus: the corpus file to compare with; absent: the project's, where there is one.
        sources: the folder that source paths start at; absent: the project's.
        deep: also train the manifest's tokenizer again on the train split, count every row's tokens again, and make
            every pair again from its source, through every query, rule and gate. A folder: where those pairs stand
            until it is done, and where an earlier call is gone on with; only who verifies may write there.
        trust: a trust file: who signed is asked too. Absent: the project's `trust.yaml`, where there is one. No key is
            ever taken from what is verified.

    Raises:
        InputError: `verify.not_found`, `verify.unknown`, `keys.unreadable`.
        UsageError, ConfigError: `trust.*`, `config.*`: the trust file.
    """
    folder = path.parent if path.name == "manifest.json" and path.is_file() else path
    kind = recognise(folder)
    judge = _trust_for(trust, project, folder)
    chain = _Chain(project, corpus, sources, progress, deep=deep, trust=judge)
    asked = str(judge.path) if judge is not None else None
    if kind == "manifest":
        report = verify_manifest(folder, corpus=chain.corpus, sources=chain.sources, deep=chain.deep, trust=judge,
                                 log=chain.log_of(folder), project=project, progress=progress)  # fmt: skip
        return replace(report, path=str(path), trust=asked)
    if kind == "run":
        who = [] if judge is None else [not_looked_at("signed by", "a run carries no signature: its package does")]
        who = [replace(check, about_who=True) for check in who]
        return VerifyReport("run", str(path), (*verify_run_folder(folder), *who, *chain.of_run(folder)), asked)
    checks = (*verify_package(folder, trust=judge), *chain.of_package(folder))
    return VerifyReport("package", str(path), checks, asked)


def _trust_for(path: Path | None, project: Project | None, folder: Path) -> Trust | None:
    own = project.config_path.parent / TRUST_NAME if project is not None else None
    chosen = path or (own if own is not None and own.is_file() else None)
    today = datetime.now(UTC).date()
    return None if chosen is None else read_trust(chosen, today=today, verified=folder)


def recognise(folder: Path) -> str:
    """`package`, `run` or `manifest`: the kind most of whose marks are there.

    Raises:
        InputError: `verify.not_found`, `verify.unknown`.
    """
    if not folder.exists():
        raise InputError("verify.not_found", "there is nothing here", where=str(folder), fix="check the path")
    found = {kind: sum((folder / name).exists() for name in names) for kind, names in _MARKS.items()}
    kind = max(found, key=lambda name: found[name])
    if not found[kind]:
        raise InputError(
            "verify.unknown",
            "this is no manifest, no run and no package",
            where=str(folder),
            why=f"it holds none of their files ({', '.join(name for names in _MARKS.values() for name in names)})",
            fix="name a folder that hrmbuild freeze, train or package wrote",
        )
    return kind


class _Chain:
    """The way back from an artifact, with what the project has at hand."""

    def __init__(
        self, project: Project | None, corpus: Path | None, sources: Path | None, progress: Progress | None,
        *, deep: bool | Path, trust: Trust | None,
    ) -> None:  # fmt: skip
        self._project, self._progress, self._trust = project, progress, trust
        state = deep if isinstance(deep, Path) else None
        self.deep = Remake(project, state) if deep and project is not None else bool(deep)
        own_corpus = project.corpus_path if project is not None and project.corpus_path.is_file() else None
        self.corpus = corpus or own_corpus
        self.sources = sources or (project.folder if project is not None else None)

    def of_package(self, folder: Path) -> Iterator[Check]:
        """Run, prompt template, manifest and what is behind it."""
        try:
            manifest = read_package_manifest(folder)
        except InputError:
            return  # Said already, by the package's own first check.
        if self._project is not None:
            yield from self._run_of(self._project, folder, manifest)
            yield _prompt_check(self._project, manifest)
        else:
            yield not_looked_at("run", "no project is at hand: that these weights came of these batches")
        yield from self._log_checks(folder, manifest)
        yield from self.of_corpus(manifest.corpus_manifest_sha256)

    def log_of(self, folder: Path) -> Path | None:
        """The log that must know an artifact: the project's, for what lies in the project."""
        work = self._project.work if self._project is not None else None
        return work / LOG_NAME if work is not None and folder.resolve().is_relative_to(work.resolve()) else None

    def _log_checks(self, folder: Path, manifest: PackageManifest) -> Iterator[Check]:
        """A package of a corpus that was not frozen here was made elsewhere: it is none of this log's business."""
        path = self.log_of(folder)
        log = read_log(path) if path is not None and path.exists() else None
        if log is None or not log.knows("freeze", manifest.corpus_manifest_sha256):
            yield not_looked_at("log", "no log at hand knows the corpus of this package, so none was asked for it")
            return
        try:
            stated = read_signature(folder).stated
        except InputError:
            stated = {}
        yield log_check(log, event="package", sha256=hash_file(folder / "manifest.json"),
                        stated_head=stated.get("log_head"), signed_at=stated.get("signed_at"))  # fmt: skip

    def of_run(self, folder: Path) -> Iterator[Check]:
        """The manifest and what is behind it."""
        try:
            record = RunFolder(folder).record()
        except InputError:
            return
        if record is None:
            return
        yield from self._batches_of(folder, record)
        yield from self.of_corpus(record.manifest_sha256)

    def _batches_of(self, folder: Path, record: RunRecord) -> Iterator[Check]:
        found = find_frozen(self._project, record.manifest_sha256) if self._project is not None else None
        if self._project is None or found is None:
            yield not_looked_at("batches", "its manifest is not at hand: what the steps were shown was not compared")
            return
        yield from check_batches(
            RunFolder(folder), record, manifest=found, project=self._project, deep=bool(self.deep),
            progress=self._progress,
        )  # fmt: skip

    def of_corpus(self, manifest_sha256: str) -> Iterator[Check]:
        """Every check of the manifest with this hash, under `corpus:`."""
        yield from withdrawn_check(self._project, manifest_sha256)
        found = find_frozen(self._project, manifest_sha256) if self._project is not None else None
        if found is None:
            told = f"manifest {manifest_sha256[:12]}… is not at hand: not followed to the sources"
            yield not_looked_at("chain", told)
            return
        yield Check("chain", True, f"to {found.name}" + (" and the sources" if self.sources else ""))
        try:
            report = verify_manifest(found, corpus=self._matching_corpus(found), sources=self.sources,
                                     trust=self._trust, deep=self.deep, log=self.log_of(found), project=self._project,
                                     progress=self._progress)  # fmt: skip
        except HrmbuildError as error:
            yield Check("corpus", False, f"{error.what} ({error.where})" if error.where else error.what)
            return
        unsigned = not (found / SIGNATURE_NAME).is_file()
        for check in report.checks:
            if check.name == "signed by" and unsigned:
                check = not_looked_at(check.name, "nobody signed this freeze")
            yield replace(check, name=f"corpus: {check.name}")

    def _matching_corpus(self, folder: Path) -> Path | None:
        """The corpus only where this manifest is the current one: later ingests change nothing for older ones."""
        if self._project is None or current_manifest(self._project) != folder:
            return None
        return self.corpus

    def _run_of(self, project: Project, package: Path, manifest: PackageManifest) -> Iterator[Check]:
        """Runs of equal settings may differ (other threads, one of them unfinished): one has the packaged weights, and
        all that can be said of it is said here too."""
        folders = [path.parent for path in sorted(project.runs_folder.glob("*/run.json"))]
        same = [(one, record) for one in folders if (record := _record_at(one)) is not None
                and record.config_sha256 == manifest.run_config_sha256]  # fmt: skip
        if not same:
            told = f"run {manifest.run_config_sha256[:12]}… is not at hand: that these weights came of its batches"
            yield not_looked_at("run", told)
            return
        checks = [(_packaged_run_check(*one, package, manifest), *one) for one in same]
        good = next(((folder, record) for check, folder, record in checks if check.ok), None)
        if good is None:
            yield Check("run", False, "; ".join(check.detail for check, _, _ in checks))
            return
        yield from (check for check, folder, _ in checks if folder == good[0])
        for check in (*verify_run_folder(good[0]), *self._batches_of(*good)):
            yield replace(check, name=f"run: {check.name}")


def _record_at(folder: Path) -> RunRecord | None:
    try:
        return RunFolder(folder).record()
    except InputError:
        return None


def _packaged_run_check(folder: Path, record: RunRecord, package: Path, manifest: PackageManifest) -> Check:
    """Whether a package states of a run what the run says of itself."""
    try:
        result = read_finished_run(folder).result
    except HrmbuildError as error:
        return Check("run", False, f"{folder.name}: {error.what}")
    metrics = stated_materials(package, manifest).get("run_metrics", result.metrics_sha256)
    wrong = [
        told
        for told, same in (
            ("its averaged weights are others", result.ema_sha256 == manifest.trained_weights_sha256),
            ("its metrics were altered since, or are another run's", result.metrics_sha256 == metrics),
            ("it names another manifest", record.manifest_sha256 == manifest.corpus_manifest_sha256),
            ("it has another lineage", record.lineage == manifest.lineage),
            ("it has another number of steps", result.steps == manifest.step),
        )
        if not same
    ]
    told = named(wrong) or "the packaged weights are its averaged weights, its metrics those that were packaged"
    return Check("run", not wrong, f"{folder.name}: {told}")


def _prompt_check(project: Project, manifest: PackageManifest) -> Check:
    same = project_templates(project).sha256(OPEN_BOOK) == manifest.prompt_template_sha256
    told = "is the one that the model was trained with" if same else "is another than the model was trained with"
    return Check("prompt template", same, f"{OPEN_BOOK} {told}")
