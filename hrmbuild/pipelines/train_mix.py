"""The mix of a run: from weights, caps and repeats of strata to how often each pair stands in an epoch.

Owns the arithmetic and its refusals. A pair belongs to the stratum of its first source. With weights w, an epoch of T
tokens shows T * w / sum(w) of each stratum; what caps and repeats leave of a stratum (its stock) bounds T, and the
scarcest stratum is shown whole. Exact fractions, rounded down to millionths: the same settings on the same corpus give
the same numbers, which stand in `run.json`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hrmbuild.config.project import MixConfig, StratumMix
from hrmbuild.errors import UsageError
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.run import MixStratum, RunMix
from hrmbuild.tokens.batch import Int64s
from hrmbuild.tokens.files import TokenData
from hrmbuild.tokens.mix import MILLION, EpochMix, MixKey, Repeats

_WHERE = "hrmbuild.yaml: train.mix"


@dataclass(frozen=True)
class SourceStock:
    """What there is of each source file in the train split; arrays are [n_sources], by the files' hashes."""

    strata: tuple[str, ...]
    """Stratum of each file."""
    pairs: Int64s
    """Pairs that take part: those over the context do not."""
    tokens: Int64s
    """Slots that they fill, each once."""
    repeats: Int64s
    """The source's own `repeat`."""

    def names(self) -> list[str]:
        """Strata with a pair, sorted."""
        return sorted({name for name, n in zip(self.strata, self.pairs.tolist(), strict=True) if n})


def source_stock(manifest: Manifest, data: TokenData, slots: Int64s) -> SourceStock:
    """Count each file; `slots` as trained, 0 for a pair that takes no part."""
    sources = {source.sha256: source for source in manifest.trained_sources}
    ordered = [sources[sha256] for sha256 in data.files.sources]
    numbers, n = data.splits["train"].source_numbers, len(data.files.sources)
    return SourceStock(
        strata=tuple(source.stratum or source.kind for source in ordered),
        pairs=np.bincount(numbers[slots > 0], minlength=n).astype(np.int64),
        tokens=np.bincount(numbers, weights=slots, minlength=n).astype(np.int64),
        repeats=np.array([source.repeat or 1 for source in ordered], dtype=np.int64),
    )


def resolve_mix(mix: MixConfig, stock: SourceStock) -> RunMix:
    """The numbers of a run.

    Raises:
        UsageError: `train.mix_unknown_stratum`, `train.mix_weight_missing`, `train.mix_not_enough`, `train.mix_zero`.
    """
    _check_names(mix, stock)
    asked = {name: mix.strata.get(name, StratumMix()) for name in stock.names()}
    whole = {name: _unscaled(one, mix) for name, one in asked.items()}
    tokens = {name: _stock_tokens(name, one, stock) for name, one in whole.items()}
    shown = _shown(mix, asked, tokens)
    strata = {
        name: one.model_copy(update={"shown_millionths": int(shown[name] * MILLION)}) for name, one in whole.items()
    }
    resolved = RunMix(epoch_tokens=mix.epoch_tokens, strata=strata)
    _check_not_zero(resolved, stock)
    return resolved


def source_repeats(manifest: Manifest) -> dict[str, int]:
    """Repeats above one, by the hash of the file, as the manifest holds them."""
    found = {source.sha256: source.repeat or 1 for source in manifest.trained_sources}
    return {sha256: repeat for sha256, repeat in sorted(found.items()) if repeat > 1}


def run_repeats(manifest: Manifest, data: TokenData, slots: Int64s, *, mix: RunMix | None, seed: int) -> Repeats:
    """How often each pair of the train split stands in an epoch of a run."""
    numbers, sources = data.splits["train"].source_numbers, data.files.sources
    if mix is not None:
        key = MixKey(data.files.content_root, data.files.tokenizer_sha256, seed)
        shown = showings(mix, source_stock(manifest, data, slots))
        return EpochMix(key, numbers, trained=slots > 0, showings=shown, sources=sources)
    by_source = source_repeats(manifest)
    if not by_source:
        return None
    return np.array([by_source.get(sha256, 1) for sha256 in sources], dtype=np.int64)[numbers]


def showings(resolved: RunMix, stock: SourceStock) -> Int64s:
    """[n_sources] pairs of each file that an epoch shows, repeats counted, in millionths."""
    found = np.zeros(len(stock.strata), dtype=np.int64)
    for number, name in enumerate(stock.strata):
        if stock.pairs[number]:
            one = resolved.strata[name]
            found[number] = _capped(one, stock, number) * one.repeat * stock.repeats[number] * one.shown_millionths
    return found


def _unscaled(one: StratumMix, mix: MixConfig) -> MixStratum:
    cap = one.max_pairs_per_file or mix.max_pairs_per_file
    return MixStratum(weight=one.weight, repeat=one.repeat, max_pairs_per_file=cap, shown_millionths=MILLION)


def _capped(one: MixStratum, stock: SourceStock, number: int) -> int:
    return min(int(stock.pairs[number]), one.max_pairs_per_file or int(stock.pairs[number]))


def _stock_tokens(name: str, one: MixStratum, stock: SourceStock) -> Fraction:
    """Tokens that an epoch could show of a stratum, a capped file by its mean length."""
    return sum(
        (
            Fraction(int(stock.tokens[i]) * _capped(one, stock, i) * one.repeat * int(stock.repeats[i]), n)
            for i, n in enumerate(stock.pairs.tolist())
            if n and stock.strata[i] == name
        ),
        Fraction(0),
    )


def _shown(mix: MixConfig, asked: dict[str, StratumMix], tokens: dict[str, Fraction]) -> dict[str, Fraction]:
    """The share of each stratum's stock that an epoch shows, at most 1."""
    weights = {name: one.weight for name, one in asked.items()}
    without = [name for name, weight in weights.items() if weight is None]
    if 0 < len(without) < len(weights):
        raise UsageError(
            "train.mix_weight_missing",
            f"some strata have a weight and {', '.join(without)} has none",
            where=f"{_WHERE}.strata",
            why="a weight is a share of the epoch, so that every stratum of the train split needs one",
            fix=f"add {without[0]}: {{weight: …}}, or remove the other weights",
        )
    parts = {name: Fraction(str(weights[name])) if not without else tokens[name] for name in tokens}
    total = sum(parts.values())
    possible = min(tokens[name] * total / parts[name] for name in tokens)
    length = Fraction(mix.epoch_tokens) if mix.epoch_tokens else possible
    if length > possible:
        raise _not_enough(length, possible, {n: length * parts[n] / total / tokens[n] for n in tokens}, asked)
    return {name: length * parts[name] / total / tokens[name] for name in tokens}


def _not_enough(
    length: Fraction, possible: Fraction, needed: dict[str, Fraction], asked: dict[str, StratumMix]
) -> UsageError:
    short = {name: share for name, share in needed.items() if share > 1}
    told = "; ".join(f"{name}: {float(share):.2f} times what there is" for name, share in short.items())
    repeats = ", ".join(f"{name}: {{repeat: {-(-asked[name].repeat * share // 1)}}}" for name, share in short.items())
    return UsageError(
        "train.mix_not_enough",
        f"an epoch of {int(length):,} tokens needs more than there is",
        where=f"{_WHERE}.epoch_tokens",
        why=told,
        fix=f"repeat what is short (train.mix.strata: {{{repeats}}}), or scale the epoch down: epoch_tokens of at most "
        f"{int(possible):,}",
    )


def _check_names(mix: MixConfig, stock: SourceStock) -> None:
    known = stock.names()
    for name in sorted(mix.strata):
        if name in known:
            continue
        nearest = difflib.get_close_matches(name, known, n=1)
        held_out = name in stock.strata
        raise UsageError(
            "train.mix_unknown_stratum",
            f"the train split holds no pair of a stratum {name!r}",
            where=f"{_WHERE}.strata.{name}",
            why="its files have held-out or too long pairs only" if held_out else None,
            fix=f"did you mean {nearest[0]!r}?" if nearest and not held_out else f"the strata are: {', '.join(known)}",
        )


def _check_not_zero(resolved: RunMix, stock: SourceStock) -> None:
    shown = showings(resolved, stock)
    for name in resolved.strata:
        of_stratum = [int(n) for n, own in zip(shown, stock.strata, strict=True) if own == name]
        if sum(of_stratum) < MILLION:
            raise UsageError(
                "train.mix_zero",
                f"an epoch would show less than one pair of {name}",
                where=f"{_WHERE}.strata.{name}",
                why="its weight is too small beside the others, or the epoch too short",
                fix="give it more weight, or make the epoch longer (repeat the scarcest stratum)",
            )
