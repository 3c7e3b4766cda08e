"""The GPU's smoke test, as far as a CPU can show that it works: all of it but the figures."""

from __future__ import annotations

import sys
from pathlib import Path

import gpu_smoke
import pytest
import torch
from gpu_smoke import Smoke, check_kernels, kill_and_resume, matrix_peak, outcome, step_speed, trained_speed

from hrmbuild.model.attention import AttentionBackend

CPU = torch.device("cpu")


def test_kernels_that_serve_are_right_and_the_others_say_why() -> None:
    checks = {(one.backend, one.dtype): one for one in check_kernels(CPU, n_heads=2, head_dim=16)}
    assert all(one.ok for one in checks.values())
    served = {backend for (backend, _), one in checks.items() if one.error is not None}
    assert served == {AttentionBackend.DENSE, AttentionBackend.ROWS, AttentionBackend.SDPA}
    assert "CUDA" in (checks[AttentionBackend.VARLEN, torch.bfloat16].why_not or "")


def test_a_wrong_kernel_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = gpu_smoke.attend

    def wrong(backend: AttentionBackend, *inputs: torch.Tensor, n_heads: int) -> tuple[torch.Tensor, ...]:
        out, gradient = right(backend, *inputs, n_heads=n_heads)
        return (out, gradient * (float("nan") if backend == AttentionBackend.SDPA else 1))

    monkeypatch.setattr(gpu_smoke, "attend", wrong)
    bad = {one.backend for one in check_kernels(CPU, n_heads=2, head_dim=16) if not one.ok}
    assert bad == {AttentionBackend.SDPA}


@pytest.mark.slow
def test_a_killed_training_goes_on_and_its_speed_is_measured(tmp_path: Path) -> None:
    digest = gpu_smoke.write_tokens(tmp_path / "tokens", n_pairs=60)
    smoke = Smoke("nano", "cpu", 8, 512, digest, checkpoint_every_steps=3)
    found = kill_and_resume(tmp_path, smoke, kill_after=4, limit_s=240)
    assert found["ok"] and found["resumed_from"] in (3, 6)
    assert found["loss_difference"] == 0
    assert trained_speed(tmp_path, smoke)["tokens_per_s"] > 0


def test_missing_or_unlike_steps_are_noticed() -> None:
    smoke = Smoke("nano", "cpu", 4, 512, "0" * 64, checkpoint_every_steps=2)
    lines = [{"step": i + 1, "loss": 4.0 - i, "elapsed_s": float(i)} for i in range(4)]
    again = lines[:2] + [line | {"elapsed_s": 9.0} for line in lines[2:]]
    assert outcome(lines[:3], again, smoke)["ok"]
    assert not outcome(lines[:3], again[:3], smoke)["ok"]
    assert not outcome(lines[:3], [*again[:2], again[2] | {"loss": 3.0}, again[3]], smoke)["ok"]


def test_peak_and_step_are_timed_on_any_device() -> None:
    assert matrix_peak(CPU, size=64) > 0
    found = step_speed("nano", CPU, pack_tokens=256, vocab_size=512)
    assert found["pack_tokens"] == 256 and found["flop_per_s"] > found["tokens_per_s"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: `make gpu-smoke` itself is the test")
def test_without_a_gpu_one_line_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [gpu_smoke.__file__])
    assert gpu_smoke.main() == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "no CUDA GPU" in told
