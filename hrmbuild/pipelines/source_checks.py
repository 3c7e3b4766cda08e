"""A frozen pack beside its sources: are the files the same bytes, and do the quoted words stand where rows say?

Owns those two checks. A quote is looked up only in files whose bytes are the ones that were frozen; it stands when the
words at its place, after the masks that the row records, are the words of the row.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from hrmbuild.audit.checks import Check, named, not_looked_at
from hrmbuild.audit.pack_checks import file_problem
from hrmbuild.audit.pack_rows import PackContents
from hrmbuild.errors import InputError
from hrmbuild.pairs.spans import MASKS, apply_masks, read_masks
from hrmbuild.pipelines.progress import Progress
from hrmbuild.readers.resolving import resolve_in
from hrmbuild.readers.spans import SourceText
from hrmbuild.readers.worker import load_texts_guarded
from hrmbuild.records.locator import Locator
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.source import Source

Texts = dict[str | None, SourceText]
"""The decoded text of a file, by mail part."""
_RENDERED = "ruleset"
"""Format of sources whose rules are never shown in the file's own words: parameters take their values first."""


class _Quote(NamedTuple):
    locator: Locator
    words: str
    """As the row has them, after masks."""
    inputs: dict[str, str]


def check_sources(
    manifest: Manifest, pack: PackContents, folder: Path, *, gone: Collection[str] = (), progress: Progress
) -> Iterator[Check]:
    """Bytes of every source, then every quote in those that are as they were.

    Args:
        gone: SHA-256 of the sources that may be gone or replaced: withdrawn, or erased.
    """
    progress.stage("sources", total=len(manifest.sources), unit="files")
    wrong: dict[str, list[str]] = {}
    intact: dict[str, list[Source]] = {}
    excused: list[Source] = []
    for entry in manifest.sources:
        problem = file_problem(folder / entry.source.path, entry.source.sha256)
        if problem is None:
            intact.setdefault(entry.source.sha256, []).append(entry.source)
        elif entry.source.sha256 in gone:
            excused.append(entry.source)
        else:
            wrong.setdefault(problem.partition(":")[0], []).append(entry.source.path)
        progress.advance()
    told = [f"{word}: {named(wrong[word], limit=20)}" for word in sorted(wrong, reverse=True)]
    n_there = len(manifest.sources) - len(excused)
    yield Check("sources", not told, "; ".join(told) or f"{n_there} files are the bytes that were frozen")
    if excused:
        paths = named([one.path for one in excused])
        yield not_looked_at("withdrawn sources", f"not there as they were frozen: {paths}; nor what was quoted of them")
    yield _quotes_check(pack, intact, folder, excused={one.sha256 for one in excused})


def _quotes_check(
    pack: PackContents, intact: dict[str, list[Source]], folder: Path, *, excused: Collection[str]
) -> Check:
    rendered = {sha256 for sha256, copies in intact.items() if any(one.format == _RENDERED for one in copies)}
    left_out = {*rendered, *(one for one in excused if one not in intact)}
    quotes = {sha256: found for sha256, found in _quotes(pack).items() if sha256 not in left_out}
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
    return {sha256: [_quote(key) for key in sorted(keys)] for sha256, keys in pack.quotes.items()}


def _quote(key: bytes) -> _Quote:
    locator, words, masks = json.loads(key)
    return _Quote(Locator.model_validate(locator), words, {} if masks is None else {MASKS: masks})


def _wrong_quotes(copies: list[Source], quotes: list[_Quote], folder: Path) -> Iterator[str]:
    """Quotes that stand in none of the files with these bytes: equal bytes can be read as a mail and as plain text."""
    read: list[tuple[Source, Texts]] = []
    for source in {one.format: one for one in copies}.values():
        try:
            read.append((source, load_texts_guarded(folder / source.path, format=source.format)))
        except InputError as error:
            yield f"{source.path}: {error.what}"
    for quote in quotes:
        problems = [_problem(source, texts, quote) for source, texts in read]
        if None not in problems:
            yield from (problem for problem in problems[:1] if problem)


def _problem(source: Source, texts: Texts, quote: _Quote) -> str | None:
    try:
        exact = resolve_in(texts, quote.locator, where=source.path)
        stands = apply_masks(exact, read_masks(quote.inputs)) == quote.words
    except (InputError, ValueError, TypeError) as error:
        return f"{source.path}, {quote.locator}: {error}"
    return None if stands else f"{source.path}, {quote.locator}"


class WordsAgain(NamedTuple):
    """A place in a source, read again."""

    file: str
    """`as frozen`, or what is wrong with the file."""
    words: str | None = None
    """What stands there after the masks; None where the file or the place cannot be read as text."""


def words_again(copies: list[Source], locator: Locator, inputs: dict[str, str], *, folder: Path) -> WordsAgain:
    """The words at a locator, from the first of some equal files that is there as it was frozen."""
    told = "no source of this manifest"
    for source in copies:
        problem = file_problem(folder / source.path, source.sha256)
        if problem is not None:
            told = problem
            continue
        try:
            texts = load_texts_guarded(folder / source.path, format=source.format)
            exact = resolve_in(texts, locator, where=source.path)
            return WordsAgain("as frozen", apply_masks(exact, read_masks(inputs)))
        except (InputError, ValueError, TypeError):
            told = "as frozen"
    return WordsAgain(told)
