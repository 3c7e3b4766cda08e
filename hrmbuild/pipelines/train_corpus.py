"""What a run trains on: a frozen corpus, checked against its own hashes and the living corpus, as token files.

Owns the refusals that come before training. It must not know models. Training reads the evidence pack and never the
database: later ingests change nothing for an older manifest, unless they took away or altered what it stands on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import Any

from hrmbuild.audit.evidence import TOKENIZER_NAME, read_ids, read_rows
from hrmbuild.audit.manifest import load_manifest_bytes, manifest_folder, read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.approvals import refuse_to_freeze_first
from hrmbuild.pipelines.corpus_checks import compare_with_corpus
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.included_rows import included_rows
from hrmbuild.pipelines.includes import checked_folders
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.pack_intact import check_evidence
from hrmbuild.pipelines.progress import Progress
from hrmbuild.pipelines.withdrawn_material import refuse_withdrawn
from hrmbuild.records.manifest import IncludedManifest, Manifest
from hrmbuild.records.pair import SPLITS, Split
from hrmbuild.records.token_files import TokenFiles
from hrmbuild.tokens.files import TokenData, TokenRow, folder_name, open_token_files, write_token_files
from hrmbuild.tokens.tokenizer import TextTokenizer, load_tokenizer

MOST_ENCODED_AGAIN = 20_000_000
"""Tokens; about twelve seconds on two cores."""


@dataclass(frozen=True)
class FrozenCorpus:
    """A manifest that was checked, with its folder."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    tokenizer: TextTokenizer
    included: dict[str, Path] = field(default_factory=dict[str, Path])
    """Folder of each included corpus, by its content root."""


def frozen_corpus(project: Project, *, manifest: Path | None, corpus: Path | None, progress: Progress) -> FrozenCorpus:
    """The given manifest, else the current one, else a new one; checked.

    Raises:
        AnswerIsNoError: `withdrawn.manifest`.
        InputError: `manifest.*`, `evidence.altered`, `train.corpus_mismatch`, or what freezing raises.
    """
    folder = manifest_folder(manifest) if manifest else current_manifest(project)
    if folder is None:
        refuse_to_freeze_first(project)
        folder = freeze(project, progress=progress).folder
        progress.message(f"no manifest yet: froze the corpus into {folder}")
    frozen = read_manifest(folder)
    progress.message(f"manifest {folder.name}, content root {frozen.content_root}")
    refuse_withdrawn(project, folder, frozen)
    check_evidence(folder, frozen, fix="restore the folder, or run: hrmbuild freeze")
    included = checked_folders(project, frozen)
    beside = corpus or (project.corpus_path if project.corpus_path.is_file() else None)
    if beside is not None:
        n_pairs = sum(count.pairs for count in frozen.splits.values())
        progress.stage("compare with the corpus", total=n_pairs, unit="pairs")
        _check_corpus(folder, frozen, corpus=beside)
        progress.advance(n_pairs)
    data = load_manifest_bytes(folder)
    return FrozenCorpus(folder, frozen, sha256_hex(data), load_tokenizer(folder / TOKENIZER_NAME), included)


def _check_corpus(folder: Path, manifest: Manifest, *, corpus: Path) -> None:
    """Every row of the manifest stands in the corpus, unaltered; rows that came later do not matter."""
    lost = compare_with_corpus(folder, manifest, corpus=corpus).lost
    if lost:
        raise InputError(
            "train.corpus_mismatch",
            f"{len(lost):,} pairs of the manifest are missing from the corpus, or were altered there; "
            f"the first is {lost[0][:12]}",
            where=str(corpus),
            why=f"the corpus changed after {folder.name} was frozen",
            fix="run: hrmbuild freeze, then train again (or name an older corpus with --corpus)",
        )


def token_data(project: Project, frozen: FrozenCorpus, *, progress: Progress, again: bool = False) -> TokenData:
    """The corpus as token files under `token-files/`: opened where they are good, else written.

    Args:
        again: encode the manifest again and compare, up to `MOST_ENCODED_AGAIN` tokens: hashes that lie beside the
            files show no more than that these fit one another.
    """
    root, digest = frozen.manifest.training_root, frozen.tokenizer.sha256
    folder = project.work / "token-files" / folder_name(root, digest)
    if folder.is_dir():
        try:
            data = open_token_files(folder, content_root=root, tokenizer_sha256=digest)
            if not again or _is_what_encodes(data, folder, frozen, progress):
                return data
            progress.message(f"{folder.name}: the manifest encodes to other tokens; written again from it")
        except InputError as error:
            progress.message(f"{error.where}: {error.what}; the token files are written again from the manifest")
    encode_into(folder, frozen, progress=progress)
    return open_token_files(folder, content_root=root, tokenizer_sha256=digest)


def _is_what_encodes(data: TokenData, folder: Path, frozen: FrozenCorpus, progress: Progress) -> bool:
    """Whether the manifest gives these files; more tokens than a start can wait for are taken as they are, and said."""
    n_tokens = sum(one.n_tokens for one in data.files.splits.values())
    if n_tokens > MOST_ENCODED_AGAIN:
        progress.message(
            f"{n_tokens:,} tokens are taken from {folder.name} as they lie there: verify RUN --deep compares"
        )
        return True
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        return encode_into(Path(scratch) / "tokens", frozen, progress=progress) == data.files


def encoded_again(folder: Path, frozen: FrozenCorpus, *, progress: Progress) -> TokenData:
    """The corpus encoded into a scratch folder, whatever token files are at hand: for those who trust none."""
    made = encode_into(folder, frozen, progress=progress)
    return open_token_files(folder, content_root=made.content_root, tokenizer_sha256=made.tokenizer_sha256)


def train_ids(frozen: FrozenCorpus) -> Iterator[str]:
    """Ids of the rows that are trained on, ordered; the includes must be at hand."""
    others = (_included_ids(frozen, one) for one in frozen.manifest.includes or ())
    return merge(read_ids(frozen.folder, "train"), *others)


def _included_ids(frozen: FrozenCorpus, one: IncludedManifest) -> Iterator[str]:
    return (row["id"] for row in included_rows(frozen.folder, one, frozen.included[one.content_root]))


def encode_into(folder: Path, frozen: FrozenCorpus, *, progress: Progress) -> TokenFiles:
    """Write the token files of a frozen corpus; `folder` is complete or absent, and replaced."""
    manifest = frozen.manifest
    n_included = sum(one.taken.pairs for one in manifest.includes or ())
    n_pairs = sum(count.pairs for count in manifest.splits.values()) + n_included
    progress.stage("encode", total=n_pairs, unit="pairs")
    return write_token_files(
        {split: _rows(frozen, split) for split in SPLITS},
        frozen.tokenizer,
        content_root=manifest.training_root,
        sources=[source.sha256 for source in manifest.trained_sources],
        folder=folder,
        on_pairs=progress.advance,
    )


def token_rows(folder: Path, split: Split) -> Iterator[TokenRow]:
    """What the token files take from the evidence pack, ordered by id, a few thousand pairs in memory."""
    return map(_token_row, read_rows(folder, split))


def _rows(frozen: FrozenCorpus, split: Split) -> Iterator[TokenRow]:
    """Own rows; in the train split included ones among them, all by id: which comes from where decides no order."""
    own = token_rows(frozen.folder, split)
    if split != "train":
        return own
    others = [
        map(_token_row, included_rows(frozen.folder, one, frozen.included[one.content_root]))
        for one in frozen.manifest.includes or ()
    ]
    return merge(own, *others, key=attrgetter("id"))


def _token_row(row: dict[str, Any]) -> TokenRow:
    source = row["occurrences"][0]["source_sha256"]
    return TokenRow(row["id"], source, row["condition"], row["instruction"], row["response"])
