"""The tokenizer that a manifest names, and (`deep`) its training and every token count done again.

Owns those checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.evidence import TOKENIZER_NAME
from hrmbuild.audit.pack_checks import PackContents
from hrmbuild.errors import InputError
from hrmbuild.pipelines.progress import Progress
from hrmbuild.records.manifest import Manifest
from hrmbuild.tokens.tokenizer import TextTokenizer, load_tokenizer, train_tokenizer

_BATCH_PAIRS = 1024


def check_tokenizer(
    folder: Path, manifest: Manifest, pack: PackContents, *, deep: bool, progress: Progress
) -> Iterator[Check]:
    """The tokenizer's hash and size; with `deep` its training and the token counts of every row."""
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
        yield _training(manifest, pack, tokenizer, progress)
        yield _token_counts(pack, tokenizer, progress)


def _training(manifest: Manifest, pack: PackContents, tokenizer: TextTokenizer, progress: Progress) -> Check:
    """Trained on the rows of the train split, the same entries come out: no other text had a part in it.

    Entries are compared and not bytes, since another version of the library may write the same tokenizer differently.
    """
    name = "tokenizer training"
    if manifest.tokenizer.trained_on == "given":
        return Check(
            name, not manifest.lineage.startswith("complete"), "given: its own corpus is outside this manifest"
        )
    progress.stage("tokenizer", total=None, unit="texts")
    rows = [value for _, value in pack.rows if value["split"] == "train"]
    texts = (value[part] for value in rows for part in ("instruction", "response"))
    try:
        again = TextTokenizer(train_tokenizer(texts, vocab_size=manifest.tokenizer.vocab_size))
    except ValueError as error:
        return Check(name, False, f"{error}")
    same = again.entries() == tokenizer.entries()
    told = f"{len(rows)} pairs of the train split give the same entries"
    return Check(name, same, told if same else "the train split gives other entries: it was trained on other texts")


def _token_counts(pack: PackContents, tokenizer: TextTokenizer, progress: Progress) -> Check:
    progress.stage("tokens", total=len(pack.rows), unit="pairs")
    wrong: list[str] = []
    remaining = iter(pack.rows)
    while batch := list(islice(remaining, _BATCH_PAIRS)):
        instructions = tokenizer.encode_batch([value["instruction"] for _, value in batch])
        responses = tokenizer.encode_batch([value["response"] for _, value in batch])
        for (row, _), instruction, response in zip(batch, instructions, responses, strict=True):
            if (row.instruction_tokens, row.response_tokens) != (len(instruction), len(response)):
                wrong.append(row.id[:12])
        progress.advance(len(batch))
    return Check("token counts", not wrong, f"differ: {named(wrong)}" if wrong else "every row encoded again")
