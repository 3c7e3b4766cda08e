"""What a step computes, and what a run leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_run import Notes, config, new_model, new_run, token_data, train_in

from hrmbuild.errors import UsageError
from hrmbuild.model.attention import AttentionBackend
from hrmbuild.model.digest import weights_sha256
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.training.dev_loss import dev_loss, dev_pairs
from hrmbuild.training.feed import Feed
from hrmbuild.training.run_folder import RunFolder, check_resumable, default_name


def feed_of(run) -> Feed:
    return Feed(
        run.data.splits["train"], run.config, repeats=run.repeats, ranks=run.ranks, backend=run.machine.attention
    )


def test_the_loss_falls(tmp_path: Path) -> None:
    notes = Notes()
    train_in(tmp_path, config(steps=40, eval_every_steps=40, checkpoint_every_steps=40), notes=notes)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.5 * losses[0]
    assert notes.steps == 40
    assert [text for text in notes.messages if text.startswith("step 40: held-out loss ")]


def test_bins_are_micro_batches_with_one_common_divisor(tmp_path: Path) -> None:
    """Four bins, two, or one: the same pairs in a step would give the same gradient; here, the mean over the step."""
    run = new_run(tmp_path, config(bins=4))
    batch = next(feed_of(run).steps(0))
    model = new_model(run.config)
    for micro in batch.micro_batches:
        (model(micro.token_ids, micro.labels, micro.layout, 5).loss_sum / batch.response_tokens).backward()
    accumulated = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    losses = [model(micro.token_ids, micro.labels, micro.layout, 5) for micro in batch.micro_batches]
    assert sum(loss.n_tokens for loss in losses) == batch.response_tokens
    (sum(loss.loss_sum for loss in losses) / batch.response_tokens).backward()
    whole = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    for a, b in zip(accumulated, whole, strict=True):
        assert (a - b).abs().max() <= 1e-6 * b.abs().max()


def test_every_pair_is_read_once_an_epoch(tmp_path: Path) -> None:
    run = new_run(tmp_path, config(steps=200))
    train = run.data.splits["train"]
    tokens = [batch.tokens for batch in feed_of(run).steps(0) if batch.epoch == 0]
    assert sum(tokens) == train.slots.sum()
    assert len(tokens) == feed_of(run).plan(0).n_steps


def test_the_feed_starts_at_any_step_with_the_same_batches(tmp_path: Path) -> None:
    run = new_run(tmp_path, config(steps=70))
    digests = [batch.digest for batch in feed_of(run).steps(0)]
    assert len(set(digests)) == 70
    for first in (1, 35, 69, 70):
        assert [batch.digest for batch in feed_of(run).steps(first)] == digests[first:]


def test_scores_are_asked_of_the_averaged_weights_and_the_weights_come_back(tmp_path: Path) -> None:
    seen: list[tuple[int, str]] = []

    def score(model: LanguageModel, step: int) -> dict[str, float]:
        seen.append((step, weights_sha256(model.state_dict())))
        return {"exact": 0.25, "n": 8}

    result = train_in(tmp_path, config(), score=score)
    assert [step for step, _ in seen] == [3, 6]
    assert seen[-1][1] == result.ema_sha256 != result.weights_sha256
    assert result.dev is not None and (result.dev.exact, result.dev.n_pairs) == (0.25, 8)
    with_score = result.weights_sha256
    assert train_in(tmp_path / "plain", config()).weights_sha256 == with_score


def test_dev_loss_is_the_mean_over_response_tokens_whatever_the_bins() -> None:
    dev, model = token_data().splits["dev"], new_model(config())
    pairs = dev_pairs(dev, n=8, seed=3, context_tokens=128)
    assert len(pairs) == 8 and pairs.tolist() == sorted(pairs.tolist())
    losses = [dev_loss(model, dev, pairs, bin_tokens=n, backend=AttentionBackend.DENSE) for n in (128, 4096)]
    assert all(loss is not None and loss.n_tokens == dev.response_lengths[pairs].sum() for loss in losses)
    assert abs(losses[0].loss - losses[1].loss) < 1e-6


def test_dev_pairs_over_the_context_are_not_scored() -> None:
    dev = token_data().splits["dev"]
    whole = dev.prefix_lengths + dev.response_lengths
    limit = int(sorted(whole)[5])
    assert whole[dev_pairs(dev, n=100, seed=0, context_tokens=limit)].max() <= limit


def test_a_locked_folder_is_refused_with_the_process_that_holds_it(tmp_path: Path) -> None:
    with RunFolder(tmp_path).locked():
        with pytest.raises(UsageError, match=r"process [0-9]+ is training") as caught, RunFolder(tmp_path).locked():
            pass
        assert caught.value.code == "train.run_locked"
    with RunFolder(tmp_path).locked():
        pass


def test_the_default_name_follows_preset_corpus_and_settings() -> None:
    name = default_name(config())
    assert name.startswith(f"nano-{config().content_root[:8]}-") and len(name) == len("nano-") + 8 + 1 + 6
    assert default_name(config(seed=4)) != name == default_name(config())


def test_a_run_does_not_go_on_with_other_settings() -> None:
    with pytest.raises(UsageError, match=r"learning_rate was 0\.002, is 0\.001; steps was 6, is 7") as caught:
        check_resumable(config(), config(steps=7, learning_rate=1e-3), where="runs/a")
    assert caught.value.code == "train.other_run"


def test_the_weights_in_a_checkpoint_have_the_digest_it_states(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    train_in(tmp_path, config())
    folder = tmp_path / "checkpoints" / "step_000006"
    state = json.loads((folder / "state.json").read_text())
    for name in ("weights", "ema"):
        tensors = load_file(folder / f"{name}.safetensors")
        assert weights_sha256(tensors) == state[f"{name}_sha256"]
        assert all(tensor.dtype == torch.float32 for tensor in tensors.values())
    assert load_file(folder / "weights.safetensors").keys() == load_file(folder / "ema.safetensors").keys()
