"""The golden checkpoint of format 1 is read for ever, and what is written today has the same form."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_run import config

from hrmbuild.config.model import ModelConfig
from hrmbuild.fingerprint import hash_file, sha256_hex
from hrmbuild.model import build_model
from hrmbuild.model.digest import weights_sha256
from hrmbuild.records.run import RunConfig
from hrmbuild.training.checkpoint import Checkpoint, SavedFacts, read_checkpoint, save_checkpoint
from hrmbuild.training.loop import new_state
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.state import TrainState, averaged_state, moments_state, restore

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "checkpoint_1" / "step_000001"
SHAPE = ModelConfig(vocab_size=256, hidden_size=2, n_heads=1, head_dim=2, layers_per_stack=1, context_tokens=16)


def golden_config() -> RunConfig:
    return config(model=SHAPE, tokenizer_sha256=sha256_hex(b"tokenizer"))


def golden_state() -> TrainState:
    """One update with made-up gradients from made-up weights; the embedding has none, as at k = 2."""
    model = build_model(SHAPE)
    with torch.no_grad():
        for name, tensor in sorted(model.state_dict().items()):
            tensor.copy_((torch.arange(tensor.numel()).reshape(tensor.shape) % 7 - 3) / 8 + len(name) / 1024)
    state = new_state(golden_config(), model)
    for name, parameter in model.named_parameters():
        if "embed" not in name:
            parameter.grad = parameter.detach() / 2
    state.optimizer.step()
    state.step = 1
    torch.manual_seed(0)
    return state


def write(folder: Path) -> Path:
    facts = SavedFacts(golden_config(), k=2, metrics_sha256=sha256_hex(b"metrics"), keep=1)
    return save_checkpoint(folder, golden_state(), facts, ranks=Ranks(cpu=True))


def test_the_golden_checkpoint_is_read_and_restored() -> None:
    found = read_checkpoint(GOLDEN)
    assert isinstance(found, Checkpoint)
    assert (found.state.step, found.state.k) == (1, 2)
    state = new_state(golden_config(), build_model(SHAPE))
    restore(state, found.weights, ema=found.ema, moments=found.moments, ranks=Ranks(cpu=True))
    assert weights_sha256(state.model.state_dict()) == found.state.weights_sha256
    assert weights_sha256(averaged_state(state)) == found.state.ema_sha256
    assert weights_sha256(moments_state(state)) == weights_sha256(found.moments)
    assert not [name for name in found.moments if "embed" in name]


def test_todays_checkpoint_has_the_golden_form(tmp_path: Path) -> None:
    written, golden = read_checkpoint(write(tmp_path)), read_checkpoint(GOLDEN)
    assert isinstance(written, Checkpoint) and isinstance(golden, Checkpoint)
    for own, theirs in zip(
        (written.weights, written.ema, written.moments), (golden.weights, golden.ema, golden.moments), strict=True
    ):
        assert {n: (t.dtype, t.shape) for n, t in own.items()} == {n: (t.dtype, t.shape) for n, t in theirs.items()}
        for name, tensor in own.items():
            assert torch.allclose(tensor.double(), theirs[name].double(), atol=1e-6), name
    assert written.state.model_fields_set == golden.state.model_fields_set
    assert written.state.config_sha256 == golden.state.config_sha256


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert {p.name: hash_file(p) for p in first.iterdir()} == {p.name: hash_file(p) for p in second.iterdir()}
