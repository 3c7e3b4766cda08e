"""What a plan needs to know of a corpus: from the counts of its manifest, or from a bare number of tokens.

Owns these counts. It must not read pairs: a manifest has the sums already.
"""

from __future__ import annotations

from dataclasses import dataclass

from hrmbuild.config.model import VOCAB_MULTIPLE
from hrmbuild.config.presets import PRESETS
from hrmbuild.records.counts import total
from hrmbuild.records.manifest import Manifest
from hrmbuild.tokens.vocabulary import largest_vocab_for

MEAN_PAIR_TOKENS = 544
"""Length of a pair where there is no manifest to tell: that of mixed lengths; at most half of a preset's context."""
FRAME_TOKENS = 3
"""Of a pair's slots, beside content: start, condition and prefix end; the end token predicts nothing."""


@dataclass(frozen=True)
class CorpusCounts:
    """Counts of what is trained on."""

    epoch_tokens: int
    """Slots that an epoch fills, repeats counted."""
    unique_tokens: int
    """Without repeats."""
    pair_tokens: float
    """Mean length of a pair."""
    response_fraction: float
    """Share of the slots that predict a label; 1 where nobody knows, an upper bound."""
    vocab_size: int
    """Padded."""
    origin: str
    """Where these counts come from, in words."""


def counts_of_tokens(tokens: float, *, preset: str, passes: float) -> CorpusCounts:
    """So many tokens trained on in all, repeats counted, as `passes` over an epoch; the rest is assumed, and told."""
    epoch = max(1, round(tokens / passes))
    length = min(MEAN_PAIR_TOKENS, PRESETS[preset].context_tokens // 2)
    vocabulary = largest_vocab_for(preset)
    return CorpusCounts(
        epoch_tokens=epoch,
        unique_tokens=epoch,
        pair_tokens=length,
        response_fraction=1.0,
        vocab_size=vocabulary,
        origin=f"--tokens, as {passes:g} passes; assumed: pairs of {length} tokens that all predict, "
        f"a vocabulary of {vocabulary:,}",
    )


def counts_of(manifest: Manifest, *, name: str) -> CorpusCounts:
    """Of the train split; repeats are spread by the sources' own counts."""
    included = manifest.includes or ()
    train = total([manifest.splits["train"], *(one.taken for one in included)])
    slots = train.instruction_tokens + train.response_tokens + FRAME_TOKENS * train.pairs
    entries = [
        (entry.source.repeat or 1, entry.count.instruction_tokens + entry.count.response_tokens)
        for entry in (*manifest.sources, *(source for one in included for source in one.sources))
    ]
    plain = sum(tokens for _, tokens in entries)
    shown = sum(times * tokens for times, tokens in entries)
    return CorpusCounts(
        epoch_tokens=round(slots * shown / plain) if plain else slots,
        unique_tokens=slots,
        pair_tokens=slots / max(1, train.pairs),
        response_fraction=(train.response_tokens + train.pairs) / max(1, slots),
        vocab_size=-(-manifest.tokenizer.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE,
        origin=f"manifest {name}",
    )
