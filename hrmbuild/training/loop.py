"""The loop: one update after another, evaluated and saved on the way, exact to the bit from any step on.

Owns the order of things inside a step and between steps. It alone scales the loss: the sum over a rank's bins, times
the number of ranks (data-parallel wrappers average), divided by the response tokens of the whole step over all ranks.
It must not know sources, texts or packages. Source: arXiv 2605.20613, "Training details".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hrmbuild.errors import AnswerIsNoError
from hrmbuild.model.attention import AttentionBackend
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.records.run import DevScore, Machine, RunConfig, RunResult
from hrmbuild.tokens.batch import Int64s
from hrmbuild.tokens.files import TokenData
from hrmbuild.training.agreement import any_of_each, on_main, raise_together
from hrmbuild.training.checkpoint import SavedFacts, folder_of, newest_checkpoint, read_state
from hrmbuild.training.dev_loss import dev_loss, dev_pairs
from hrmbuild.training.feed import Feed, StepBatch
from hrmbuild.training.interrupt import InterruptedRunError, Signals
from hrmbuild.training.loss_plot import write_loss_plot
from hrmbuild.training.machine import plain_blocks
from hrmbuild.training.memory import keep_freed_memory
from hrmbuild.training.metrics import CHAIN_START, MetricsFile, StepFacts, StepTimes, cut_back, read_metrics
from hrmbuild.training.optimizer import AdamAtan2
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.schedules import backprop_depth, learning_rate
from hrmbuild.training.state import TrainState, restore, restore_rng

Score = Callable[[LanguageModel, int], Mapping[str, float]]
"""(model with averaged weights, step) -> `exact`, the share of right answers, and `n`, how many were asked."""

CHECKPOINT_INTERVAL_S = 900.0
"""A checkpoint at least this often on long runs: what a crash may cost. It changes no number of the run."""


class Report(Protocol):
    """Where the loop tells what happens; `pipelines.progress.Progress` fits."""

    def advance(self, n: int = 1, *, note: str = "") -> None:
        """`n` more steps are done."""
        ...

    def message(self, text: str) -> None:
        """One line that stays."""
        ...


@dataclass(frozen=True)
class Run:
    """What stays the same over a run."""

    config: RunConfig
    config_sha256: str
    data: TokenData
    folder: RunFolder
    ranks: Ranks
    machine: Machine
    repeats: Int64s | None
    """[n_pairs of train] how often a pair stands in an epoch; None: once each."""
    score: Score | None
    report: Report
    saved_every_s: float = CHECKPOINT_INTERVAL_S
    """A checkpoint by the clock where none by step came in between."""
    stop_on_spike: float | None = None
    """Stop before an update whose loss is above this many times the median of the last 100; None: never."""


def new_state(config: RunConfig, model: LanguageModel) -> TrainState:
    """The optimizer around a model whose weights stand."""
    optimizer = AdamAtan2(model.parameters(), lr=config.learning_rate, ema_decay=config.ema_decay)
    return TrainState(model, optimizer)


def train(run: Run, model: LanguageModel) -> RunResult:
    """Train to the last step, from the newest good checkpoint of the folder or from `model` as it is.

    Raises:
        InterruptedRunError: a signal came; the state after the last finished step is saved.
        AnswerIsNoError: `train.not_finite`; the state before that update is saved.
        InputError: the disk is full, or the record of the run was altered.
    """
    keep_freed_memory()
    module = run.ranks.wrap(model, sharded=run.machine.sharding == "fsdp")
    state = new_state(run.config, model)
    lines, chain = _resume(run, state)
    run.report.advance(state.step)
    metrics = MetricsFile(run.folder.metrics, chain=chain)
    try:
        with Signals() as signals:
            _Loop(run, state, module=module, metrics=metrics, signals=signals, lines=lines).go()
    finally:
        metrics.close()
    return _finish(run, state)


def _resume(run: Run, state: TrainState) -> tuple[list[dict], str]:
    """Restore the newest good checkpoint, if any; the metrics up to it, and their chain."""
    found = newest_checkpoint(
        run.folder.checkpoints, config_sha256=run.config_sha256, tell=run.report.message, ranks=run.ranks
    )
    step, chain = (0, CHAIN_START) if found is None else (found.state.step, found.state.metrics_sha256)
    if found is not None:
        restore(state, found.weights, ema=found.ema, moments=found.moments, ranks=run.ranks)
        restore_rng(found.rng(run.ranks.index), run.ranks.device)
        state.step = step
    run.ranks.wait()
    lines = cut_back(run.folder.metrics, step=step, chain=chain) if run.ranks.is_main else []
    return lines, chain


class _Loop:
    """The live objects of a run and what is done with them at each step."""

    def __init__(
        self,
        run: Run,
        state: TrainState,
        *,
        module: torch.nn.Module,
        metrics: MetricsFile,
        signals: Signals,
        lines: list[dict],
    ) -> None:
        self._run, self._state, self._module = run, state, module
        self._metrics, self._signals = metrics, signals
        self._started_at_s = self._saved_at_s = time.monotonic()
        self._feed = Feed(
            run.data.splits["train"], run.config, repeats=run.repeats, ranks=run.ranks, backend=run.machine.attention
        )
        self._dev_pairs = dev_pairs(
            run.data.splits["dev"],
            n=run.config.eval_pairs,
            seed=run.config.seed,
            context_tokens=run.config.model.context_tokens,
        )

    def go(self) -> None:
        """All remaining steps."""
        began_at_s = time.monotonic()
        for batch in self._feed.steps(self._state.step):
            facts, times = self._update(batch, began_at_s)
            due = self._state.step % self._run.config.eval_every_steps == 0 or self._is_last
            if due:
                with plain_blocks(self._state.model):
                    facts = facts.model_copy(update={"dev": self._evaluate()})
            self._record(facts, times, plot=due)
            self._save_if_due(facts.k)
            began_at_s = time.monotonic()

    @property
    def _is_last(self) -> bool:
        return self._state.step == self._run.config.steps

    def _update(self, batch: StepBatch, began_at_s: float) -> tuple[StepFacts, StepTimes]:
        """One optimizer step; the state's step counts it."""
        config, state = self._run.config, self._state
        k = min(backprop_depth(state.step, config.steps), config.model.n_applications)
        lr = learning_rate(
            state.step,
            config.steps,
            peak=config.learning_rate,
            warm_up=config.warm_up_steps,
            final_ratio=config.final_lr_fraction,
        )
        computing_at_s = time.monotonic()
        loss, correct = self._gradients(batch, k)
        computed_at_s = time.monotonic()
        grad_norm = self._run.ranks.norm([p.grad for p in state.model.parameters() if p.grad is not None])
        self._refuse_not_finite(loss, grad_norm, k=k)
        state.optimizer.param_groups[0]["lr"] = lr
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        facts = StepFacts(
            step=state.step,
            epoch=batch.epoch,
            k=k,
            lr=lr,
            loss=loss,
            grad_norm=grad_norm,
            correct=correct,
            response_tokens=batch.response_tokens,
            tokens=batch.tokens,
            batch=batch.digest,
        )
        return facts, self._times(batch, began_at_s, computing_s=computed_at_s - computing_at_s)

    def _gradients(self, batch: StepBatch, k: int) -> tuple[float, int]:
        """Forward and backward of this rank's bins; loss and right tokens of the whole step."""
        ranks = self._run.ranks
        sums: list[Tensor] = []
        for number, micro in enumerate(batch.micro_batches):
            with ranks.accumulate(self._module, last=number == len(batch.micro_batches) - 1):
                loss = self._module(micro.token_ids, micro.labels, micro.layout, k)
                (loss.loss_sum * (ranks.count / batch.response_tokens)).backward()
            sums.append(torch.stack((loss.loss_sum.detach().double(), loss.n_correct.double())))
        ranks.release(self._state.model)
        loss_sum, correct = ranks.total(torch.stack(sums).sum(dim=0)).tolist()
        return loss_sum / batch.response_tokens, int(correct)

    def _refuse_not_finite(self, loss: float, grad_norm: float, *, k: int) -> None:
        """Stop before an update that would spoil the weights; every rank sees the same numbers."""
        if loss - loss == 0 and grad_norm - grad_norm == 0:
            return
        self._save(k)
        raise AnswerIsNoError(
            "train.not_finite",
            f"the loss of step {self._state.step + 1} is {loss}, its gradient's norm {grad_norm}: no update was made",
            where=str(self._run.folder.path),
            why=f"the state after step {self._state.step} is saved; going on from it would end here again",
            fix="train again with a smaller train.learning_rate, or with train.dtype: float32",
        )

    def _times(self, batch: StepBatch, began_at_s: float, *, computing_s: float) -> StepTimes:
        now_s = time.monotonic()
        seconds = now_s - began_at_s
        on_gpu = self._run.ranks.device.type == "cuda"
        return StepTimes(
            tokens_per_s=round(batch.tokens / seconds, 1),
            seconds=round(seconds, 6),
            outside_s=round(seconds - computing_s, 6),
            elapsed_s=round(now_s - self._started_at_s, 3),
            peak_mib=round(torch.cuda.max_memory_allocated() / 2**20, 1) if on_gpu else None,
        )

    def _evaluate(self) -> DevScore | None:
        """Held-out loss and exact match by the averaged weights, which are put back afterwards."""
        run, model = self._run, self._state.model
        self._state.optimizer.swap_ema()
        try:
            found = dev_loss(
                model,
                run.data.splits["dev"],
                self._dev_pairs,
                bin_tokens=run.config.batch_tokens // run.config.bins,
                backend=AttentionBackend(run.machine.attention),
            )
            if found is None or run.score is None:
                return found
            scored = run.score(model, self._state.step)
            return found.model_copy(update={"exact": float(scored["exact"]), "n_pairs": int(scored["n"])})
        finally:
            run.ranks.release(model)
            self._state.optimizer.swap_ema()

    def _record(self, facts: StepFacts, times: StepTimes, *, plot: bool) -> None:
        run = self._run
        if run.ranks.is_main:
            self._metrics.append(facts, times)
            run.report.advance(1, note=f"loss {facts.loss:.3f}  k {facts.k}  {times.tokens_per_s:,.0f} tok/s")
        if facts.dev is not None and run.ranks.is_main:
            run.report.message(_dev_line(facts.step, facts.dev))
        if plot and run.ranks.is_main:
            write_loss_plot(run.folder.loss_svg, read_metrics(run.folder.metrics), title=_title(run.config))

    def _save_if_due(self, k: int) -> None:
        stop = self._run.ranks.any(self._signals.status is not None)
        late = self._run.ranks.any(time.monotonic() - self._saved_at_s > CHECKPOINT_INTERVAL_S)
        if stop or late or self._is_last or self._state.step % self._run.config.checkpoint_every_steps == 0:
            self._save(k)
        if stop and not self._is_last:
            raise InterruptedRunError(
                self._signals.status or 143, run=str(self._run.folder.path), step=self._state.step
            )

    def _save(self, k: int) -> None:
        run = self._run
        if run.ranks.is_main:
            self._metrics.sync()
        facts = SavedFacts(run.config, k, metrics_sha256=self._metrics.chain, keep=run.config.keep_checkpoints)
        save_checkpoint(run.folder.checkpoints, self._state, facts, ranks=run.ranks)
        self._saved_at_s = time.monotonic()


def _title(config: RunConfig) -> str:
    return f"{config.preset}, corpus {config.content_root[:12]}"


def _dev_line(step: int, dev: DevScore) -> str:
    exact = "" if dev.exact is None else f", exact {dev.exact:.1%} of {dev.n_pairs}"
    return f"step {step}: held-out loss {dev.loss:.3f}{exact}"


def _finish(run: Run, state: TrainState) -> RunResult:
    """The result, its digests as the last checkpoint states them: with sharded weights no rank could make them."""
    saved = read_state(run.folder.checkpoints / folder_of(state.step))
    lines = read_metrics(run.folder.metrics)
    seconds = sum(line["seconds"] for line in lines)
    result = RunResult(
        steps=state.step,
        loss=lines[-1]["loss"],
        dev=DevScore(**lines[-1]["dev"]) if "dev" in lines[-1] else None,
        tokens_per_s=round(sum(line["tokens"] for line in lines) / seconds, 1),
        checkpoint=folder_of(state.step),
        weights_sha256=saved.weights_sha256,
        ema_sha256=saved.ema_sha256,
        metrics_sha256=saved.metrics_sha256,
    )
    if run.ranks.is_main:
        run.folder.write_result(result)
    return result
