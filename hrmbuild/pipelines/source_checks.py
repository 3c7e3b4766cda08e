"""A frozen pack beside its sources: are the files the same bytes, and do the quoted words stand where rows say?

Owns those two checks. A quote is looked up only in files whose bytes are the ones that were frozen; it stands when the
words at its place, after the masks that the row records, are the words of the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.pack_checks import PackContents
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json, hash_file
from hrmbuild.pairs.spans import MASKS, apply_masks, read_masks
from hrmbuild.pipelines.progress import Progress
from hrmbuild.readers.resolving import load_texts, resolve_in
from hrmbuild.records.locator import Locator
from hrmbuild.records.manifest import Manifest, SourceEntry

_QUOTING = frozenset({"quoted", "absent"})
"""Derivations whose occurrences hold words of the source; the others hold shown rows, or rules as they were rendered.
A locator that counts no characters says where a record stands, not which words."""
_RENDERED = "ruleset"
"""Format of sources whose rules are never shown in the file's own words: parameters take their values first."""


class _Quote(NamedTuple):
    locator: Locator
    words: str
    """As the row has them, after masks."""
    inputs: dict[str, str]


def check_sources(manifest: Manifest, pack: PackContents, folder: Path, *, progress: Progress) -> Iterator[Check]:
    """Bytes of every source, then every quote in those that are as they were."""
    progress.stage("sources", total=len(manifest.sources), unit="files")
    missing: list[str] = []
    altered: list[str] = []
    intact: dict[str, SourceEntry] = {}
    for entry in manifest.sources:
        path = folder / entry.source.path
        if not path.is_file():
            missing.append(entry.source.path)
        elif hash_file(path) != entry.source.sha256:
            altered.append(entry.source.path)
        else:
            intact[entry.source.sha256] = entry
        progress.advance()
    told = [
        f"{word}: {named(paths, limit=20)}" for word, paths in (("missing", missing), ("altered", altered)) if paths
    ]
    yield Check("sources", not told, "; ".join(told) or f"{len(manifest.sources)} files are the bytes that were frozen")
    yield _quotes_check(pack, intact, folder)


def _quotes_check(pack: PackContents, intact: dict[str, SourceEntry], folder: Path) -> Check:
    rendered = {entry.source.sha256 for entry in intact.values() if entry.source.format == _RENDERED}
    quotes = {sha256: found for sha256, found in _quotes(pack).items() if sha256 not in rendered}
    problems: list[str] = []
    n_looked_up = n_out_of_reach = 0
    for sha256 in sorted(quotes):
        if sha256 not in intact:
            n_out_of_reach += len(quotes[sha256])
            continue
        n_looked_up += len(quotes[sha256])
        problems += _wrong_quotes(intact[sha256], quotes[sha256], folder)
    if problems:
        return Check("quotes", False, f"{len(problems)} do not stand at their place: {named(problems)}")
    left = f"; {n_out_of_reach} stand in files that are missing or altered" if n_out_of_reach else ""
    return Check("quotes", not n_out_of_reach, f"{n_looked_up} quotes stand at their place{left}")


def _quotes(pack: PackContents) -> dict[str, list[_Quote]]:
    """The quotes of each source, by its hash; each once."""
    found: dict[str, dict[bytes, _Quote]] = {}
    for _, row in pack.rows:
        for one in row["occurrences"]:
            if row["derivation"] in _QUOTING and "char_from" in one["locator"]:
                inputs = one.get("inputs", {})
                key = canonical_json([one["locator"], one["text"], inputs.get(MASKS)])
                quote = _Quote(Locator.model_validate(one["locator"]), one["text"], inputs)
                found.setdefault(one["source_sha256"], {})[key] = quote
    return {sha256: [quotes[key] for key in sorted(quotes)] for sha256, quotes in found.items()}


def _wrong_quotes(entry: SourceEntry, quotes: list[_Quote], folder: Path) -> Iterator[str]:
    source = entry.source
    try:
        texts = load_texts(folder / source.path, format=source.format)
    except InputError as error:
        yield f"{source.path}: {error.what}"
        return
    for quote in quotes:
        try:
            exact = resolve_in(texts, quote.locator, where=source.path)
            stands = apply_masks(exact, read_masks(quote.inputs)) == quote.words
        except (InputError, ValueError, TypeError) as error:
            yield f"{source.path}, {quote.locator}: {error}"
            continue
        if not stands:
            yield f"{source.path}, {quote.locator}"
