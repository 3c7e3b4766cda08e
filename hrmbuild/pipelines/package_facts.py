"""What a finished run, its corpus and its scores say on the card and in the receipts.

Owns turning records into words and figures. It must not read files beyond the run's metrics nor invent a number: what
was not measured says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hrmbuild.config.flops import flops_per_token
from hrmbuild.evaluation.scores import Evaluation
from hrmbuild.evaluation.tallies import MODEL, Slice, Tally
from hrmbuild.packaging.card_facts import CardFacts, CardOwner, CardScore, CardTraining
from hrmbuild.packaging.provenance import Materials, Origin
from hrmbuild.pipelines.finished_run import FinishedRun
from hrmbuild.pipelines.identity import code_sha256
from hrmbuild.pipelines.ledger_entries import ENERGY_METHOD, LedgerEntry, totals
from hrmbuild.records.manifest import Manifest

_ON_CARD = ("all", "axis", "rules", "boundary", "stratum")


def card_facts(
    finished: FinishedRun,
    owner: CardOwner,
    manifest: Manifest,
    *,
    evaluation: Evaluation | None,
    n_test_scorings: int,
    n_dev: int,
    costs: Sequence[LedgerEntry] = (),
) -> CardFacts:
    """Everything on the card."""
    return CardFacts(
        owner=owner,
        training=_training(finished, costs),
        manifest=manifest,
        lineage=finished.record.lineage,
        scores_of=_scores_of(evaluation, n_test_scorings, n_dev=n_dev),
        scores=_scores(evaluation),
    )


def _training(finished: FinishedRun, costs: Sequence[LedgerEntry]) -> CardTraining:
    record, result = finished.record, finished.result
    config, machine = record.config, record.machine
    return CardTraining(
        preset=config.preset,
        parameters=record.parameters,
        context_tokens=config.model.context_tokens,
        steps=result.steps,
        batch_tokens=config.batch_tokens,
        start="from scratch" if config.init_weights_sha256 is None else "from given weights",
        learning_rate=f"{config.learning_rate:g} after {config.warm_up_steps:,} steps of linear warm-up, "
        f"{_ending(config.final_lr_fraction)}",
        optimizer=f"Adam-atan2; packaged is the average of the weights (EMA, decay {config.ema_decay:g})",
        seed=config.seed,
        hardware=f"{machine.ranks} x {machine.device}, {machine.threads} threads, {machine.instruction_set}",
        hours=f"{_seconds(finished) / 3600:.2f} h",
        flops=f"{total_flops(finished):.2e} FLOPs (by formula)",
        energy=_energy(costs),
        accepted_insufficient=record.accepted_insufficient,
        final_loss=f"{result.dev.loss:.4f} nats a token" if result.dev else "not measured: the dev split is empty",
    )


def _energy(costs: Sequence[LedgerEntry]) -> str:
    kwh = totals(costs)["energy_kwh"]
    return "not measured" if kwh is None else f"{kwh:.3g} kWh ({ENERGY_METHOD})"


def _ending(final_lr_fraction: float) -> str:
    return "then constant" if final_lr_fraction == 1 else f"then a cosine to {final_lr_fraction:g} of it"


def _seconds(finished: FinishedRun) -> float:
    return sum(float(line["seconds"]) for line in finished.metrics())


def total_flops(finished: FinishedRun) -> float:
    """FLOPs of the whole run by formula, each step at its own depth; the head at every token: an upper bound."""
    config = finished.record.config.model
    keys = finished.record.epoch_tokens / max(1, finished.record.train_pairs)
    per_k: dict[int, float] = {}
    total = 0.0
    for line in finished.metrics():
        k = int(line["k"])
        per_k.setdefault(k, flops_per_token(config, k=k, keys_per_token=keys).total)
        total += per_k[k] * int(line["tokens"])
    return total


def _scores_of(evaluation: Evaluation | None, n_test_scorings: int, *, n_dev: int) -> str:
    times = f"The test split had been scored {n_test_scorings} times in this project when this card was written."
    if evaluation is None and n_dev:
        return f"The machine that packaged has no GPU, so none of the {n_dev} dev pairs was asked. {times}"
    if evaluation is None:
        return f"The dev split of the corpus is empty, so nothing was scored. {times}"
    n = evaluation.overall.columns[MODEL].n
    return (
        f"Share of exactly right answers on {n} pairs of the dev split, drawn by id, one kind of "
        f"question after another (so rare kinds weigh more than their share), never trained on, asked greedily. "
        f"{evaluation.n_too_long} of them do not fit the context and count as wrong. {times}"
    )


def _scores(evaluation: Evaluation | None) -> tuple[CardScore, ...]:
    if evaluation is None:
        return (CardScore(slice="all", n=0, exact="not measured", interval="0 to 1"),)
    return tuple(_score(row) for row in evaluation.slices if row.heading in _ON_CARD)


def _score(row: Slice) -> CardScore:
    model = row.columns[MODEL]
    low, high = model.interval
    return CardScore(
        slice=row.name if row.heading == "all" else f"{row.heading}: {row.name}",
        n=model.n,
        exact=f"{model.exact:.3f}",
        interval=f"{low:.3f} to {high:.3f}",
        baselines={name: _share(tally, model.n) for name, tally in row.columns.items() if name != MODEL},
    )


def _share(tally: Tally, n: int) -> str:
    return f"{tally.exact:.3f}" if tally.n == n else f"{tally.exact:.3f} (of {tally.n})"


def receipts_of(
    finished: FinishedRun, evaluation: Evaluation | None, *, costs: Sequence[LedgerEntry] = ()
) -> dict[str, Any]:
    """Clock, machine and cost: what differs between equal runs.

    Args:
        costs: the run's entries in the ledger, lost steps and interruptions included.
    """
    total = totals(costs)
    return {
        "machine": finished.record.machine.model_dump(mode="json"),
        "seconds": round(_seconds(finished), 3),
        "tokens": sum(int(line["tokens"]) for line in finished.metrics()),
        "tokens_per_s": finished.result.tokens_per_s,
        "flops": f"{total_flops(finished):.4e}",
        "energy_kwh": total["energy_kwh"],
        "energy_method": "not measured" if total["energy_kwh"] is None else ENERGY_METHOD,
        "cost_usd": total["usd"],
        "gpu_hours": total["gpu_hours"] if costs else None,
        "ledger": [entry.as_dict() for entry in costs],
        "dev": [
            {"heading": row.heading, "name": row.name}
            | {column: tally.as_dict() for column, tally in row.columns.items()}
            for row in (evaluation.slices if evaluation else ())
        ],
    }


def origin_of(finished: FinishedRun, manifest: Manifest) -> Origin:
    """What the provenance says went in."""
    record, config = finished.record, finished.record.config
    return Origin(
        materials=Materials(
            corpus_manifest=record.manifest_sha256,
            run_config=record.config_sha256,
            run_metrics=finished.result.metrics_sha256,
            trained_weights=finished.result.ema_sha256,
            packaging_code=code_sha256(),
            corpus_code=manifest.code_sha256,
            initial_weights=config.init_weights_sha256,
            included=tuple(one.manifest_sha256 for one in manifest.includes or ()),
        ),
        parameters={
            "batch_tokens": str(config.batch_tokens),
            "corpus_content_root": config.content_root,
            "learning_rate": repr(config.learning_rate),
            "preset": config.preset,
            "seed": str(config.seed),
            "steps": str(finished.result.steps),
            "tokenizer_sha256": config.tokenizer_sha256,
        },
        tools={"torch": record.machine.torch, "trained_with": record.hrmbuild},
    )
