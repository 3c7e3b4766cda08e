"""The tokenizer that a manifest names, and (`deep`) every token count computed again with it.

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
from hrmbuild.tokens.tokenizer import TextTokenizer, load_tokenizer

_BATCH_PAIRS = 1024


def check_tokenizer(
    folder: Path, manifest: Manifest, pack: PackContents, *, deep: bool, progress: Progress
) -> Iterator[Check]:
    """The tokenizer's hash and size; with `deep` the token counts of every row."""
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
        yield _token_counts(pack, tokenizer, progress)


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
