"""The rows of a manifest: chosen by label, tokenised, salted, hashed and written as the evidence pack.

Owns the pack's making from an open corpus. It must not decide where the pack goes; `pipelines.freeze` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from hrmbuild.audit import evidence, merkle
from hrmbuild.audit.evidence import EvidenceRejection, EvidenceRow
from hrmbuild.audit.manifest import Counts, Tally, counted_row
from hrmbuild.audit.proofs import write_leaves
from hrmbuild.audit.rows import Leaf, leaf_of
from hrmbuild.audit.shown_text import numbers_of
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json
from hrmbuild.pipelines.progress import Progress
from hrmbuild.records.pair import SPLITS, Pair, Split
from hrmbuild.records.schemas import row_schema_bytes
from hrmbuild.store.corpus import Corpus
from hrmbuild.tokens.encode_stream import count_stream
from hrmbuild.tokens.tokenizer import TextTokenizer

NO_WORDS = "its words are above the label of this manifest"
"""In place of the message of a rejection."""
_NAMES_KINDS = frozenset({"gate.personal_data", "gate.secret"})
"""Findings whose message names kinds, and no word of the file."""


@dataclass(frozen=True)
class Selection:
    """The kept pairs that a manifest takes."""

    corpus: Corpus
    labels: tuple[str, ...]
    """All labels, lowest first."""
    max_label: str | None

    @property
    def admitted(self) -> frozenset[str]:
        """Labels that are let in."""
        if self.max_label is None:
            return frozenset(self.labels)
        return frozenset(self.labels[: self.labels.index(self.max_label) + 1])

    def pairs(self, split: Split) -> Iterator[Pair]:
        """The chosen pairs of a split, ordered by id."""
        admitted = self.admitted
        return (pair for pair in self.corpus.pairs(split) if pair.label in admitted)

    def train_texts(self) -> Iterator[str]:
        """What the tokenizer learns from: instructions and responses of the train split."""
        return self.corpus.texts("train", labels=sorted(self.admitted))


@dataclass
class Pack:
    """What writing the rows found out."""

    leaves: list[Leaf] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    labels: set[str] = field(default_factory=set)
    salts: dict[str, bytes] = field(default_factory=dict)
    """Of the chosen pairs."""

    @property
    def counts(self) -> Counts:
        """Pairs and tokens under every heading."""
        return self.tally.counts()

    def sorted_leaves(self) -> dict[Split, bytes]:
        """The salted leaves of each split, sorted, one after the other."""
        found: dict[Split, list[bytes]] = {split: [] for split in SPLITS}
        for leaf in self.leaves:
            found[leaf.split].append(leaf.salted or b"")
        return {split: b"".join(sorted(leaves)) for split, leaves in found.items()}

    def highest_label(self, labels: tuple[str, ...]) -> str:
        """The strictest label of any row."""
        return max(self.labels, key=labels.index)


def ensure_salts(corpus: Corpus, *, known_from: Iterable[Path]) -> dict[str, bytes]:
    """A salt for every kept pair: the corpus's own, else one that an earlier manifest used, else 32 random bytes.

    Earlier manifests matter when the corpus file was made again: the same row keeps its salted leaf.
    """
    salts = corpus.salts()
    missing = [key for key in corpus.pair_ids() if key not in salts]
    if not missing:
        return salts
    earlier = _salts_of_manifests(known_from)
    new = {key: earlier.get(key) or os.urandom(merkle.SALT_BYTES) for key in missing}
    corpus.add_salts(new)
    return salts | new


def _salts_of_manifests(folders: Iterable[Path]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for folder in folders:
        try:
            found = evidence.read_salts(folder) | found
        except InputError:
            continue  # Its salts were removed or damaged, which verify reports; new ones are as good.
    return found


def write_rows(
    folder: Path, selection: Selection, *, tokenizer: TextTokenizer, salts: dict[str, bytes], progress: Progress
) -> Pack:
    """Write `pairs.parquet` and `salts.parquet`."""
    pack = Pack()
    evidence.write_pairs(folder / evidence.PAIRS_NAME, _evidence_rows(selection, pack, tokenizer, salts, progress))
    evidence.write_salts(folder / evidence.SALTS_NAME, pack.salts)
    write_leaves(folder, pack.sorted_leaves())
    return pack


def _evidence_rows(
    selection: Selection, pack: Pack, tokenizer: TextTokenizer, salts: dict[str, bytes], progress: Progress
) -> Iterator[EvidenceRow]:
    for split in SPLITS:
        pairs = count_stream(tokenizer, selection.pairs(split), texts=lambda pair: (pair.instruction, pair.response))
        for pair, n_tokens in pairs:
            yield _evidence_row(pair, pack, salts[pair.id], n_tokens=n_tokens)
            progress.advance()


def _evidence_row(pair: Pair, pack: Pack, salt: bytes, *, n_tokens: tuple[int, int]) -> EvidenceRow:
    value = pair.canonical()
    row = canonical_json(value)
    leaf = leaf_of(pair.id, pair.split, row=row, salt=salt)
    pack.leaves.append(leaf)
    pack.labels.add(pair.label)
    pack.salts[pair.id] = salt
    pack.tally.add(counted_row(value, instruction_tokens=n_tokens[0], response_tokens=n_tokens[1]))
    salted = leaf.salted.hex() if leaf.salted is not None else ""
    return EvidenceRow(pair.split, pair.id, leaf.content.hex(), salted, row.decode(), *n_tokens)


def write_rejections(folder: Path, corpus: Corpus, *, admitted: frozenset[str]) -> None:
    """Write `rejections.parquet`; of what is above the manifest's label no word: only code, file and numbers of places.

    Its rows name no label, so readers go by that of the file: what shows more than its file has no words either.
    """
    evidence.write_rejections(folder / evidence.REJECTIONS_NAME, _rejections(corpus, admitted))


def _rejections(corpus: Corpus, admitted: frozenset[str]) -> Iterator[EvidenceRejection]:
    sources = {one.source.path: one.source for one in corpus.sources()}
    for one in corpus.rejections():
        told = EvidenceRejection(
            one.path, one.stage, one.code, one.detail, one.source_sha256, one.locator, one.text, one.pair_id, one.gate
        )
        yield told if one.label in admitted and one.label == sources[one.path].label else _without_words(told)
    for skipped in corpus.skips():
        source, skip = sources[skipped.path], skipped.skip
        told = EvidenceRejection(
            skipped.path, "skip", skip.code, skip.detail, source.sha256, skip.locator.canonical_bytes().decode(),
            None, None, None,
        )  # fmt: skip
        yield told if source.label in admitted else _without_words(told)


def _without_words(one: EvidenceRejection) -> EvidenceRejection:
    """A finding of personal data or secrets names kinds and no word: its message stays."""
    detail = one.detail if one.code in _NAMES_KINDS else NO_WORDS
    return replace(one, detail=detail, locator=canonical_json(numbers_of(one.locator)).decode(), text=None)


def write_fixed_files(folder: Path) -> None:
    """Write the row's schema and the stand-alone checker."""
    (folder / evidence.SCHEMA_NAME).write_bytes(row_schema_bytes())
    (folder / evidence.CHECK_NAME).write_bytes(evidence.checker_source())
    (folder / evidence.CHECK_PROOF_NAME).write_bytes(evidence.proof_checker_source())
