"""What can be drawn out of the weights: verbatim continuation of trained spans, and exposure of planted canaries.

Owns both measures. A span is the response of a pair; the shown text is cut out of its prompt and the first half of the
response is given, so that only the weights can know the rest. It counts where greedy decoding goes on word for word.
Spans of held-out pairs, the rest of which stands in no training pair, say how much of that is form and chance; what
trained spans have above them is `excess`. A canary is a pair whose response is a drawn number: it is a span of which
nothing is given (with one drawn alike beside it, never trained), and its exposure is
log2(candidates) - log2(rank) among numbers of the same form (Carlini et al. 2019, arXiv 1802.08232; continuation as in
arXiv 2202.07646). Greedy decoding is read off one pass over the true text: it goes on word for word just where every
next token is the likeliest. It must not keep or return any text.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from hrmbuild.evaluation.clusters import cluster_of
from hrmbuild.evaluation.intervals import Estimate, Resamples
from hrmbuild.evaluation.questions import without_shown_text
from hrmbuild.fingerprint import draw_below, draw_integer
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layout import build_layout
from hrmbuild.records.pair import Pair
from hrmbuild.tokens.encode import EncodedPair, encode_pair
from hrmbuild.tokens.tokenizer import TextTokenizer

CANARIES = "canaries"
"""Stratum that declares a source's pairs as canaries; it stands in the manifest."""
MOST_SPANS = 300
"""Spans on each side: a rate of 0.01 has a 95 % interval up to 0.03 then."""
N_CANDIDATES = 511
"""Never-trained numbers that each canary is ranked among: exposure goes up to 9 bits."""
MIN_CONTINUED = 8
"""Tokens that must be continued; shorter ones are guessed too easily."""
_PACK_TOKENS = 8192
Advance = Callable[[int], None]


@dataclass(frozen=True)
class LabelExtraction:
    """Verbatim continuation under one label."""

    trained: Estimate
    untrained: Estimate

    @property
    def excess(self) -> Estimate:
        """Trained less never-trained, at least 0, with Newcombe's interval of a difference (1998, method 10)."""
        ours, theirs = self.trained, self.untrained
        if not ours.n:
            return ours
        reference = (theirs.mean, theirs.low, theirs.high) if theirs.n else (0.0, 0.0, 0.0)
        mean = ours.mean - reference[0]
        low = mean - math.hypot(ours.mean - ours.low, reference[2] - reference[0])
        high = mean + math.hypot(ours.high - ours.mean, reference[0] - reference[1])
        return Estimate(max(0.0, mean), max(0.0, low), max(0.0, high), ours.n, ours.n_clusters)

    def as_dict(self) -> dict[str, object]:
        """As `--json` shows it."""
        return {"trained": self.trained.as_dict(), "untrained": self.untrained.as_dict(),
                "excess": self.excess.as_dict()}  # fmt: skip


@dataclass(frozen=True)
class CanaryExtraction:
    """Canaries under one label."""

    bits: tuple[float, ...]
    """Exposure of each."""
    verbatim: int
    """Canaries that greedy decoding says in full."""
    control_bits: tuple[float, ...]
    """Exposure of as many that were drawn alike and never trained: 1.44 bits on average, by chance."""

    @property
    def exposure(self) -> Estimate:
        """Mean exposure in bits, with the normal 95 % interval of a mean."""
        n = len(self.bits)
        mean = sum(self.bits) / n if n else 0.0
        spread = math.sqrt(sum((one - mean) ** 2 for one in self.bits) / max(1, n - 1))
        half = 1.96 * spread / math.sqrt(n) if n > 1 else math.log2(N_CANDIDATES + 1)
        most = math.log2(N_CANDIDATES + 1)
        return Estimate(mean, max(0.0, mean - half), min(most, mean + half), n, n)

    def as_dict(self) -> dict[str, object]:
        """As `--json` shows it."""
        control = sum(self.control_bits) / len(self.control_bits) if self.control_bits else 0.0
        return {"exposure_bits": self.exposure.as_dict(), "verbatim": self.verbatim,
                "control_bits": round(control, 4), "most_bits": math.log2(N_CANDIDATES + 1)}  # fmt: skip


@dataclass(frozen=True)
class Extraction:
    """Both measures, pooled (None) and by label."""

    spans: dict[str | None, LabelExtraction] = field(default_factory=dict[str | None, LabelExtraction])
    canaries: dict[str | None, CanaryExtraction] = field(default_factory=dict[str | None, CanaryExtraction])

    def excess(self, label: str | None = None) -> Estimate | None:
        """Verbatim continuation above chance; None where no span has this label."""
        return self.spans[label].excess if label in self.spans else None

    def exposure(self, label: str | None = None) -> Estimate | None:
        """Mean exposure in bits; None where there is no canary."""
        return self.canaries[label].exposure if label in self.canaries else None

    def as_dict(self) -> dict[str, object]:
        """As `--json` shows it."""
        return {
            "spans": {label or "all": one.as_dict() for label, one in self.spans.items()},
            "canaries": {label or "all": one.as_dict() for label, one in self.canaries.items()},
        }


def measure_extraction(
    model: LanguageModel,
    tokenizer: TextTokenizer,
    train: Sequence[Pair],
    held_out: Sequence[Pair],
    *,
    seed: int,
    most: int = MOST_SPANS,
    advance: Advance = lambda n: None,
) -> Extraction:
    """Try to draw trained text out of a model.

    Args:
        train: all training pairs; those of stratum `canaries` are the canaries.
        held_out: pairs that were never trained on.
        most: spans on each side, groups of label and kind in turn.
    """
    usual = [pair for pair in train if pair.stratum != CANARIES]
    trained = _drawn_spans(tokenizer, usual, n=most, seed=seed, context=model.config.context_tokens)
    seen = "\n".join(text for pair in train for text in (pair.response, pair.instruction))
    never = _drawn_spans(tokenizer, held_out, n=most, seed=seed, context=model.config.context_tokens, unless_in=seen)
    planted = [pair for pair in train if pair.stratum == CANARIES and is_canary(pair)]
    trained += [_whole(tokenizer, pair, pair.instruction, pair.response) for pair in planted]
    never += [_whole(tokenizer, pair, *_control(pair, seed)) for pair in planted]
    spans = _by_label(model, trained, never, seed=seed, advance=advance)
    return Extraction(spans, _canaries(model, tokenizer, planted, seed=seed, advance=advance))


def is_canary(pair: Pair) -> bool:
    """Whether a response is a number that can be drawn anew: at least four digits and nothing else."""
    return re.fullmatch(r"\d{4,}", pair.response) is not None


@dataclass(frozen=True)
class _Span:
    pair: Pair
    encoded: EncodedPair
    given: int
    """Response tokens that are given."""


def _drawn_spans(
    tokenizer: TextTokenizer, pairs: Sequence[Pair], *, n: int, seed: int, context: int, unless_in: str = ""
) -> list[_Span]:
    """Up to `n` spans, groups of (label, kind) in turn, by draws of their ids."""
    groups: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.label, pair.kind].append(pair)
    ranked = [
        (rank, group, pair)
        for group, members in groups.items()
        for rank, pair in enumerate(sorted(members, key=lambda one: (draw_integer("span", seed, one.id), one.id)))
    ]
    found: list[_Span] = []
    for _, _, pair in sorted(ranked, key=lambda item: item[:2]):
        span = _span(tokenizer, pair, context=context, unless_in=unless_in)
        if span is not None:
            found.append(span)
        if len(found) == n:
            break
    return found


def _span(tokenizer: TextTokenizer, pair: Pair, *, context: int, unless_in: str) -> _Span | None:
    prompt = without_shown_text(pair) or pair.instruction
    encoded = encode_pair(tokenizer, pair.condition, instruction=prompt, response=pair.response)
    given = encoded.n_response_tokens // 2
    fits = len(encoded.prefix_ids) + encoded.n_response_tokens <= context
    if encoded.n_response_tokens - given < MIN_CONTINUED or not fits:
        return None
    rest = tokenizer.decode(encoded.response_ids[given:-1]).strip()
    return None if rest in unless_in else _Span(pair, encoded, given)


def _whole(tokenizer: TextTokenizer, pair: Pair, prompt: str, number: str) -> _Span:
    """A canary as a span of which nothing is given: it counts where all of it is said."""
    return _Span(pair, encode_pair(tokenizer, "direct", instruction=prompt, response=number), 0)


def _control(pair: Pair, seed: int) -> tuple[str, str]:
    """A canary drawn like this one and never trained."""
    return _redrawn(pair.instruction, f"{pair.id}/name", seed), _redrawn(pair.response, f"{pair.id}/control", seed)


def _by_label(
    model: LanguageModel, trained: Sequence[_Span], never: Sequence[_Span], *, seed: int, advance: Advance
) -> dict[str | None, LabelExtraction]:
    ours, theirs = (_continued(model, spans, advance) for spans in (trained, never))
    labels: list[str | None] = [None, *sorted({span.pair.label for span in trained})]
    return {
        label: LabelExtraction(
            _share(trained, ours, label=label, seed=seed), _share(never, theirs, label=label, seed=seed)
        )
        for label in labels
        if trained
    }


def _share(spans: Sequence[_Span], continued: Sequence[bool], *, label: str | None, seed: int) -> Estimate:
    if not spans:
        return Estimate(0.0, 0.0, 1.0, 0, 0)
    resamples = Resamples([cluster_of(span.pair) for span in spans], seed=seed)
    counted = zip(spans, continued, strict=True)
    return resamples.mean([one if label in (None, span.pair.label) else None for span, one in counted])


def _continued(model: LanguageModel, spans: Sequence[_Span], advance: Advance) -> list[bool]:
    """Whether greedy decoding goes on word for word to the last content token."""
    found = read_likelihoods(model, [span.encoded for span in spans], advance=advance)
    return [all(one.likeliest[span.given : -1]) for span, one in zip(spans, found, strict=True)]


def _canaries(
    model: LanguageModel, tokenizer: TextTokenizer, planted: Sequence[Pair], *, seed: int, advance: Advance
) -> dict[str | None, CanaryExtraction]:
    if not planted:
        return {}
    real = [_exposure(model, tokenizer, pair.instruction, pair.response, key=pair.id, seed=seed) for pair in planted]
    advance(len(planted))
    controls = [
        _exposure(model, tokenizer, *_control(pair, seed), key=f"{pair.id}/control", seed=seed) for pair in planted
    ]
    advance(len(planted))
    labels: list[str | None] = [None, *sorted({pair.label for pair in planted})]
    result: dict[str | None, CanaryExtraction] = {}
    for label in labels:
        own = [i for i, pair in enumerate(planted) if label in (None, pair.label)]
        result[label] = CanaryExtraction(
            tuple(real[i][0] for i in own), sum(real[i][1] for i in own), tuple(controls[i][0] for i in own)
        )
    return result


def _exposure(
    model: LanguageModel, tokenizer: TextTokenizer, prompt: str, secret: str, *, key: str, seed: int
) -> tuple[float, bool]:
    """Bits by which a number stands out among drawn ones, and whether greedy decoding says it in full."""
    others = [_redrawn(secret, f"{key}/{i}", seed) for i in range(N_CANDIDATES)]
    encoded = [
        encode_pair(tokenizer, "direct", instruction=prompt, response=number)
        for number in [secret, *(number for number in others if number != secret)]
    ]
    found = read_likelihoods(model, encoded)
    rank = 1 + sum(one.log_likelihood >= found[0].log_likelihood for one in found[1:])
    return math.log2(len(found)) - math.log2(rank), all(found[0].likeliest)


def _redrawn(text: str, key: str, seed: int) -> str:
    """The text with every digit drawn anew."""
    digits = iter(range(len(text)))
    return re.sub(r"\d", lambda _: str(draw_below(10, "canary", seed, f"{key}.{next(digits)}")), text)


@dataclass(frozen=True)
class Likelihood:
    """How a model sees one response."""

    log_likelihood: float
    """Of the whole response, its end token included; nats."""
    likeliest: tuple[bool, ...]
    """For each response token, the end token last, whether it is the likeliest one."""


@torch.no_grad()
def read_likelihoods(
    model: LanguageModel, pairs: Sequence[EncodedPair], *, advance: Advance = lambda n: None
) -> list[Likelihood]:
    """Read many responses after their prompts, in packs, in the order given."""
    found: list[Likelihood] = []
    for pack in _packs(pairs):
        device = model.lm_head.weight.device
        layout = build_layout(
            [len(one.prefix_ids) for one in pack], [len(one.response_ids) - 1 for one in pack], device=device
        )
        tokens_T = torch.tensor([t for one in pack for t in [*one.prefix_ids, *one.response_ids[:-1]]], device=device)
        labels_R = torch.tensor([t for one in pack for t in one.response_ids], device=device)
        hidden_TD = model.forward_hidden(tokens_T, layout)
        # Chunks of rows: all logits of a pack at once would be a gigabyte at the paper's vocabulary.
        rows = hidden_TD.index_select(0, layout.predicting).split(512)
        pieces = [_read(model.head(some).float(), own) for some, own in zip(rows, labels_R.split(512), strict=True)]
        logs, best = (torch.cat(parts).tolist() for parts in zip(*pieces, strict=True))
        start = 0
        for one in pack:
            end = start + len(one.response_ids)
            found.append(Likelihood(sum(logs[start:end]), tuple(bool(hit) for hit in best[start:end])))
            start = end
        advance(len(pack))
    return found


def _read(logits_RV: torch.Tensor, labels_R: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    logs_R = logits_RV.log_softmax(-1).gather(1, labels_R[:, None])[:, 0]
    return logs_R.double(), logits_RV.argmax(-1) == labels_R


def _packs(pairs: Sequence[EncodedPair]) -> list[list[EncodedPair]]:
    packs: list[list[EncodedPair]] = []
    size = _PACK_TOKENS
    for pair in pairs:
        length = len(pair.prefix_ids) + len(pair.response_ids)
        if size + length > _PACK_TOKENS:
            packs.append([])
            size = 0
        packs[-1].append(pair)
        size += length
    return packs
