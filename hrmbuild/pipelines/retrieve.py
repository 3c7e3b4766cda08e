"""From a question and a corpus to an instruction: the passages that a role may read, ranked, in the form of the pairs.

Owns the order of things: what may be read leaves the database, is ranked, and is shown as far as the context goes. A
passage out of reach is never in memory here, so it reaches no prompt, no log and no score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from hrmbuild.assets import asset_folder
from hrmbuild.config.loading import find_config, load_project
from hrmbuild.errors import AnswerIsNoError, InputError
from hrmbuild.pairs.draft import Piece, join_pieces
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.prompt import OPEN_BOOK, Passage, open_book_instruction
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.records.package import PackageManifest
from hrmbuild.records.passage import SourcePassage
from hrmbuild.retrieval.ranking import Found, Ranking
from hrmbuild.store.corpus import Corpus

SHOWN_PASSAGES = 3
"""Pairs show the deciding piece and one to three others; more would be another task than the one that was trained."""

Fits = Callable[[str], bool]
"""Whether an instruction leaves the model room for an answer."""


@dataclass(frozen=True)
class Shown:
    """An instruction and the passages in it."""

    instruction: str
    used: tuple[Found, ...]
    """Best first."""

    def sources(self) -> list[dict[str, Any]]:
        """The passages as `ask --json` lists them."""
        return [
            {
                "path": one.passage.passage.path,
                "place": str(one.passage.passage.locator),
                "locator": one.passage.passage.locator.canonical(),
                "source_sha256": one.passage.passage.source_sha256,
                "label": one.passage.label,
                "score": round(one.score, 4),
            }
            for one in self.used
        ]


class Library:
    """What one role may read of a corpus, ready to be asked."""

    def __init__(
        self, corpus: Path, labels: Sequence[str], *, templates: Templates, most: int = SHOWN_PASSAGES
    ) -> None:
        """Read and index the passages.

        Raises:
            InputError: the corpus cannot be opened, or keeps no passages.
        """
        with Corpus.open(corpus, read_only=True) as opened:
            self._ranking = Ranking(opened.passages(labels))
        self._templates, self._most, self._where = templates, most, corpus

    def show(self, question: str, fits: Fits) -> Shown:
        """The question behind the best passages; the last ones go where the whole would not fit.

        Raises:
            AnswerIsNoError: `ask.nothing_found`: no passage that may be read shares a word with the question, or not
                even the best one fits.
        """
        found = self._ranking.best(question, self._most)
        for n in range(len(found), 0, -1):
            instruction = open_book_instruction(self._templates, passages=_passages(found[:n]), question=question)
            if fits(instruction):
                return Shown(instruction, tuple(found[:n]))
        raise AnswerIsNoError(
            "ask.nothing_found",
            "no passage that this role may read fits the question" if not found else "no passage leaves room to answer",
            where=str(self._where),
            why="a model of this kind applies a text that stands before it; without one it would guess",
            fix="ask in the words of the documents, or put the deciding text into the question",
        )


def asking_templates() -> Templates:
    """The templates of the project around the working folder, else the built-in ones."""
    config = find_config(Path.cwd())
    return project_templates(load_project(config)) if config else Templates([asset_folder("templates")])


def check_prompt_template(manifest: PackageManifest, templates: Templates) -> None:
    """Refuse another form than the one that the model was trained on.

    Raises:
        InputError: `ask.prompt_differs`.
    """
    if templates.sha256(OPEN_BOOK) != manifest.prompt_template_sha256:
        raise InputError(
            "ask.prompt_differs",
            f"{OPEN_BOOK} is not the template that the package was trained with",
            fix="use the release and the templates folder that made the package",
        )


def _passages(found: Sequence[Found]) -> list[Passage]:
    """One passage a file, in the order of each file's best piece; its pieces in the order of the file."""
    ranks = {one.passage.passage.path: rank for rank, one in reversed(list(enumerate(found)))}
    pieces = sorted(
        (one.passage.passage for one in found), key=lambda p: (ranks[p.path], p.path, p.title or "", p.order)
    )
    return [
        Passage(title, join_pieces([_piece(one) for one in group]))
        for (_, title), group in groupby(pieces, key=lambda p: (p.path, p.title))
    ]


def _piece(passage: SourcePassage) -> Piece:
    return Piece(passage.order, passage.text, passage.heading)
