"""A question of an independent validator: what is shown, what is asked, and the typed answer that is expected.

Owns the shape, format 1: one JSON object a line, or one row of a CSV file with the same names. It must not know models.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from hrmbuild.records.base import DecimalText, Noun
from hrmbuild.records.pair import Answer, Condition

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
QuestionType = Literal["exact", "number", "choice", "f1", "abstain"]
NOT_STATED = "not stated"
"""What an abstention expects where nothing else is said; any opening that declines passes for it."""


class ShownText(Noun):
    """One passage that stands before the question."""

    text: Words
    title: Words | None = None


class ValidatorQuestion(Noun):
    """One question."""

    id: Words
    """Unique in the file."""
    group: Words | None = None
    """Questions that hang together (variants of one scenario, one document): they are one cluster of the interval.
    Absent: the question stands alone."""
    instruction: Words | None = None
    """The whole prompt as it is asked; or `question` with `passages`."""
    question: Words | None = None
    """The question, put below its passages by the template that the training pairs were made with."""
    passages: tuple[ShownText, ...] = ()
    """What is shown with the question; a bare text is a passage without a title."""
    type: QuestionType
    """`exact`: the same words; `number`: within `tolerance`, exact by decimals; `choice`: one of `choices`; `f1`:
    overlap of words, 0 to 1; `abstain`: nothing shown answers it, and the model should say so."""
    expected: Words | None = None
    """The answer; a number as a plain decimal. Only `abstain` may leave it out."""
    choices: tuple[Words, ...] = ()
    """The possible answers of a choice, the expected one among them."""
    tolerance: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?%?$")] | None = None
    """Largest accepted difference of a number: `0.5`, or `1%` of the expected value. Absent: none."""
    unit: Words | None = None
    """Unit of a number: a different one in the response is wrong, none at all is forgiven."""
    condition: Condition = "direct"
    label: Words | None = None
    """Sensitivity of the question, one of the project's labels; absent: that of the package."""

    @model_validator(mode="after")
    def _is_asked_in_one_way(self) -> ValidatorQuestion:
        if (self.instruction is None) == (self.question is None):
            raise ValueError("a question has either 'instruction' or 'question'")
        if self.instruction is not None and self.passages:
            raise ValueError("'passages' go with 'question'; 'instruction' is the whole prompt")
        return self

    @model_validator(mode="after")
    def _answer_fits_its_type(self) -> ValidatorQuestion:
        if self.type != "abstain" and self.expected is None:
            raise ValueError(f"type {self.type} needs 'expected'")
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("'choices' belong to type choice, and it needs them")
        if self.choices and (self.expected not in self.choices or len(set(self.choices)) != len(self.choices)):
            raise ValueError("'expected' is none of 'choices', or a choice stands there twice")
        if self.type != "number" and (self.tolerance is not None or self.unit is not None):
            raise ValueError("'tolerance' and 'unit' belong to type number")
        if self.type == "number":
            _NumberText.model_validate({"value": self.expected})
        return self

    def answer(self) -> Answer:
        """The typed answer as scores read it."""
        match self.type:
            case "number":
                return Answer(type="number", value=self.expected or "", unit=self.unit, tolerance=self._tolerance())
            case "choice":
                return Answer(type="choice", value=self.expected or "", choices=self.choices)
            case "abstain":
                return Answer(type="absent", value=self.expected or NOT_STATED)
            case _:
                return Answer(type="text", value=self.expected or "")

    def _tolerance(self) -> str | None:
        if self.tolerance is None or not self.tolerance.endswith("%"):
            return self.tolerance
        return f"{abs(Decimal(self.expected or '0')) * Decimal(self.tolerance[:-1]) / 100:f}"


class _NumberText(Noun):
    value: DecimalText = Field(description="a plain decimal such as -12.50")
