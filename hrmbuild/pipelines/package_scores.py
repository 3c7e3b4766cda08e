"""What scoring has to say when a package is made: is it good enough, and what does the card repeat.

Owns the demands of `package --require` (or `package.require` of the settings) and the card's account of scorings that
this project recorded of these weights. It must not score pairs: it is handed what was scored for the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError
from hrmbuild.evaluation.extraction import Extraction, measure_extraction
from hrmbuild.evaluation.requirements import (
    Clause,
    Verdict,
    check_requirements,
    judge,
    needs_extraction,
    parse_requirements,
)
from hrmbuild.evaluation.scores import Evaluation
from hrmbuild.evaluation.tallies import MODEL
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.packaging.card_facts import CardScoring
from hrmbuild.pipelines.evaluation_report import losses
from hrmbuild.pipelines.progress import Progress
from hrmbuild.pipelines.scorings import EXTRACTION, QUESTIONS, scorings_of
from hrmbuild.records.pair import Pair, Split
from hrmbuild.tokens.tokenizer import TextTokenizer


def package_demands(project: Project, require: str | None) -> tuple[Clause, ...]:
    """What the flag demands, else the settings.

    Raises:
        UsageError: `eval.require_syntax`.
    """
    if require is not None:
        return parse_requirements(require)
    settings = project.config.package
    if settings is None or settings.require is None:
        return ()
    return parse_requirements(settings.require, where=f"{project.config_path.name}: package.require")


def hold_demands(
    clauses: Sequence[Clause],
    model: LanguageModel,
    tokenizer: TextTokenizer,
    *,
    pairs: dict[Split, list[Pair]],
    evaluation: Evaluation | None,
    seed: int,
    shown: Progress,
) -> tuple[Verdict, ...]:
    """Judge the demands on the pairs that were scored for the card.

    Raises:
        UsageError: `eval.require_unknown`.
        AnswerIsNoError: `package.require_failed`, with every demand that does not hold and its figure.
    """
    if not clauses:
        return ()
    if evaluation is None:
        raise AnswerIsNoError("package.require_failed", "something is demanded of the scores, and dev is empty",
                              where="--require", fix="declare more sources, or demand nothing")  # fmt: skip
    rows = [(row.heading, row.name) for row in evaluation.slices]
    columns = [name for name in evaluation.overall.columns if name != MODEL]
    labels = sorted({pair.label for pair in pairs["train"]})
    check_requirements(clauses, rows=rows, columns=columns, labels=labels)
    verdicts = judge(clauses, evaluation, _extraction(clauses, model, tokenizer, pairs=pairs, seed=seed, shown=shown))
    failed = [f"{one.clause} ({_figure(one)})" for one in verdicts if not one.holds]
    if failed:
        raise AnswerIsNoError("package.require_failed", f"this model is not what was demanded: {', '.join(failed)}",
                              where="--require", why="no package was written",
                              fix="train longer or on more, or demand what it can be held to")  # fmt: skip
    return verdicts


def _extraction(
    clauses: Sequence[Clause],
    model: LanguageModel,
    tokenizer: TextTokenizer,
    *,
    pairs: dict[Split, list[Pair]],
    seed: int,
    shown: Progress,
) -> Extraction | None:
    if not needs_extraction(clauses):
        return None
    shown.stage("extraction", total=None, unit="spans and canaries")
    held_out = [*pairs["dev"], *pairs["test"]]
    return measure_extraction(model, tokenizer, pairs["train"], held_out, seed=seed, advance=shown.advance)


def scored_facts(
    project: Project, weights_sha256: str, evaluation: Evaluation | None, verdicts: Sequence[Verdict]
) -> dict[str, Any]:
    """Fields of the card: where other columns are ahead, what was demanded, what `eval` recorded of these weights."""
    return {
        "losses": losses(evaluation) if evaluation is not None else (),
        "demands": tuple(f"{one.clause}: {_figure(one)}" for one in verdicts),
        "scorings": tuple(_scoring(line) for line in scorings_of(project, weights_sha256=weights_sha256)),
    }


def _figure(verdict: Verdict) -> str:
    return "not measured" if verdict.figure is None else f"{verdict.figure:.4g}"


def _scoring(line: dict[str, Any]) -> CardScoring:
    split, interval = line["split"], f"{line.get('low', '0')} to {line.get('high', '1')}"
    if split == EXTRACTION:
        bits = f"; exposure of {line['canaries']} canaries {line['exposure_bits']} bits" if "canaries" in line else ""
        found = f"{line['excess']} above chance{bits}" if "excess" in line else f"no trained span to try{bits}"
        return CardScoring(of="verbatim continuation of trained spans", n=line.get("n", 0), found=found,
                           interval=interval)  # fmt: skip
    of = f"the {split} split"
    if split == QUESTIONS:
        of = f"a validator's questions, file {str(line['questions_sha256'])[:12]}"
    return CardScoring(of=of, n=line["n"], found=f"{line['exact']} exact", interval=interval,
                       losses=tuple(line.get("loses_to", ())))  # fmt: skip
