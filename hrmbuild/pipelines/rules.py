"""`hrmbuild rules`: what the owner of each rule set should look at, with a case for each finding.

Owns which files are looked at and what counts as a fault: an overlap that the hit policy does not settle, a rule that
decides nothing, a case without an answer. It must not change a rule, and it writes nothing. What stands above the label
that may be shown is counted, and not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from hrmbuild.audit.shown_text import clearance
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.rules_checked import CheckedRules, check_rules
from hrmbuild.pairs.rules_review import RuleReview, review_rules
from hrmbuild.pipelines.masking import Masker
from hrmbuild.pipelines.source_files import FoundFile, find_files
from hrmbuild.readers.decision_table import NOT_DECLARED
from hrmbuild.readers.inference import HEAD_BYTES
from hrmbuild.readers.registry import RULE_FORMATS, choose_format
from hrmbuild.readers.worker import read_guarded
from hrmbuild.records.document import RuleSetFile
from hrmbuild.store.connection import scratch_connection

_SETTLED = ("first", "priority")


@dataclass(frozen=True)
class ReviewedRules:
    """One rule set and what was found in it."""

    path: str
    title: str
    hit_policy: str
    n_rules: int
    words: dict[str, str]
    """Fact -> what a case calls it."""
    outcomes: dict[str, str]
    """Rule id -> its outcome."""
    review: RuleReview
    assumed: tuple[str, ...] = ()
    """Ranges of a decision table that its owner did not declare, as notes of its file."""

    @property
    def n_faults(self) -> int:
        """Overlaps that nothing settles, rules that decide nothing, and one for a gap."""
        unsettled = 0 if self.hit_policy in _SETTLED else len(self.review.overlaps)
        return unsettled + len(self.review.dead_rules) + int(self.review.n_gap_cells > 0)

    def as_dict(self) -> dict[str, object]:
        """The keys of one entry of `rulesets`."""
        return {
            "path": self.path, "title": self.title, "hit_policy": self.hit_policy, "rules": self.n_rules,
            "faults": self.n_faults, "assumed": list(self.assumed), **self.review.as_dict(),
        }  # fmt: skip


@dataclass(frozen=True)
class RulesReport:
    """All rule sets of a project."""

    rulesets: tuple[ReviewedRules, ...]
    unreadable: tuple[tuple[str, str, str], ...]
    """Path, place or code, what is wrong."""
    n_hidden: int
    """Files whose label may not be shown."""
    n_hidden_faults: int = 0
    """Faults in them: looked for, and only counted."""

    @property
    def n_faults(self) -> int:
        """Over all rule sets, and files that cannot be read."""
        return sum(one.n_faults for one in self.rulesets) + len(self.unreadable) + self.n_hidden_faults

    def as_dict(self) -> dict[str, object]:
        """The keys of `rules --json`."""
        return {
            "faults": self.n_faults,
            "rulesets": [one.as_dict() for one in self.rulesets],
            "unreadable": [{"path": path, "where": where, "what": what} for path, where, what in self.unreadable],
            "hidden": self.n_hidden,
            "hidden_faults": self.n_hidden_faults,
        }


def rules(project: Project, *, source: str | None = None, show_label: str | None = None) -> RulesReport:
    """Review every rule set and decision table of a project.

    Args:
        source: a path or glob; absent: all sources of kind `rules`.
        show_label: the highest label that may be shown; absent: the lowest.

    Raises:
        UsageError: `usage.arguments`: nothing matches; `audit.unknown_label`.
    """
    files = list(_files(project, source))
    if not files:
        what = f"no rule set matches {source!r}" if source else "the project has no rule set and no decision table"
        raise UsageError("usage.arguments", what, where=project.config_path.name,
                         fix="name a file of a source of kind 'rules'")  # fmt: skip
    shown = clearance(tuple(project.config.labels), show_label)
    masker = Masker(project.config.gates)
    visible = [one for one in files if shown.allows(project.config.sources[one[0].entry].label)]
    hidden = [one for one in files if one not in visible]
    report, kept_back = _reviews(project, visible), _reviews(project, hidden)
    report = masker.everywhere(report)
    return replace(report, n_hidden=len(hidden), n_hidden_faults=kept_back.n_faults)


def _reviews(project: Project, files: Sequence[tuple[FoundFile, str]]) -> RulesReport:
    found: list[ReviewedRules] = []
    unreadable: list[tuple[str, str, str]] = []
    with scratch_connection() as connection:
        for file, format in files:
            try:
                found += _reviewed(project, file, format, connection)
            except InputError as error:
                unreadable += [(file.relative, one.where or one.code, one.what) for one in (error, *error.more)]
    return RulesReport(tuple(found), tuple(unreadable), n_hidden=0)


def _files(project: Project, source: str | None) -> Iterator[tuple[FoundFile, str]]:
    for file in find_files(project).files:
        settings = project.config.sources[file.entry]
        if settings.kind != "rules" or settings.cases is not None or (source and not _matches(file.relative, source)):
            continue
        with file.path.open("rb") as opened:
            format = choose_format(file.path, opened.read(HEAD_BYTES), settings)
        if format in RULE_FORMATS:
            yield file, format


def _matches(path: str, source: str) -> bool:
    return path == source or path.startswith(source.rstrip("/") + "/") or fnmatch(path, source)


def _reviewed(project: Project, file: FoundFile, format: str, connection: SqlConnection) -> Iterator[ReviewedRules]:
    settings = project.config.sources[file.entry]
    result = read_guarded(file.path, relative=file.relative, sha256=file.sha256, source=settings, format=format,
                          limits=project.config.limits)  # fmt: skip
    assumed = tuple(note for note in result.notes if NOT_DECLARED in note)
    for record in result.records:
        if isinstance(record, RuleSetFile):
            checked = check_rules(record.ruleset, path=file.relative, connection=connection, as_of=project.config.as_of)
            entry = _entry(file.relative, checked, review_rules(checked, connection, seed=project.config.seed))
            yield replace(entry, assumed=assumed)
            assumed = ()


def _entry(path: str, checked: CheckedRules, review: RuleReview) -> ReviewedRules:
    ruleset = checked.ruleset
    return ReviewedRules(
        path=path, title=ruleset.title, hit_policy=ruleset.hit_policy, n_rules=len(checked.in_force),
        words={name: fact.text for name, fact in ruleset.facts.items()},
        outcomes={rule.id: rule.then for rule in ruleset.rules}, review=review,
    )  # fmt: skip
