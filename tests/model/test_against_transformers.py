"""`transformers`' HrmTextForCausalLM on shared random weights: logits, gradients and whole trainings."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from small_models import oracle_for, oracle_logits, small_model

from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layout import build_layout
from hrmbuild.model.weights import load_state, split_layout, split_state
from hrmbuild.training.optimizer import AdamAtan2


def random_lengths(rng: random.Random, n: int, longest: int = 24) -> list[tuple[int, int]]:
    return [(rng.randint(1, longest), rng.randint(0, longest)) for _ in range(n)]


def random_pack(seed: int, n: int = 4) -> tuple[torch.Tensor, torch.Tensor, list[tuple[int, int]]]:
    lengths = random_lengths(random.Random(seed), n)
    generator = torch.Generator().manual_seed(seed)
    shape = (sum(map(sum, lengths)),)
    return torch.randint(256, shape, generator=generator), torch.randint(256, shape, generator=generator), lengths


@pytest.mark.parametrize("seed", range(20))
def test_logits_equal_packed_and_alone(seed: int) -> None:
    rng = random.Random(seed)
    n_heads, head_dim = rng.choice([1, 2, 3]), rng.choice([8, 16])
    shape = {"n_heads": n_heads, "head_dim": head_dim, "hidden_size": n_heads * head_dim}
    depth = {"layers_per_stack": rng.randint(1, 3), "H_cycles": rng.randint(1, 3), "L_cycles": rng.randint(1, 3)}
    model = small_model(seed, **shape, **depth)
    token_ids, _, lengths = random_pack(seed, rng.randint(1, 6))
    expected = oracle_logits(oracle_for(model), token_ids, lengths)
    layout = build_layout(*zip(*lengths, strict=True))
    packed = model.head(model.forward_hidden(token_ids, layout))
    torch.testing.assert_close(packed, expected, atol=1e-4, rtol=0)
    prefix, response = lengths[0]
    alone = model.head(model.forward_hidden(token_ids[: prefix + response], build_layout([prefix], [response])))
    torch.testing.assert_close(alone, expected[: prefix + response], atol=1e-4, rtol=0)


def oracle_loss(theirs: torch.nn.Module, token_ids: torch.Tensor, labels: torch.Tensor, lengths) -> torch.Tensor:
    layout = build_layout(*zip(*lengths, strict=True))
    logits = oracle_logits(theirs, token_ids, lengths)
    return F.cross_entropy(logits[layout.predicting], labels[layout.predicting], reduction="sum")


@pytest.mark.parametrize("k", [3, 4, 5])
def test_gradient_of_every_parameter_equals(k: int) -> None:
    model = small_model(k)
    token_ids, labels, lengths = random_pack(k)
    theirs = oracle_for(model, k=k)
    oracle_loss(theirs, token_ids, labels, lengths).backward()
    model(token_ids, labels, build_layout(*zip(*lengths, strict=True)), k).loss_sum.backward()
    ours = split_layout({name: parameter.grad for name, parameter in model.named_parameters()})
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters() if parameter.requires_grad}
    assert ours.keys() == expected.keys()
    for name, grad in expected.items():
        assert (ours[name] - grad).abs().max() <= 1e-4 * grad.abs().max(), name


def adam_atan2_step(parameters: list[torch.nn.Parameter], state: dict, lr: float, t: int) -> None:
    for parameter in parameters:
        grad = parameter.grad
        m, v = state.setdefault(parameter, (torch.zeros_like(grad), torch.zeros_like(grad)))
        m.copy_(0.9 * m + 0.1 * grad)
        v.copy_(0.95 * v + 0.05 * grad * grad)
        parameter.data *= 1 - lr * 0.1
        parameter.data -= lr / (1 - 0.9**t) * torch.atan2(m, torch.sqrt(v / (1 - 0.95**t)))


def train_ours(model: LanguageModel, steps: int) -> list[float]:
    optimizer, losses = AdamAtan2(model.parameters(), 1e-3), []
    for step in range(steps):
        token_ids, labels, lengths = random_pack(step % 5, 3)
        result = model(token_ids, labels, build_layout(*zip(*lengths, strict=True)), 3 + step % 3)
        (result.loss_sum / result.n_tokens).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(result.loss_sum.item() / result.n_tokens)
    return losses


def test_fifty_training_steps_stay_together() -> None:
    model = small_model(7, layers_per_stack=1)
    theirs = oracle_for(model)
    parameters = [parameter for parameter in theirs.parameters() if parameter.requires_grad]
    state: dict = {}
    expected = []
    for step in range(50):
        theirs.model.L_bp_cycles_padded = [0, 1 + step % 3]
        token_ids, labels, lengths = random_pack(step % 5, 3)
        n_labels = sum(response + 1 for _, response in lengths)
        loss = oracle_loss(theirs, token_ids, labels, lengths) / n_labels
        loss.backward()
        adam_atan2_step(parameters, state, 1e-3, step + 1)
        theirs.zero_grad()
        expected.append(loss.item())
    losses = train_ours(model, 50)
    assert max(abs(a - b) for a, b in zip(losses, expected, strict=True)) < 1e-4
    assert losses[-1] < losses[0] - 0.5
    ours = split_state(model)
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-3, rtol=0, msg=name)


def test_weights_come_back_from_the_library() -> None:
    model, other = small_model(1), small_model(2)
    load_state(other, oracle_for(model).state_dict())
    for (name, a), (_, b) in zip(model.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
