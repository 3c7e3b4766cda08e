"""What `eval` found: the table, what stands beside it, and the keys of `--json`.

Owns the shape. It must not measure. No text of a question or an answer stands in it but the examples, and those only up
to the label that was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.evaluation.examples import Example
from hrmbuild.evaluation.extraction import Extraction
from hrmbuild.evaluation.requirements import Verdict
from hrmbuild.evaluation.scores import Evaluation
from hrmbuild.evaluation.tallies import HEADINGS, MODEL, Slice
from hrmbuild.pipelines.extracted_facts import Extracted

LOSING_HEADINGS = ("all", "axis", "new", "stratum")
"""Rows in which a column that is ahead is named: on the card, in the report."""


@dataclass(frozen=True)
class ModelCost:
    """One model that was asked, and what its answers took."""

    name: str
    what: str
    """`package, hrm`, `run, transformer`, `folder`; of the engine with extracted facts: who says what."""
    parameters: int
    training_flops: float | None
    same_corpus: bool | None
    seconds: float
    n: int
    too_long: int
    """Questions whose prompt leaves no room in its context: they count as wrong."""
    usd_per_hour: float | None

    @property
    def seconds_per_1000(self) -> float:
        """Time for 1,000 answers, asked in batches as here."""
        return 1000 * self.seconds / self.n if self.n else 0.0

    @property
    def usd_per_1000(self) -> float | None:
        """Price of that time; None where nobody set a price."""
        return None if self.usd_per_hour is None else self.seconds_per_1000 * self.usd_per_hour / 3600

    def as_dict(self) -> dict[str, Any]:
        """As `--json` shows it."""
        usd = self.usd_per_1000
        return {
            **{key: value for key, value in vars(self).items() if key not in ("seconds", "usd_per_hour")},
            "seconds_per_1000": round(self.seconds_per_1000, 3),
            "usd_per_1000": None if usd is None else round(usd, 6),
        }


@dataclass(frozen=True)
class EvaluationReport:
    """The table, and some questions to read."""

    package: Path
    name: str
    """Name and version of the package."""
    label: str
    """Highest label of what it was trained on."""
    split: str
    """`dev`, `test` or `questions`."""
    questions_sha256: str | None
    """Of the validator's file."""
    n_held_out: int
    """Pairs of the split, or questions of the file; `n` of them were drawn and asked."""
    evaluation: Evaluation
    examples: tuple[Example, ...]
    examples_label: str
    """Examples are of no higher label."""
    n_scorings: int
    """How often this split of this corpus, or this file, has been scored in this project, this time included."""
    n_test_scorings: int
    """How often the test split was, whatever was scored now."""
    models: tuple[ModelCost, ...]
    """The package first, then what it was held against."""
    notes: tuple[str, ...]
    """What a reader of the table must know: a baseline that is missing, questions that stand in training."""
    extraction: Extraction | None
    verdicts: tuple[Verdict, ...]
    seconds: float
    written: Path | None = None
    """The HTML report."""
    facts: Extracted | None = None
    """What came of asking the model for the facts of cases; None where its corpus does not teach that."""

    @property
    def holds(self) -> bool:
        """Whether every demand holds; True where there is none."""
        return all(verdict.holds for verdict in self.verdicts)

    @property
    def columns(self) -> list[str]:
        """Who answered: the model first, then the baselines in their order."""
        return list(self.evaluation.overall.columns)

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Rows of the table."""
        return self.evaluation.slices

    @property
    def losses(self) -> tuple[str, ...]:
        """Where another column is ahead beyond doubt, by name."""
        return losses(self.evaluation)

    def as_dict(self) -> dict[str, Any]:
        """The keys of `eval --json`."""
        found = self.evaluation
        overall = found.overall.columns[MODEL]
        optional = {
            "questions_sha256": self.questions_sha256,
            "extraction": self.extraction and self.extraction.as_dict(),
            "facts": self.facts and self.facts.as_dict(),
            "report": self.written and str(self.written),
        }
        return {
            "package": str(self.package),
            "split": self.split,
            "n_held_out": self.n_held_out,
            **overall.as_dict(),
            "f1": dict(zip(("mean", "low", "high"), (round(x, 4) for x in found.mean_f1()), strict=True)),
            "too_long": found.n_too_long,
            **{f"by_{heading}": self._by(heading) for heading in HEADINGS[1:]},
            "baselines": {name: tally.as_dict() for name, tally in found.overall.columns.items() if name != MODEL},
            "leads": {name: lead.as_dict() for name, lead in found.overall.leads.items()},
            "loses_to": list(self.losses),
            "abstention": found.abstention.as_dict(),
            "models": [model.as_dict() for model in self.models],
            "examples": [example.as_dict() for example in self.examples],
            "scorings": self.n_scorings,
            "test_scorings": self.n_test_scorings,
            "require": [verdict.as_dict() for verdict in self.verdicts],
            "holds": self.holds,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        } | {key: value for key, value in optional.items() if value is not None}

    def _by(self, heading: str) -> dict[str, dict[str, Any]]:
        return {
            row.name: {column: tally.as_dict() for column, tally in row.columns.items()}
            for row in self.slices
            if row.heading == heading
        }


def losses(evaluation: Evaluation) -> tuple[str, ...]:
    """Where another column is ahead beyond the interval of the difference: one sentence a column, all its rows."""
    found: dict[str, list[str]] = {}
    for row in evaluation.slices:
        if row.heading not in LOSING_HEADINGS:
            continue
        for name, lead in row.leads.items():
            if row.loses_to(name):
                place = "all questions" if row.heading == "all" else f"{row.heading}: {row.name}"
                points = f"{-100 * lead.mean:.0f} points, {-100 * lead.high:.0f} to {-100 * lead.low:.0f}, n {lead.n}"
                found.setdefault(name, []).append(f"{place} ({points})")
    return tuple(f"{name} on {'; '.join(rows)}" for name, rows in found.items())
