"""Questions that a document asks and answers itself: headings that ask, and `Q:` followed by `A:`.

Owns what counts as such a question and which words are the answer: under a heading the first paragraph's first
sentence, where it can stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from hrmbuild.pairs.clauses import PARTS, Clause
from hrmbuild.pairs.sentences import Sentence
from hrmbuild.pairs.spans import without_marks
from hrmbuild.records.document import Document

_ASKS = re.compile(
    r"^(?:\d+[.)]\s*)?(?:what|who|when|where|why|how|which|do|does|is|are|can|may|must|should|will)\b.{6,120}\?$", re.I
)
_LEANS = re.compile(
    r"^(?:it|this|that|these|those|they|he|she|however|also|but|and|so|then|for example|in addition|see|note)\b|^\W",
    re.I,
)
"""A sentence that starts so leans on one before it."""


def heading_answers(document: Document, clauses: Sequence[Clause]) -> Iterator[tuple[Clause, Sentence, str]]:
    """(clause, the sentence that answers, the question) for each heading that asks and is answered at once."""
    by_order = {clause.piece.order: clause for clause in clauses}
    for order, block in enumerate(document.blocks[:-1]):
        question = without_marks(block.text).strip(" #*_")
        clause = by_order.get((order + 1) * PARTS)
        if block.kind != "heading" or clause is None or not _ASKS.match(question):
            continue
        if clause.block.kind == "paragraph" and clause.sentences and _answers(clause.sentences[0]):
            yield clause, clause.sentences[0], question


def _answers(sentence: Sentence) -> bool:
    n_bytes = len(sentence.text.encode())
    return 25 <= n_bytes <= 260 and sentence.text.endswith((".", "!")) and not _LEANS.match(sentence.text)


_QUESTION = re.compile(r"^(?:Q|Question)\s*[:.]\s*(?P<words>.{6,160}\?)$")
_ANSWER = re.compile(r"^(?:A|Answer)\s*[:.]\s*(?P<words>.{10,260}[.!])$")


def written_answers(clauses: Sequence[Clause]) -> Iterator[tuple[Clause, Sentence, str, str]]:
    """(clause, sentence with the answer, question, answer) for each `Q: ...` that `A: ...` follows at once."""
    flow = [(clause, sentence) for clause in clauses for sentence in clause.sentences]
    for (_, asked), (clause, sentence) in pairwise(flow):
        question, answer = _QUESTION.match(asked.text), _ANSWER.match(sentence.text)
        if question and answer:
            yield clause, sentence, question["words"], answer["words"]
