"""Adam-atan2 against ten lines of NumPy, and the promises of its state."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from hrmbuild.training.optimizer import AdamAtan2


def numpy_adam_atan2(p: np.ndarray, grads: list[np.ndarray], lr: float, wd: float, d: float) -> tuple[np.ndarray, ...]:
    m, v, ema = np.zeros_like(p), np.zeros_like(p), p.copy()
    for t, g in enumerate(grads, start=1):
        p = p * (1 - lr * wd)
        m = 0.9 * m + 0.1 * g
        v = 0.95 * v + 0.05 * g**2
        p = p - lr / (1 - 0.9**t) * np.arctan2(m, np.sqrt(v / (1 - 0.95**t)))
        ema = d * ema + (1 - d) * p
    return p, ema


def make(seed: int = 0, **settings: float) -> tuple[list[torch.nn.Parameter], AdamAtan2]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(3, 4), (5,), (400, 400)]
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    return parameters, AdamAtan2(parameters, **({"lr": 0.01, "ema_decay": 0.9} | settings))


def gradients(parameters: list[torch.nn.Parameter], step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(p.shape, generator=generator) for p in parameters]


def run(parameters: list[torch.nn.Parameter], optimizer: AdamAtan2, steps: range, scale: float = 1.0) -> None:
    for step in steps:
        for parameter, grad in zip(parameters, gradients(parameters, step), strict=True):
            parameter.grad = grad * scale
        optimizer.step()


def test_five_steps_equal_the_reference() -> None:
    parameters, optimizer = make()
    starts = [p.detach().double().numpy().copy() for p in parameters]
    run(parameters, optimizer, range(5))
    for i, (parameter, start) in enumerate(zip(parameters, starts, strict=True)):
        grads = [gradients(parameters, step)[i].double().numpy() for step in range(5)]
        weights, average = numpy_adam_atan2(start, grads, 0.01, 0.1, 0.9)
        np.testing.assert_allclose(parameter.detach().numpy(), weights, atol=2e-6)
        np.testing.assert_allclose(optimizer.state[parameter]["ema"].numpy(), average, atol=2e-6)


def test_scaling_gradients_by_1024_changes_no_bit() -> None:
    a, b = make(), make()
    run(*a, range(4))
    run(*b, range(4), scale=1024.0)
    assert all(torch.equal(x, y) for x, y in zip(a[0], b[0], strict=True))


def test_a_parameter_without_gradient_skips_decay_moments_and_average() -> None:
    parameters, optimizer = make()
    before = parameters[1].detach().clone()
    for step in range(2):
        grads = gradients(parameters, step)
        parameters[0].grad = grads[0]
        optimizer.step()
    assert torch.equal(parameters[1], before)
    assert parameters[1] not in optimizer.state


def test_each_parameter_counts_its_own_steps() -> None:
    late, optimizer = make()
    run(late[:1], optimizer, range(3))
    run(late, optimizer, range(3, 5))
    assert [optimizer.state[p]["step"] for p in late] == [5, 2, 2]
    alone, other = make()
    alone[0].grad = None
    for step in range(3, 5):
        alone[2].grad = gradients(alone, step)[2]
        other.step()
    torch.testing.assert_close(late[2], alone[2], atol=1e-7, rtol=0)


def test_swapping_the_average_twice_is_the_identity() -> None:
    parameters, optimizer = make()
    run(parameters, optimizer, range(3))
    weights = [p.detach().clone() for p in parameters]
    averages = [optimizer.state[p]["ema"].clone() for p in parameters]
    optimizer.swap_ema()
    assert all(torch.equal(p, a) for p, a in zip(parameters, averages, strict=True))
    optimizer.swap_ema()
    assert all(torch.equal(p, w) for p, w in zip(parameters, weights, strict=True))


def test_six_steps_equal_three_saved_loaded_and_three() -> None:
    straight, resumed = make(), make()
    run(*straight, range(6))
    run(*resumed, range(3))
    saved = copy.deepcopy(resumed[1].state_dict())
    fresh = [torch.nn.Parameter(p.detach().clone()) for p in resumed[0]]
    optimizer = AdamAtan2(fresh, 0.5)
    optimizer.load_state_dict(saved)
    run(fresh, optimizer, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(straight[0], fresh, strict=True))


def test_a_schedule_sets_rate_and_decay_through_the_group() -> None:
    parameters, optimizer = make()
    optimizer.param_groups[0].update(lr=0.0, ema_decay=0.0)
    before = [p.detach().clone() for p in parameters]
    run(parameters, optimizer, range(2))
    assert all(torch.equal(p, b) for p, b in zip(parameters, before, strict=True))


def test_it_finds_the_bottom_of_a_bowl() -> None:
    point = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = AdamAtan2([point], 0.05, weight_decay=0.0)
    for _ in range(300):
        loss = (point - torch.tensor([1.0, 0.5])).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(0.0, abs=1e-2)
