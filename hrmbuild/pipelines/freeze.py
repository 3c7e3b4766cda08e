"""`hrmbuild freeze`: the corpus as it may be trained on, with its tokenizer, its roots and its evidence pack.

Owns the order of the steps and what stops them. The folder appears by rename when everything in it is complete; the
same corpus gives the same folder, and freezing it again writes nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from hrmbuild.audit import evidence
from hrmbuild.audit.manifest import DIGEST_NAME, MANIFEST_NAME, NOTHING, digest_line, read_manifest
from hrmbuild.audit.rows import content_root, content_roots, leaf_of, row_bytes
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, ConfigError, InputError, UsageError, raise_all
from hrmbuild.files import disk_errors, rename_folder
from hrmbuild.pairs.environment import Templates
from hrmbuild.pipelines.freeze_manifest import build_manifest, code_of, decisions_entry, refused_files, source_entries
from hrmbuild.pipelines.freeze_pack import Selection, ensure_salts, write_fixed_files, write_rejections, write_rows
from hrmbuild.pipelines.freeze_signature import log_and_sign
from hrmbuild.pipelines.identity import freeze_settings_sha256, ingest_identity, project_templates
from hrmbuild.pipelines.included_rows import Rules, Taken, take, texts_of, write_left_out
from hrmbuild.pipelines.includes import Included, open_includes, same_includes
from hrmbuild.pipelines.keys import Ask, nobody, signing_key
from hrmbuild.pipelines.manifests import all_manifests, folder_for, holds, restore, set_current
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.review_summary import review_entry
from hrmbuild.pipelines.surface_rules import surface_rules
from hrmbuild.pipelines.withdrawn_material import withdrawn_sources
from hrmbuild.records.manifest import Manifest, SourceEntry
from hrmbuild.records.pair import SPLITS
from hrmbuild.store.corpus import Corpus
from hrmbuild.tokens.tokenizer import TextTokenizer, train_tokenizer
from hrmbuild.tokens.vocabulary import vocab_size_for


@dataclass(frozen=True)
class FreezeReport:
    """One frozen corpus."""

    folder: Path
    manifest: Manifest
    unchanged: bool
    """The same manifest stood there already, and every file of it."""
    signed_by: str | None = None
    """Fingerprint of the key; None: nobody was asked to sign."""

    @property
    def n_pairs(self) -> int:
        """Pairs of all splits."""
        return sum(count.pairs for count in self.manifest.splits.values())

    def as_dict(self) -> dict[str, Any]:
        """The keys of `freeze --json`."""
        manifest = self.manifest
        return {
            "manifest": str(self.folder),
            "roots": manifest.roots.canonical(),
            "content_roots": manifest.content_roots.canonical(),
            "content_root": manifest.content_root,
            "pairs": self.n_pairs,
            "splits": {split: count.pairs for split, count in manifest.splits.items()},
            "tokens": {
                split: count.instruction_tokens + count.response_tokens for split, count in manifest.splits.items()
            },
            "tokenizer": manifest.tokenizer.canonical(),
            "label": manifest.label,
            "left_out": manifest.left_out,
            "includes": [one.canonical() for one in manifest.includes or ()],
            "review": manifest.review.canonical() if manifest.review else None,
            "lineage": manifest.lineage,
            "unchanged": self.unchanged,
            "signed_by": self.signed_by,
        }


def freeze(
    project: Project,
    *,
    out: Path | None = None,
    max_label: str | None = None,
    key: Path | None = None,
    ask: Ask = nobody,
    progress: Progress | None = None,
) -> FreezeReport:
    """Freeze the corpus.

    Args:
        out: folder of the manifest; absent: `manifests/<content_root[:12]>/`.
        max_label: pairs above this label stay out, and are counted.
        key: private key to sign the manifest with; absent: it is not signed (and a signature that is there stays).
        ask: asks for the key's passphrase.

    Raises:
        ConfigError: `freeze.undeclared`: an entry has no owner or licence; all of them at once. `include.*`.
        UsageError: `keys.*`; `freeze.unknown_label`; `freeze.exists`: `out` holds something else.
        InputError: `store.missing`, `store.locked`, `freeze.unsettled`, `freeze.stale_corpus`, `disk.*`; `include.*`.
        AnswerIsNoError: `freeze.no_train_pair`: nothing could be trained on; `include.above_max_label`.
    """
    shown = progress or SilentProgress()
    signer = signing_key(key, ask=ask) if key is not None else None
    _check_declared(project)
    _check_label(project, max_label)
    included = open_includes(project, max_label=max_label)
    templates = project_templates(project)
    with Corpus.open(project.corpus_path, create=False) as corpus:
        _check_fresh(project, corpus, templates)
        selection = Selection(corpus, project.config.labels, max_label)
        with _incomplete_folder(out.parent if out else project.manifests_folder) as folder:
            manifest = _write_folder(project, folder, selection, templates, shown, included)
            final, unchanged = _publish(project, folder, manifest, out)
        corpus.record_freeze(manifest.content_root, max_label)
    log_and_sign(project, final, manifest, signer=signer)
    if out is None:
        set_current(project, final)
    return FreezeReport(final, manifest, unchanged, signer.fingerprint if signer else None)


def is_frozen_as(project: Project, folder: Path) -> bool:
    """Whether freezing the corpus now would give the manifest in `folder`, but for the release that wrote it.

    Raises:
        InputError: `store.*`: the corpus cannot be opened.
    """
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        try:
            templates = project_templates(project)
            _check_fresh(project, corpus, templates)
            manifest = read_manifest(folder)
            if not same_includes(project, manifest):
                return False
        except (InputError, ConfigError):
            return False
        selection = Selection(corpus, project.config.labels, manifest.max_label)
        same_settings = (manifest.config_sha256, manifest.templates_sha256) == (
            freeze_settings_sha256(project),
            templates.tree_sha256(),
        )
        told, now = _without_lines(manifest.sources), _without_lines(source_entries(selection))
        same_sources = (told, manifest.refused, manifest.decisions, manifest.review) == (
            now, refused_files(selection), decisions_entry(selection), review_entry(project, selection)
        )  # fmt: skip
        return same_settings and same_sources and _content_root_now(selection) == manifest.content_root


def _without_lines(entries: Iterable[SourceEntry]) -> tuple[SourceEntry, ...]:
    """Entries without what another line number changes: a comment in the settings makes no manifest stale.

    And without messages, of which a manifest leaves some out.
    """
    return tuple(
        entry.model_copy(
            update={
                "count": NOTHING,
                "reason": entry.reason and code_of(entry.reason),
                "source": entry.source.model_copy(update={"declared_by": ""}),
            }
        )
        for entry in entries
    )


def _content_root_now(selection: Selection) -> str:
    """The content root of the chosen pairs: remembered from the last freeze of this very corpus, else computed."""
    known = selection.corpus.frozen_content_root(selection.max_label)
    if known is not None:
        return known
    pairs = (pair for split in SPLITS for pair in selection.pairs(split))
    leaves = (leaf_of(pair.id, pair.split, row=row_bytes(pair), salt=None) for pair in pairs)
    return content_root(content_roots(leaves))


def _check_declared(project: Project) -> None:
    problems = [
        ConfigError(
            "freeze.undeclared",
            f"{source.path} declares no {' and no '.join(missing)}",
            where=project.declared_by(entry),
            why="a manifest says of each source who answers for it and under which licence it is used",
            fix="add " + " and ".join(f"'{name}: …'" for name in missing) + ", then run: hrmbuild ingest",
        )
        for entry, source in enumerate(project.config.sources)
        if (missing := [name for name in ("owner", "license") if not getattr(source, name)])
    ]
    raise_all(problems)


def _check_label(project: Project, max_label: str | None) -> None:
    if max_label is not None and max_label not in project.config.labels:
        raise UsageError(
            "freeze.unknown_label",
            f"{max_label!r} is no label",
            where="--max-label",
            fix=f"the labels are, lowest first: {', '.join(project.config.labels)}",
        )


def _check_fresh(project: Project, corpus: Corpus, templates: Templates) -> None:
    """Settings first: whether a corpus is settled can only be asked under the settings that it was made with."""
    now, then = ingest_identity(project, templates), corpus.last_ingest()
    changed = [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
    if then and changed:
        words = {
            "code": "hrmbuild itself",
            "settings": project.config_path.name,
            "templates": "the templates",
            "decisions": "what persons decided",
        }
        raise InputError(
            "freeze.stale_corpus",
            f"{' and '.join(words[name] for name in changed)} changed since the last ingest",
            where=str(project.corpus_path),
            fix="run: hrmbuild ingest (only what is affected is done again)",
        )
    if not then or not corpus.is_settled(
        labels=project.config.labels, seed=project.config.seed, rules=surface_rules(project)
    ):
        raise InputError(
            "freeze.unsettled",
            "the last ingest did not finish",
            where=str(project.corpus_path),
            why="duplicates and contradictions between its files were not looked at",
            fix="run: hrmbuild ingest (it goes on where it stopped)",
        )


@contextmanager
def _incomplete_folder(parent: Path) -> Iterator[Path]:
    """A folder for unfinished work, empty at the start, gone at the end."""
    folder = parent / ".freeze.incomplete"
    with disk_errors(parent):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_folder(
    project: Project,
    folder: Path,
    selection: Selection,
    templates: Templates,
    progress: Progress,
    included: Sequence[Included],
) -> Manifest:
    corpus = selection.corpus
    with disk_errors(folder):
        taken = _take(project, folder, selection, included, progress) if included else None
        tokenizer = _train_tokenizer(project, folder, selection, progress, taken)
        salts = ensure_salts(corpus, known_from=all_manifests(project))
        progress.stage("freeze", total=corpus.n_pairs(), unit="pairs")
        pack = write_rows(folder, selection, tokenizer=tokenizer, salts=salts, progress=progress)
        label = pack.highest_label(selection.labels)
        below = frozenset(selection.labels[: selection.labels.index(label) + 1])
        write_rejections(folder, corpus, admitted=below)
        write_fixed_files(folder)
        manifest = build_manifest(project, selection, pack, folder=folder, tokenizer=tokenizer, templates=templates,
                                  taken=taken)  # fmt: skip
        data = manifest.canonical_bytes()
        (folder / MANIFEST_NAME).write_bytes(data)
        (folder / DIGEST_NAME).write_bytes(digest_line(data))
    return manifest


def _take(
    project: Project, folder: Path, selection: Selection, included: Sequence[Included], progress: Progress
) -> Taken:
    """The included rows that are trained on; those left out are written into the pack."""
    progress.stage("included rows", total=None, unit="pairs")
    gates = project.config.gates
    held_out = chain.from_iterable(selection.pairs(split) for split in ("dev", "test"))
    withdrawn = frozenset(withdrawn_sources(project))
    rules = Rules(gates.leak_words, gates.leak_common, gates.near_duplicates, withdrawn=withdrawn)
    taken = take(included, texts_of(held_out), texts_of(selection.pairs("train")), rules=rules)
    write_left_out(folder, taken.left_out)
    return taken


def _train_tokenizer(
    project: Project, folder: Path, selection: Selection, progress: Progress, taken: Taken | None
) -> TextTokenizer:
    if next(selection.train_texts(), None) is None:
        raise AnswerIsNoError(
            "freeze.no_train_pair",
            "no pair of the train split may be frozen",
            where=str(project.corpus_path),
            why="a tokenizer and a model learn from the train split alone",
            fix="see the reasons: hrmbuild ingest" + (" (or raise --max-label)" if selection.max_label else ""),
        )
    progress.stage("tokenizer", total=None, unit="texts")
    wanted = project.config.tokenizer.vocab_size

    def texts() -> Iterator[str]:
        return chain(selection.train_texts(), taken.texts() if taken is not None else ())

    size = wanted or vocab_size_for(texts(), preset=project.config.train.preset)
    data = train_tokenizer(texts(), vocab_size=size)
    (folder / evidence.TOKENIZER_NAME).write_bytes(data)
    return TextTokenizer(data)


def _publish(project: Project, incomplete: Path, manifest: Manifest, out: Path | None) -> tuple[Path, bool]:
    """Rename the finished folder to its place; the place, and whether the same stood there already.

    The same manifest with damaged files gets them again: its bytes name theirs."""
    data = manifest.canonical_bytes()
    final = out or folder_for(project.manifests_folder, content_root=manifest.content_root, manifest=data)
    if holds(final, data):
        return final, not restore(final, manifest, from_folder=incomplete)
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise UsageError(
            "freeze.exists",
            "this folder holds something else",
            where=f"--out {final}",
            why="a frozen manifest is never overwritten",
            fix="name a new folder, or remove this one yourself",
        )
    if final.exists():
        os.rmdir(final)
    rename_folder(incomplete, final)
    return final, False
