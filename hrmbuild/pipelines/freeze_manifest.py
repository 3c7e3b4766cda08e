"""The manifest's value: what is known of the sources, joined with what was counted and hashed.

Owns the mapping from corpus and pack to `records.manifest.Manifest`. It must not write a file.
"""

from __future__ import annotations

from pathlib import Path

from hrmbuild import __version__
from hrmbuild.audit import evidence
from hrmbuild.audit.manifest import NOTHING, Counts
from hrmbuild.audit.rows import content_root, content_roots, salted_roots
from hrmbuild.config.loading import Project
from hrmbuild.fingerprint import hash_file
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.prompt import OPEN_BOOK
from hrmbuild.pipelines.freeze_pack import Pack, Selection
from hrmbuild.pipelines.gate_counts import gate_entries
from hrmbuild.pipelines.identity import code_sha256, freeze_settings_sha256
from hrmbuild.pipelines.included_rows import Taken, included_entries
from hrmbuild.pipelines.includes import lineage_of
from hrmbuild.pipelines.review_summary import review_entry
from hrmbuild.pipelines.surface_rules import surface_rules
from hrmbuild.records.manifest import (
    INCLUDED_LEFT_OUT_NAME,
    DecisionsEntry,
    Manifest,
    RefusedFile,
    SourceEntry,
    TokenizerEntry,
)
from hrmbuild.store.reading import StoredSource
from hrmbuild.tokens.tokenizer import TextTokenizer


def build_manifest(
    project: Project,
    selection: Selection,
    pack: Pack,
    *,
    folder: Path,
    tokenizer: TextTokenizer,
    templates: Templates,
    taken: Taken | None = None,
) -> Manifest:
    """The manifest of the files in `folder`; `taken`: the included rows, where there are includes."""
    included = taken.included if taken is not None else ()
    names = (*evidence.EVIDENCE_NAMES, INCLUDED_LEFT_OUT_NAME) if included else evidence.EVIDENCE_NAMES
    config, counts = project.config, pack.counts
    plain, salted = content_roots(pack.leaves), salted_roots(pack.leaves)
    assert salted is not None, "freeze gives every row a salt"
    balance = selection.corpus.balance()
    return Manifest(
        hrmbuild=__version__,
        name=config.name,
        config_sha256=freeze_settings_sha256(project),
        code_sha256=code_sha256(),
        templates_sha256=templates.tree_sha256(),
        prompt_template_sha256=templates.sha256(OPEN_BOOK),
        seed=config.seed,
        as_of=config.as_of.isoformat() if config.as_of else None,
        label=max((pack.highest_label(config.labels), *(one.manifest.label for one in included)),
                  key=config.labels.index),
        labels=config.labels,
        max_label=selection.max_label,
        left_out=selection.corpus.n_pairs() - len(pack.leaves),
        lineage=lineage_of(included),
        sources=source_entries(selection, counts, label=pack.highest_label(config.labels)),
        refused=refused_files(selection),
        splits=counts.splits,
        strata=counts.strata,
        kinds=counts.kinds,
        axes=counts.axes,
        gates=gate_entries(
            config.gates,
            made=balance.made,
            rejected=selection.corpus.rejections_by_gate(),
            held=selection.corpus.rejections_by_gate(held=True),
            redacted=counts.n_masked,
        ),
        rejections=balance.reasons,
        quarantined=balance.held or None,
        masked=counts.masked_kinds() or None,
        protected_sets=dict(surface_rules(project).protected) or None,
        decisions=decisions_entry(selection),
        review=review_entry(project, selection),
        tokenizer=TokenizerEntry(sha256=tokenizer.sha256, vocab_size=tokenizer.vocab_size, trained_on="train_split"),
        content_roots=plain,
        content_root=content_root(plain),
        roots=salted,
        evidence={name: hash_file(folder / name) for name in sorted(names)},
        includes=included_entries(taken, tokenizer) if taken is not None else None,
    )  # fmt: skip


def decisions_entry(selection: Selection) -> DecisionsEntry | None:
    """The decisions that took effect in the last ingest."""
    told = selection.corpus.decided()
    return DecisionsEntry.model_validate(told) if told else None


def refused_files(selection: Selection) -> tuple[RefusedFile, ...]:
    """The files that were found and not opened, sorted by path."""
    return tuple(
        RefusedFile(path=one.path, code=one.code, detail=one.detail, declared_by=one.declared_by)
        for one in selection.corpus.refused()
    )


def source_entries(
    selection: Selection, counts: Counts | None = None, *, label: str | None = None
) -> tuple[SourceEntry, ...]:
    """Every source with what came of it, sorted by path; without `counts` all token counts are zero.

    Args:
        label: of what is frozen: a file above it was set aside for its code, without the message; None: all without.
    """
    order = selection.labels
    below = order[: order.index(label) + 1] if label is not None else ()
    by_label = selection.corpus.occurrences_by_label()
    admitted = selection.admitted
    return tuple(
        _source_entry(one, counts, n_left_out=sum(n for label, n in by_label.get(one.source.path, {}).items()
                                                  if label not in admitted),
                      told=one.source.label in below)
        for one in selection.corpus.sources()
    )  # fmt: skip


def code_of(reason: str) -> str:
    """Of why a file was set aside (`code: message`) what quotes no word of it."""
    return reason.partition(":")[0]


def _source_entry(one: StoredSource, counts: Counts | None, *, n_left_out: int, told: bool) -> SourceEntry:
    return SourceEntry(
        source=one.source,
        status="quarantined" if one.status == "quarantined" else "read",
        reason=one.reason if told or one.reason is None else code_of(one.reason),
        records=one.n_records,
        without_pair=one.n_barren,
        skipped=one.n_skipped,
        made=one.n_made,
        kept=one.n_kept - n_left_out,
        rejected=one.n_rejected,
        left_out=n_left_out,
        reasons=one.reasons,
        masked=counts.masked.get(one.source.sha256) if counts else None,
        quarantined=one.held or None,
        count=counts.sources.get(one.source.sha256, NOTHING) if counts else NOTHING,
    )
