"""`train.compile`: the same training from compiled blocks, plain ones for answers, a clear word without a compiler."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_run import config, new_model, new_run

from hrmbuild.errors import UsageError
from hrmbuild.model.layers import Block
from hrmbuild.training.loop import train
from hrmbuild.training.machine import compile_blocks, plain_blocks

pytestmark = pytest.mark.filterwarnings("ignore")
"""torch's compiler warns of its own parts (torch.jit, gradients that it looks at)."""


def replaced(model: torch.nn.Module) -> list[set[str]]:
    return [vars(module).keys() & {"project", "finish"} for module in model.modules() if isinstance(module, Block)]


def test_answers_are_given_by_plain_blocks_and_training_goes_on_with_compiled_ones() -> None:
    model = new_model(config())
    compile_blocks(model)
    assert replaced(model) == [{"project", "finish"}] * 2
    with plain_blocks(model):
        assert replaced(model) == [set()] * 2
    assert replaced(model) == [{"project", "finish"}] * 2


def test_without_a_compiler_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UsageError) as refused:
        compile_blocks(new_model(config()))
    assert refused.value.code == "train.no_compiler"


@pytest.mark.slow
def test_compiled_blocks_train_to_the_same_loss(tmp_path: Path) -> None:
    run_config = config()
    losses = []
    for name in ("plain", "compiled"):
        torch.manual_seed(0)
        model = new_model(run_config)
        if name == "compiled":
            compile_blocks(model)
        losses.append(train(new_run(tmp_path / name, run_config), model).loss)
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
