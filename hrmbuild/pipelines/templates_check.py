"""`hrmbuild templates`: the kinds of question with their wordings, and what each wording makes of three records.

Owns the records that wordings are tried on: those of a source, else of the example company. The values are the ones
that compilers hand out, recorded while they compile. It must not write anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hrmbuild.assets import asset_folder
from hrmbuild.audit.shown_text import clearance
from hrmbuild.config.loading import Project, load_project
from hrmbuild.config.project import GatesConfig, RulesConfig
from hrmbuild.errors import ConfigError, InputError, UsageError
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.registry import compile_record
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.pipelines.masking import Masker
from hrmbuild.pipelines.source_files import FoundFile, find_files
from hrmbuild.readers.inference import HEAD_BYTES
from hrmbuild.readers.registry import choose_format
from hrmbuild.readers.worker import read_guarded
from hrmbuild.records.source import Source
from hrmbuild.store.connection import scratch_connection

N_RECORDS = 3
FAMILIES = ("rules/", "prose/", "memos/", "tables/", "texts/")
_NO_WORDINGS = ("rules/answer", "rules")
_FEW = RulesConfig(scenarios=60, variants=2, variant_scenarios=10)


class _Recording(Templates):
    """Templates that remember the values that each kind was given."""

    def __init__(self, inner: Templates) -> None:
        self._prepare(inner.__getstate__())
        self.seen: dict[str, list[dict[str, object]]] = {}

    def render(self, name: str, **values: object) -> str:
        kept = self.seen.setdefault(name.rpartition("/")[0], [])
        if len(kept) < N_RECORDS and values not in kept:
            kept.append(values)
        return super().render(name, **values) if not name.startswith(FAMILIES) or name.startswith("rules/") else "?"


@dataclass(frozen=True)
class KindOfQuestion:
    """One kind with its wordings."""

    kind: str
    wordings: tuple[str, ...]

    @property
    def registers(self) -> tuple[str, ...]:
        """`form`, `mail`, `policy`."""
        return tuple(sorted({name.rpartition("/")[2].split("_")[0] for name in self.wordings}))


@dataclass(frozen=True)
class Rendered:
    """One wording and what it made of each record, or what is wrong with it."""

    name: str
    texts: tuple[str, ...] = ()
    problem: str | None = None
    """With file and line."""


@dataclass(frozen=True)
class TemplatesReport:
    """All kinds asked for."""

    kinds: tuple[KindOfQuestion, ...]
    rendered: tuple[Rendered, ...] = ()
    untried: tuple[str, ...] = field(default=())
    """Kinds for which the records gave no question."""

    @property
    def n_problems(self) -> int:
        """Wordings that cannot be used."""
        return sum(one.problem is not None for one in self.rendered)

    def as_dict(self) -> dict[str, object]:
        """The keys of `templates … --json`."""
        return {
            "kinds": [
                {"kind": one.kind, "wordings": len(one.wordings), "registers": list(one.registers)}
                for one in self.kinds
            ],
            "rendered": [{"name": r.name, "texts": list(r.texts), "problem": r.problem} for r in self.rendered],
            "untried": list(self.untried),
            "problems": self.n_problems,
        }


def list_templates(project: Project | None) -> TemplatesReport:
    """The kinds of question, each with its wordings."""
    return TemplatesReport(tuple(_kinds(_templates_of(project), None)))


def try_templates(
    project: Project | None, *, kind: str | None = None, source: str | None = None, show_label: str | None = None
) -> TemplatesReport:
    """What each wording makes of three records.

    Args:
        project: whose templates are tried; None: the built-in ones.
        kind: `tables/sum`, `tables.sum` or `tables`; absent: all.
        source: path of a file of the project; absent: the example company's records.
        show_label: highest label of a file whose words may be shown; absent: the lowest.

    Raises:
        UsageError: `usage.arguments`: no such kind, or no such file.
        ConfigError: `templates.unknown_kind`, `config.no_templates`.
    """
    _check_label(project, source, show_label)
    templates = _templates_of(project)
    kinds = tuple(_kinds(templates, kind))
    if not kinds:
        raise UsageError("usage.arguments", f"there is no kind of question {kind!r}", where="templates test",
                         fix="see `hrmbuild templates list`")  # fmt: skip
    seen = _recorded(templates, project, source, {one.kind for one in kinds})
    untried = tuple(one.kind for one in kinds if not seen.get(one.kind))
    rendered = (
        _rendered(templates, name, seen[one.kind]) for one in kinds if seen.get(one.kind) for name in one.wordings
    )
    masker = Masker(project.config.gates if project is not None else GatesConfig())
    return TemplatesReport(kinds, masker.everywhere(tuple(rendered)), untried)


def _check_label(project: Project | None, source: str | None, show_label: str | None) -> None:
    if project is None or source is None:
        return
    shown = clearance(tuple(project.config.labels), show_label)
    labels = {project.config.sources[one.entry].label for one in find_files(project).files if one.relative == source}
    if not all(shown.allows(label) for label in labels):
        raise UsageError("usage.arguments", f"{source} has a label above {shown.up_to!r}", where="--source",
                         fix=f"add --show-label {shown.highest(labels)}, where its readers may read that")  # fmt: skip


def _templates_of(project: Project | None) -> Templates:
    return Templates([asset_folder("templates")]) if project is None else project_templates(project, parse=False)


def _kinds(templates: Templates, wanted: str | None) -> Iterator[KindOfQuestion]:
    prefix = (wanted or "").replace(".", "/")
    folders = {name.rpartition("/")[0] for name in templates.names() if name.startswith(FAMILIES)}
    for folder in sorted(folders - set(_NO_WORDINGS)):
        if not prefix or folder == prefix or folder.startswith(prefix + "/"):
            yield KindOfQuestion(folder, tuple(templates.wordings(folder)))


def _rendered(templates: Templates, name: str, records: list[dict[str, object]]) -> Rendered:
    try:
        texts = tuple(templates.render(name, **values).strip() for values in records)
    except ConfigError as error:
        return Rendered(name, problem=f"{error.where}: {error.what}")
    empty = next((True for text in texts if not text), False)
    return Rendered(name, texts, f"templates/{name}:1: it makes no text" if empty else None)


def _recorded(
    templates: Templates, project: Project | None, source: str | None, kinds: set[str]
) -> dict[str, list[dict[str, object]]]:
    """Values of each kind, from the compilers; the built-in wordings lead them, so that a faulty one hides nothing."""
    recording = _Recording(Templates([asset_folder("templates")]))
    chosen = project if project is not None and source is not None else _examples()
    files = [file for file in find_files(chosen).files if source is None or file.relative == source]
    if not files:
        raise UsageError("usage.arguments", f"no source is the file {source!r}", where="--source",
                         fix="name a file as the ingest table does")  # fmt: skip
    for file in files:
        if all(len(recording.seen.get(kind, ())) >= N_RECORDS for kind in kinds):
            break
        _compile(chosen, file, recording)
    return recording.seen


def _examples() -> Project:
    folder = Path(asset_folder("examples"))
    return load_project(folder / "hrmbuild.yaml", sources=folder)


def _compile(project: Project, file: FoundFile, recording: _Recording) -> None:
    settings = project.config.sources[file.entry].model_copy(update={"rules": _FEW})
    with file.path.open("rb") as opened:
        format = choose_format(file.path, opened.read(HEAD_BYTES), settings)
    try:
        result = read_guarded(file.path, relative=file.relative, sha256=file.sha256, source=settings, format=format)
        kept = Source(
            path=file.relative, sha256=file.sha256, n_bytes=file.n_bytes, kind=settings.kind,
            format=format or "unknown", declared_by=project.declared_by(file.entry), label=settings.label,
        )  # fmt: skip
        with scratch_connection() as connection:
            for record in result.records:
                context = CompileContext(seed=project.config.seed, source=kept, settings=settings, templates=recording,
                                         connection=connection, as_of=project.config.as_of)  # fmt: skip
                for _ in compile_record(record, context):
                    pass
    except InputError:
        return
