"""A validator's questions as pairs that are asked and scored like held-out ones.

Owns putting passages and question together by the template of the training pairs, and the check of labels. It must not
answer or score.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, raise_all
from hrmbuild.evaluation.clusters import GROUP
from hrmbuild.evaluation.question_file import QuestionFile, read_questions
from hrmbuild.fingerprint import hash_value
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.prompt import OPEN_BOOK, Passage, open_book_instruction
from hrmbuild.pipelines.identity import project_templates
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Occurrence, Pair
from hrmbuild.records.question import NOT_STATED, ValidatorQuestion

KIND = "questions"


def validator_pairs(project: Project, path: Path, *, label: str) -> tuple[QuestionFile, list[Pair]]:
    """Read a file of questions.

    Args:
        label: of questions that declare none.

    Raises:
        InputError: `eval.questions_unreadable`, `eval.questions_empty`, or `eval.bad_question` for every bad line.
    """
    file = read_questions(path)
    known = project.config.labels
    raise_all([
        InputError("eval.bad_question", f"label: {one.label!r} is none of {', '.join(known)}", where=f"{path}:{line}",
                   fix="take one of the project's labels")
        for line, one in zip(file.lines, file.questions, strict=True)
        if one.label is not None and one.label not in known
    ])  # fmt: skip
    templates = project_templates(project)
    numbered = zip(file.lines, file.questions, strict=True)
    return file, [_pair(file, one, line=line, label=one.label or label, templates=templates) for line, one in numbered]


def also_trained(pairs: Sequence[Pair], train: Sequence[Pair]) -> int:
    """Questions that stand word for word in the training pairs: these say nothing about new ones."""
    trained = {" ".join(pair.instruction.split()) for pair in train}
    return sum(" ".join(pair.instruction.split()) in trained for pair in pairs)


def _pair(file: QuestionFile, one: ValidatorQuestion, *, line: int, label: str, templates: Templates) -> Pair:
    passages = [Passage(shown.title, unicodedata.normalize("NFC", shown.text)) for shown in one.passages]
    instruction = one.instruction or open_book_instruction(templates, passages=passages, question=one.question or "")
    identity = hash_value([KIND, file.sha256, one.id])
    evidence = [
        Occurrence(
            source_sha256=file.sha256,
            locator=Locator(line_from=line),
            text=text,
            template_sha256=templates.sha256(OPEN_BOOK),
            inputs={GROUP: one.group or one.id},
        )
        for text in dict.fromkeys([passage.text for passage in passages] or [""])
    ]
    return Pair(
        id=identity,
        instruction=unicodedata.normalize("NFC", instruction),
        response=one.expected or NOT_STATED,
        condition=one.condition,
        kind=f"{KIND}.{one.type}",
        stratum=KIND,
        split="test",
        book="open" if one.passages or one.instruction else "closed",
        derivation="written_by_person",
        answer=one.answer(),
        content_key=identity,
        label=label,
        occurrences=tuple(evidence),
    )
