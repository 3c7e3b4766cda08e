"""Which pairs a visit of `hrmbuild review` shows, and how: drawn by hash, none above the reviewer's label.

Owns the draw and what of a pair is shown. Nobody picks what is looked at: the order is SHA-256 over nonce and id, so
two reviewers with one nonce see the same pairs, and a visit goes on where the last one ended. It must not decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from hrmbuild.audit.manifest import read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.fingerprint import draw_integer
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.spans import MASKS
from hrmbuild.pipelines.frozen_corpus import frozen_pairs
from hrmbuild.records.pair import SPLITS, Occurrence, Pair, Split
from hrmbuild.review.desk import Evidence, Item
from hrmbuild.store.corpus import Corpus

DEFAULT_N = 50
_PURPOSE = "review"
_OURS = frozenset({MASKS, "stripped"})
"""Inputs that hold offsets of ours."""
_ASKING = frozenset({"memos", "prompt", "prose", "rules", "tables", "texts"})
"""Folders of the templates that make pairs; others are written for another environment."""


@dataclass(frozen=True)
class Wanted:
    """What a visit is about."""

    n: int = DEFAULT_N
    nonce: str = "1"
    source: str | None = None
    kind: str | None = None
    split: Split | None = None
    role: str | None = None
    show_label: str | None = None
    manifest: Path | None = None
    """A frozen corpus; None: the living one."""


@dataclass(frozen=True)
class Sample:
    """The pairs of one visit."""

    pairs: tuple[Pair, ...]
    """In drawn order; those that the reviewer decided before are left out."""
    path_of: dict[str, str]
    """Path by SHA-256."""
    n_drawn: int
    n_decided_before: int
    n_above: int
    """Pairs that fit and carry a label that the reviewer may not read."""
    label: str
    """The highest label that is shown."""


def readable(project: Project, wanted: Wanted) -> tuple[str, ...]:
    """The labels that a visit may show, lowest first: up to the role's or to `--show-label`, else the lowest alone.

    Raises:
        UsageError: `review.unknown_label`, `review.unknown_role`, `review.role_below_label`.
    """
    labels, roles = project.config.labels, project.config.roles or {}
    if wanted.show_label is not None and wanted.show_label not in labels:
        raise UsageError("review.unknown_label", f"{wanted.show_label!r} is no label", where="--show-label",
                         fix=f"the labels are, lowest first: {', '.join(labels)}")  # fmt: skip
    if wanted.role is not None and wanted.role not in roles:
        declare = "declare roles in hrmbuild.yaml (roles: {reviewer: internal}), or name a label with --show-label"
        raise UsageError("review.unknown_role", f"{wanted.role!r} is no role of this project", where="--role",
                         why="what is not declared may read nothing",
                         fix=f"its roles are: {', '.join(sorted(roles))}" if roles else declare)  # fmt: skip
    top = roles[wanted.role] if wanted.role is not None else wanted.show_label or labels[0]
    if wanted.role is not None and wanted.show_label is not None:
        if labels.index(wanted.show_label) > labels.index(top):
            raise UsageError("review.role_below_label", f"{wanted.role} reads up to {top}, not {wanted.show_label}",
                             where="--show-label", fix="leave --show-label out")  # fmt: skip
        top = wanted.show_label
    return tuple(labels[: labels.index(top) + 1])


def from_corpus(project: Project, wanted: Wanted, *, decided: Collection[str]) -> Sample:
    """The pairs of a visit to the living corpus, which is closed again when this returns.

    Raises:
        InputError: `store.*`.
        UsageError: as `readable`.
    """
    labels = readable(project, wanted)
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        found = corpus.choose_ids(split=wanted.split, kind=wanted.kind, source=wanted.source)
        drawn = _drawn((name for name, label in found if label in labels), wanted)
        left = [name for name in drawn if name not in decided]
        pairs = {name: pair for name, pair in corpus.pairs_by_id(left) if pair is not None}
        path_of = {one.source.sha256: one.source.path for one in corpus.sources()}
    n_above = sum(label not in labels for _, label in found)
    return Sample(tuple(pairs[name] for name in left if name in pairs), path_of, len(drawn), len(drawn) - len(left),
                  n_above, labels[-1])  # fmt: skip


def from_manifest(project: Project, folder: Path, wanted: Wanted, *, decided: Collection[str]) -> Sample:
    """The same of a frozen corpus.

    Raises:
        InputError: the manifest or its evidence is missing or altered.
        UsageError: as `readable`; `review.unknown_label`: the manifest holds a label that the settings do not.
    """
    labels, manifest = readable(project, wanted), read_manifest(folder)
    path_of = {one.source.sha256: one.source.path for one in manifest.sources}
    splits = (wanted.split,) if wanted.split else SPLITS
    fitting = {
        pair.id: pair
        for pairs in frozen_pairs(folder, *splits).values()
        for pair in pairs
        if _fits(pair, wanted, path_of)
    }
    drawn = _drawn((name for name, pair in fitting.items() if pair.label in labels), wanted)
    left = [name for name in drawn if name not in decided]
    n_above = sum(pair.label not in labels for pair in fitting.values())
    return Sample(tuple(fitting[name] for name in left), path_of, len(drawn), len(drawn) - len(left), n_above,
                  labels[-1])  # fmt: skip


def _fits(pair: Pair, wanted: Wanted, path_of: dict[str, str]) -> bool:
    if wanted.kind is not None and pair.kind != wanted.kind and not pair.kind.startswith(wanted.kind + "."):
        return False
    paths = [path_of.get(one.source_sha256, "") for one in pair.occurrences]
    return wanted.source is None or any(fnmatchcase(path, wanted.source) for path in paths)


def _drawn(names: Iterable[str], wanted: Wanted) -> list[str]:
    """The first so many by the hash of nonce and id."""
    return sorted(names, key=lambda name: (draw_integer(_PURPOSE, 0, f"{wanted.nonce}|{name}"), name))[: wanted.n]


def check_not_empty(project: Project, sample: Sample) -> None:
    """Say why there is nothing to look at.

    Raises:
        InputError: `review.no_pair`.
    """
    if sample.n_drawn:
        return
    why = None
    if sample.n_above:
        why = f"{sample.n_above:,} pairs fit and are above {sample.label}, the highest label that may be shown"
    raise InputError("review.no_pair", "no pair fits", where="hrmbuild review", why=why,
                     fix=f"name who reads (--role) or the highest label to show (--show-label "
                         f"{project.config.labels[-1]})" if sample.n_above
                     else "loosen --source, --kind and --split")  # fmt: skip


def item_of(pair: Pair, path_of: dict[str, str], template_names: dict[str, str]) -> Item:
    """A pair as the page shows it."""
    facts = {"kind": pair.kind, "split": pair.split, "label": pair.label, "stratum": pair.stratum,
             "condition": pair.condition, "book": pair.book, "derivation": pair.derivation}  # fmt: skip
    facts |= {"valid from": pair.valid_from} if pair.valid_from else {}
    facts |= {"valid until": pair.valid_until} if pair.valid_until else {}
    facts |= {"unit": pair.answer.unit} if pair.answer.unit else {}
    facts["id"] = pair.id[:12]
    evidence = tuple(_evidence(one, path_of, template_names) for one in pair.occurrences)
    return Item(pair.id, pair.instruction, pair.response, pair.answer.value, pair.answer.choices or (), facts, evidence)


def _evidence(one: Occurrence, path_of: dict[str, str], template_names: dict[str, str]) -> Evidence:
    place = str(one.locator)
    if one.locator.heading_path:
        place += " · " + " › ".join(one.locator.heading_path)
    given = {name: value for name, value in (one.inputs or {}).items() if name not in _OURS}
    template = template_names.get(one.template_sha256, f"template {one.template_sha256[:12]}")
    path = path_of.get(one.source_sha256, one.source_sha256[:12])
    return Evidence(path, place, one.text, template, one.query, given or None)


def names_of_templates(templates: Templates) -> dict[str, str]:
    """Name by SHA-256 of the templates that make pairs."""
    return {templates.sha256(name): name for name in templates.names() if name.partition("/")[0] in _ASKING}
