"""`hrmbuild eval`: a package on held-out pairs of its own corpus, beside answers that need no model.

Owns joining package, manifest and scores, and the count of how often a split was looked at. It must not score anything
itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, UsageError
from hrmbuild.evaluation.baselines import baselines_from
from hrmbuild.evaluation.examples import Example, examples_for_demo
from hrmbuild.evaluation.questions import drawn_pairs
from hrmbuild.evaluation.scores import Evaluation, evaluate
from hrmbuild.evaluation.tallies import MODEL, Slice
from hrmbuild.inference.load import load_package
from hrmbuild.packaging.verify import read_package_manifest
from hrmbuild.pipelines.ask import newest_package
from hrmbuild.pipelines.frozen_corpus import frozen_folder, frozen_pairs
from hrmbuild.pipelines.progress import Progress, SilentProgress
from hrmbuild.pipelines.scorings import n_scorings, record_scoring
from hrmbuild.records.pair import Split

MOST_PAIRS = 1200
"""Pairs asked by default: a share of 0.9 on a fourth of them is known to about 3.5 points."""


@dataclass(frozen=True)
class EvaluationReport:
    """The table, and some questions to read."""

    package: Path
    split: Split
    n_held_out: int
    """Pairs of the split; `n` of them were drawn and asked."""
    evaluation: Evaluation
    f1: tuple[float, float, float]
    """Mean token F1 with its 95 % interval."""
    examples: tuple[Example, ...]
    n_scorings: int
    """How often this split of this corpus has been scored in this project, this time included."""
    seconds: float

    @property
    def columns(self) -> list[str]:
        """Who answered: the model first, then the baselines in their order."""
        return list(self.evaluation.overall.columns)

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Rows of the table."""
        return self.evaluation.slices

    def as_dict(self) -> dict[str, Any]:
        """The keys of `eval --json`."""
        overall = self.evaluation.overall.columns[MODEL]
        return {
            "package": str(self.package),
            "split": self.split,
            "n_held_out": self.n_held_out,
            **overall.as_dict(),
            "f1": dict(zip(("mean", "low", "high"), (round(x, 4) for x in self.f1), strict=True)),
            "too_long": self.evaluation.n_too_long,
            **{f"by_{heading}": self._by(heading) for heading in ("axis", "stratum", "kind", "rules", "boundary")},
            "baselines": {
                name: tally.as_dict() for name, tally in self.evaluation.overall.columns.items() if name != MODEL
            },
            "examples": [example.as_dict() for example in self.examples],
            "scorings": self.n_scorings,
            "seconds": round(self.seconds, 3),
        }

    def _by(self, heading: str) -> dict[str, dict[str, Any]]:
        return {
            row.name: {column: tally.as_dict() for column, tally in row.columns.items()}
            for row in self.slices
            if row.heading == heading
        }


def evaluate_package(
    project: Project,
    *,
    package: Path | None = None,
    split: Split = "dev",
    show: int = 0,
    most: int = MOST_PAIRS,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Score a package on held-out pairs.

    Args:
        package: its folder; absent: the newest of the project.
        split: dev or test; each scoring is counted and enters later cards.
        show: how many questions to keep for reading.
        most: pairs to ask at most, drawn by id, axes and families of kinds in turn.

    Raises:
        UsageError: `ask.no_package`, `eval.unknown_split`.
        InputError: the package or its manifest is missing or altered.
        AnswerIsNoError: `eval.no_pairs`: the split is empty.
    """
    if split not in ("dev", "test"):
        raise UsageError("eval.unknown_split", f"{split!r} is no held-out split", where="--split",
                         fix="take dev or test")  # fmt: skip
    shown, started_at_s = progress or SilentProgress(), time.monotonic()
    folder = package or newest_package(project)
    manifest = read_package_manifest(folder)
    pairs = frozen_pairs(frozen_folder(project, manifest.corpus_manifest_sha256), "train", split)
    chosen = drawn_pairs(pairs[split], n=most, seed=project.config.seed)
    if not chosen:
        raise AnswerIsNoError("eval.no_pairs", f"the {split} split of this corpus is empty", where=str(folder),
                              fix="declare more sources, or score the other split")  # fmt: skip
    loaded = load_package(folder)
    shown.stage(f"score {split}", total=2 * len(chosen), unit="answers")
    evaluation = evaluate(
        loaded.model, loaded.tokenizer, chosen, baselines=baselines_from(pairs["train"]), advance=shown.advance
    )
    overall = evaluation.overall.columns[MODEL]
    line = {"corpus": manifest.corpus_content_root, "package": manifest.content_root, "split": split}
    record_scoring(project, line | {"n": overall.n, "exact": f"{overall.exact:.4f}"})
    return EvaluationReport(
        folder,
        split,
        len(pairs[split]),
        evaluation,
        evaluation.mean_f1(),
        examples_for_demo(evaluation.answered, show, seed=project.config.seed),
        n_scorings(project, corpus_content_root=manifest.corpus_content_root, split=split),
        time.monotonic() - started_at_s,
    )
