"""The loop: one update after another, evaluated and saved on the way, exact to the bit from any step on.

Owns the order of things inside a step and between steps. It alone scales the loss: the sum over a rank's bins, times
the number of ranks (data-parallel wrappers average), divided by the response tokens of the whole step over all ranks.
It must not know sources, texts or packages. Source: arXiv 2605.20613, "Training details".
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from hrmbuild.errors import HrmbuildError
from hrmbuild.model.attention import AttentionBackend
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.records.run import DevScore, Machine, RunConfig, RunResult
from hrmbuild.tokens.files import TokenData
from hrmbuild.tokens.mix import Repeats
from hrmbuild.training.agreement import any_of_each, on_main, raise_together
from hrmbuild.training.checkpoint import SavedFacts, newest_checkpoint, read_state
from hrmbuild.training.dev_loss import dev_loss, dev_pairs
from hrmbuild.training.feed import Feed, StepBatch
from hrmbuild.training.interrupt import ENDED, INTERRUPTED, InterruptedRunError, Signals
from hrmbuild.training.machine import plain_blocks
from hrmbuild.training.memory import keep_freed_memory
from hrmbuild.training.metrics import CHAIN_START, MetricsFile, StepFacts, StepTimes, cut_back, read_metrics
from hrmbuild.training.optimizer import AdamAtan2
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.refusals import SPIKE_WINDOW, LossGuard, stopped_by
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.saver import Saver
from hrmbuild.training.schedules import backprop_depth, learning_rate
from hrmbuild.training.state import TrainState, restore, restore_rng
from hrmbuild.training.step_folders import folder_of
from hrmbuild.training.watch import NOT_WATCHED, NoWatch, Report, Watch, Watching

Score = Callable[[LanguageModel, int], Mapping[str, float]]
"""(model with averaged weights, step) -> `exact`, the share of right answers, and `n`, how many were asked."""

CHECKPOINT_INTERVAL_S = 900.0
"""A checkpoint at least this often on long runs: what a crash may cost. It changes no number of the run."""


@dataclass(frozen=True)
class Run:
    """What stays the same over a run."""

    config: RunConfig
    config_sha256: str
    data: TokenData
    folder: RunFolder
    ranks: Ranks
    machine: Machine
    repeats: Repeats
    """How often each pair of the train split stands in an epoch."""
    score: Score | None
    report: Report
    watching: Watching = NOT_WATCHED
    saved_every_s: float = CHECKPOINT_INTERVAL_S
    """A checkpoint by the clock where none by step came in between."""
    stop_on_spike: float | None = None
    """Stop before an update whose loss is above this many times the median of the last 100; None: never."""
    stop_after_step: int | None = None
    """End as a signal would after this update, saved: what a replay of some steps wants. None: at the last step."""


def new_state(config: RunConfig, model: LanguageModel) -> TrainState:
    """The optimizer around a model whose weights stand."""
    optimizer = AdamAtan2(model.parameters(), lr=config.learning_rate, ema_decay=config.ema_decay)
    return TrainState(model, optimizer)


def train(run: Run, model: LanguageModel) -> RunResult:
    """Train to the last step, from the newest good checkpoint of the folder or from `model` as it is.

    Raises:
        InterruptedRunError: a signal came; the state after the last finished step is saved.
        AnswerIsNoError: `train.not_finite`, `train.loss_spike`; the state before that update is saved.
        InputError: the disk is full, or the record of the run was altered. What one rank meets, all raise.
    """
    keep_freed_memory()
    module = run.ranks.wrap(model, sharded=run.machine.sharding == "fsdp")
    state = new_state(run.config, model)
    watch = _watch(run)
    lines, chain = _resume(run, state, watch)
    on_main(run.ranks, lambda: watch.began(lines, state.step))
    metrics = MetricsFile(run.folder.metrics, chain=chain)
    saver = _saver(run, state, metrics)
    guard = LossGuard(_last_losses(run.ranks, lines), stop_on_spike=run.stop_on_spike)
    with watch.until_it_ends(lambda: state.step):
        try:
            with Signals() as signals:
                loop = _Loop(run, state, module=module, metrics=metrics, saver=saver, guard=guard, watch=watch)
                loop.go(signals)
        except KeyboardInterrupt:  # The second one: nothing is waited for.
            raise
        except BaseException:
            saver.close()
            raise
        finally:
            metrics.close()
        return _finish(run, state)


def _saver(run: Run, state: TrainState, metrics: MetricsFile) -> Saver:
    return Saver(
        run.folder.checkpoints,
        ranks=run.ranks,
        every_s=run.saved_every_s,
        saved_step=state.step or None,
        sync=metrics.sync,
    )


def _last_losses(ranks: Ranks, lines: list[dict]) -> list[float]:
    """Of the steps before, on every rank as the main rank read them."""
    return json.loads(ranks.texts(json.dumps([line["loss"] for line in lines[-SPIKE_WINDOW:]]))[0])


def _watch(run: Run) -> Watch | NoWatch:
    if not run.ranks.is_main:
        return NoWatch()
    return Watch(run.folder, run.config, machine=run.machine, report=run.report, watching=run.watching)


def _resume(run: Run, state: TrainState, watch: Watch | NoWatch) -> tuple[list[dict], str]:
    """Restore the newest good checkpoint, if any; the metrics up to it, and their chain."""
    found = newest_checkpoint(
        run.folder.checkpoints, config_sha256=run.config_sha256, tell=watch.message, ranks=run.ranks
    )
    step, chain = (0, CHAIN_START) if found is None else (found.state.step, found.state.metrics_sha256)
    if found is not None:
        restore(state, found.weights, ema=found.ema, moments=found.moments, ranks=run.ranks)
        restore_rng(found.rng(run.ranks.index), run.ranks.device)
        state.step = step
    return on_main(run.ranks, lambda: cut_back(run.folder.metrics, step=step, chain=chain)) or [], chain


class _Loop:
    """The live objects of a run and what is done with them at each step."""

    def __init__(
        self,
        run: Run,
        state: TrainState,
        *,
        module: torch.nn.Module,
        metrics: MetricsFile,
        saver: Saver,
        guard: LossGuard,
        watch: Watch | NoWatch,
    ) -> None:
        self._run, self._state, self._module = run, state, module
        self._metrics, self._saver, self._guard, self._watch = metrics, saver, guard, watch
        self._started_at_s = time.monotonic()
        self._feed = Feed(
            run.data.splits["train"], run.config, repeats=run.repeats, ranks=run.ranks, backend=run.machine.attention
        )
        self._dev_pairs = dev_pairs(
            run.data.splits["dev"],
            n=run.config.eval_pairs,
            seed=run.config.seed,
            context_tokens=run.config.model.context_tokens,
        )

    def go(self, signals: Signals) -> None:
        """All remaining steps; when it returns, the last checkpoint is complete."""
        began_at_s = time.monotonic()
        for batch in self._feed.steps(self._state.step):
            facts, times = self._update(batch, began_at_s)
            due = self._state.step % self._run.config.eval_every_steps == 0 or self._is_last
            if due:
                with plain_blocks(self._state.model):
                    facts = facts.model_copy(update={"dev": self._evaluate()})
            error = self._record(facts, times, evaluated=due)
            wanted = ENDED if self._state.step == self._run.stop_after_step else None
            self._close_step(facts.k, error, status=signals.status or wanted)
            began_at_s = time.monotonic()
        self._saver.settle()
        n, stood_s = self._saver.n_saved, self._saver.total_stood_s
        if n and self._run.ranks.is_main:
            self._watch.message(
                f"{n} checkpoints were written beside training, which stood still {stood_s:.2f} s for them"
            )

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
        loss, correct, grad_norm, computed_at_s = self._gradients(batch, k)
        refusal = self._guard.refusal(loss, grad_norm, step=state.step + 1, run=str(self._run.folder.path))
        if refusal is not None:
            self._stop(refusal, k)
        state.optimizer.param_groups[0]["lr"] = lr
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        self._guard.add(loss)
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

    def _gradients(self, batch: StepBatch, k: int) -> tuple[float, int, float, float]:
        """Forward and backward of this rank's bins: loss, right tokens and gradient's norm of the whole step, and when
        it was computed. The norm is not a number on any rank where it is none on one of them."""
        ranks = self._run.ranks
        sums: list[Tensor] = []
        for number, micro in enumerate(batch.micro_batches):
            with ranks.accumulate(self._module, last=number == len(batch.micro_batches) - 1):
                loss = self._module(micro.token_ids, micro.labels, micro.layout, k)
                (loss.loss_sum * (ranks.count / batch.response_tokens)).backward()
            sums.append(torch.stack((loss.loss_sum.detach().double(), loss.n_correct.double())))
        ranks.release(self._state.model)
        total = torch.stack(sums).sum(dim=0)
        computed_at_s = time.monotonic()
        norm = ranks.norm([p.grad for p in self._state.model.parameters() if p.grad is not None])
        spoilt = total.new_tensor([0.0 if math.isfinite(norm) else 1.0])
        loss_sum, correct, n_spoilt = ranks.total(torch.cat((total, spoilt))).tolist()
        return loss_sum / batch.response_tokens, int(correct), norm if n_spoilt == 0 else math.nan, computed_at_s

    def _stop(self, error: HrmbuildError, k: int) -> NoReturn:
        """Save, wait until that is complete, and end with an error that all ranks have come to."""
        self._save(k)
        self._saver.settle()
        error.quiet = not self._run.ranks.is_main
        raise error

    def _times(self, batch: StepBatch, began_at_s: float, *, computing_s: float) -> StepTimes:
        now_s = time.monotonic()
        seconds = now_s - began_at_s
        on_gpu = self._run.ranks.device.type == "cuda"
        return StepTimes(
            tokens_per_s=round(batch.tokens / seconds, 1),
            seconds=round(seconds, 6),
            outside_s=round(seconds - computing_s, 6),
            saved_s=self._saver.take_stood_s(),
            elapsed_s=round(now_s - self._started_at_s, 3),
            peak_mib=round(torch.cuda.max_memory_allocated() / 2**20, 1) if on_gpu else None,
        )

    def _evaluate(self) -> DevScore | None:
        """Held-out loss and exact match by the averaged weights, which are put back afterwards."""
        self._state.optimizer.swap_ema()
        try:
            with self._run.ranks.whole(self._state.model):
                return self._scored()
        finally:
            self._state.optimizer.swap_ema()

    def _scored(self) -> DevScore | None:
        run, model = self._run, self._state.model
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

    def _record(self, facts: StepFacts, times: StepTimes, *, evaluated: bool) -> HrmbuildError | None:
        """Write and show what a step came to, on the main rank; returns what the disk says against it."""
        if not self._run.ranks.is_main:
            return None
        try:
            times = self._watch.measured(facts, times)
            self._metrics.append(facts, times)
            self._watch.stepped(facts, times, evaluated=evaluated)
        except HrmbuildError as error:
            return stopped_by(error, what=f"the record of step {facts.step}")
        return None

    def _close_step(self, k: int, error: HrmbuildError | None, *, status: int | None) -> None:
        """Between two steps, in one question to all ranks: whether to end with an error, to stop, or to save."""
        interrupted, ended, late, unsaved, unrecorded = any_of_each(
            self._run.ranks,
            status == INTERRUPTED,
            status is not None,
            self._saver.is_late,
            self._saver.has_failed,
            error is not None,
        )
        if unrecorded:
            raise_together(self._run.ranks, error)
        if unsaved:
            self._saver.settle()
        if ended and not self._is_last:
            exit_status = INTERRUPTED if interrupted else ENDED
            self._stop(InterruptedRunError(exit_status, run=str(self._run.folder.path), step=self._state.step), k)
        if late or self._is_last or self._state.step % self._run.config.checkpoint_every_steps == 0:
            self._save(k)

    def _save(self, k: int) -> None:
        config = self._run.config
        facts = SavedFacts(config, k, metrics_sha256=self._metrics.chain, keep=config.keep_checkpoints)
        self._saver.save(self._state, facts)


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
    on_main(run.ranks, lambda: run.folder.write_result(result))
    return result
