"""The tokenizer that a manifest names, and (`deep`) its training and every token count done again.

Owns those checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from hrmbuild.audit.checks import Check, named, not_looked_at
from hrmbuild.audit.erased import ERASED_NAME, erased_row
from hrmbuild.audit.evidence import TOKENIZER_NAME, EvidenceRow, read_evidence
from hrmbuild.audit.rows import parse_row
from hrmbuild.errors import InputError
from hrmbuild.pipelines.included_rows import included_rows
from hrmbuild.pipelines.progress import Progress
from hrmbuild.records.manifest import Manifest
from hrmbuild.tokens.encode_stream import count_stream
from hrmbuild.tokens.tokenizer import TextTokenizer, load_tokenizer, train_tokenizer


def check_tokenizer(
    folder: Path, manifest: Manifest, *, deep: bool, progress: Progress, included: Mapping[str, Path]
) -> Iterator[Check]:
    """The tokenizer's hash and size; with `deep` its training and the token counts of every row.

    Args:
        included: folder of each included corpus that is at hand, by its content root.
    """
    try:
        tokenizer = load_tokenizer(folder / TOKENIZER_NAME)
    except InputError as error:
        yield Check("tokenizer", False, error.what)
        return
    told = manifest.tokenizer
    wrong = [] if tokenizer.sha256 == told.sha256 else ["its hash is another"]
    wrong += [] if tokenizer.vocab_size == told.vocab_size else [f"it has {tokenizer.vocab_size} entries"]
    yield Check("tokenizer", not wrong, "; ".join(wrong) or f"{told.vocab_size} entries, as frozen")
    if deep:
        training = partial(_training, included=included)
        for name, check in (("tokenizer training", training), ("token counts", _token_counts)):
            try:
                ok, detail = check(folder, manifest, tokenizer, progress)
            except _NotAtHand as error:
                yield not_looked_at(name, str(error))
                continue
            except InputError as error:
                ok, detail = False, error.what
            except (ValueError, KeyError, TypeError) as error:
                ok, detail = False, f"rows cannot be read: {error!r}"
            yield Check(name, ok, detail)


class _NotAtHand(Exception):
    """What a check needs is not there."""


def _training(
    folder: Path, manifest: Manifest, tokenizer: TextTokenizer, progress: Progress, *, included: Mapping[str, Path]
) -> tuple[bool, str]:
    """Trained on the rows of the train split, the same tokenizer comes out: no other text had a part in it.

    All of it is compared, as this version of the library writes both: a normalizer that replaces words, or other
    merges, would make other tokens of the same text under the same entries.
    """
    if manifest.tokenizer.trained_on == "given":
        return not manifest.lineage.startswith("complete"), "given: its own corpus is outside this manifest"
    _refuse_without_texts(folder, manifest, included)
    progress.stage("tokenizer", total=manifest.splits["train"].pairs, unit="pairs")
    n_rows = 0

    def texts() -> Iterator[str]:
        nonlocal n_rows
        for row, instruction, response in _texts(folder):
            if row.split == "train":
                yield from (instruction, response)
                n_rows += 1
                progress.advance()
        for one in manifest.includes or ():
            for value in included_rows(folder, one, included[one.content_root]):
                yield from (value["instruction"], value["response"])
                n_rows += 1

    again = TextTokenizer(train_tokenizer(texts(), vocab_size=manifest.tokenizer.vocab_size))
    if again.entries() != tokenizer.entries():
        return False, "the train split gives other entries: it was trained on other texts"
    if again.rewritten() != tokenizer.rewritten():
        return False, "the same entries, but it cuts or changes text in another way than ours"
    return True, f"{n_rows} pairs of the train split give the same tokenizer"


def _refuse_without_texts(folder: Path, manifest: Manifest, included: Mapping[str, Path]) -> None:
    """Raises:
    _NotAtHand: some of the texts that it learnt from are gone or elsewhere.
    """
    if (n_erased := _n_erased(folder)) > 0:
        raise _NotAtHand(f"not trained again: the texts of {n_erased} rows were erased")
    if any(one.content_root not in included for one in manifest.includes or ()):
        raise _NotAtHand("not trained again: an included corpus, which it learnt from too, is not at hand")


def _token_counts(folder: Path, manifest: Manifest, tokenizer: TextTokenizer, progress: Progress) -> tuple[bool, str]:
    progress.stage("tokens", total=sum(one.pairs for one in manifest.splits.values()), unit="pairs")
    wrong: list[str] = []
    for (row, _, _), n_tokens in count_stream(tokenizer, _texts(folder), texts=lambda found: found[1:]):
        if (row.instruction_tokens, row.response_tokens) != n_tokens:
            wrong.append(row.id[:12])
        progress.advance()
    n_erased = _n_erased(folder)
    left = f" but {n_erased} whose texts were erased" if n_erased else ""
    return not wrong, f"differ: {named(wrong)}" if wrong else f"every row encoded again{left}"


def _n_erased(folder: Path) -> int:
    if not (folder / ERASED_NAME).exists():
        return 0
    return sum(erased_row(row.row) is not None for row in read_evidence(folder))


def _texts(folder: Path) -> Iterator[tuple[EvidenceRow, str, str]]:
    """The rows with their two texts; what is no row is named by the check of rows, and has no tokens to count."""
    for row in read_evidence(folder):
        if isinstance(value := parse_row(row.row), dict):
            yield row, value["instruction"], value["response"]
