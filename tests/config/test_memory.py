"""Memory by formula against tensors that were counted: every part, and the peak of a whole step."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hrmbuild.config.flops import n_parameters
from hrmbuild.config.memory import (
    CHUNK_LOGITS,
    GIB,
    Setup,
    activation_bytes_per_token,
    largest_micro_batch,
    memory,
)
from hrmbuild.config.presets import PRESETS
from hrmbuild.model import build_model, loss
from hrmbuild.model.attention import AttentionBackend
from hrmbuild.model.attention_varlen import VarlenPlan
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layout import PackLayout, build_layout
from hrmbuild.training.optimizer import AdamAtan2

LENGTHS = [(40 + 13 * i % 160, 5 + 7 * i % 60) for i in range(12)]
DTYPES = {4: torch.float32, 2: torch.bfloat16}
ARCHES = [("hrm", 2), ("hrm", 3), ("hrm", 5), ("trm", 4), ("transformer", None), ("ut", None), ("rins", None)]
FAST = {(("hrm", 3), 4), (("hrm", 3), 2), (("trm", 4), 2), (("transformer", None), 4)}
"""Of the grid of cores and types: one of each way that activations are kept. All of it is `slow`."""
GRID = [
    pytest.param(*arch, size, marks=() if (arch, size) in FAST else pytest.mark.slow)
    for arch in ARCHES
    for size in DTYPES
]


def setup_for(layout: PackLayout, k: int | None, *, compute_bytes: Any, device: Any, lengths: Any = LENGTHS) -> Setup:
    return Setup(
        k=k,
        micro_tokens=layout.n_tokens,
        row_tokens=sum((p + r) ** 2 for p, r in lengths) / layout.n_tokens,
        response_fraction=len(layout.predicting) / layout.n_tokens,
        compute_bytes=compute_bytes,
        device=device,
    )


def saved_bytes(model: LanguageModel, layout: PackLayout, k: int | None) -> int:
    """Bytes of all storages that the graph of one forward pass holds, the parameters' own left out."""
    held: dict[int, int] = {}
    kept: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        held[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    ids = torch.zeros(layout.n_tokens, dtype=torch.int64, device=layout.positions.device)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        graph = model(ids, ids, layout, k)
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    assert graph.loss_sum.requires_grad
    return sum(size for storage, size in held.items() if storage not in own)


def by_formula(model: LanguageModel, setup: Setup) -> float:
    """Activations, the compute copy and the head's gradient, which is kept in float32."""
    parts = memory(model.config, setup)
    return parts.activations + parts.compute_copy + model.lm_head.weight.numel() * 4


@pytest.mark.parametrize(("arch", "k", "compute_bytes"), GRID)
def test_what_a_cpu_keeps_for_backward_is_within_10_percent(arch: Any, k: int | None, compute_bytes: int) -> None:
    model = build_model(PRESETS["nano"].model_config_for(512, arch=arch))
    model.compute_dtype = None if compute_bytes == 4 else torch.bfloat16
    layout = build_layout(*zip(*LENGTHS, strict=True), dtype=DTYPES[compute_bytes], backend=AttentionBackend.ROWS)
    setup = setup_for(layout, k, compute_bytes=compute_bytes, device="cpu")
    assert by_formula(model, setup) == pytest.approx(saved_bytes(model, layout, k), rel=0.1)


@pytest.mark.parametrize("preset", ["tiny", pytest.param("small", marks=pytest.mark.slow)])
def test_larger_presets_are_within_10_percent(preset: str) -> None:
    model = build_model(PRESETS[preset].model_config_for(512))
    layout = build_layout(*zip(*LENGTHS[:4], strict=True), backend=AttentionBackend.ROWS)
    setup = setup_for(layout, 3, compute_bytes=4, device="cpu", lengths=LENGTHS[:4])
    assert by_formula(model, setup) == pytest.approx(saved_bytes(model, layout, 3), rel=0.1)


class _Flash(torch.autograd.Function):
    """What a flash kernel keeps: its inputs, its output, and one float32 a query and head."""

    @staticmethod
    def forward(ctx, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out, log_sums = torch.empty_like(q), torch.empty(q.shape[:2], dtype=torch.float32, device=q.device)
        ctx.save_for_backward(q, k, v, out, log_sums)
        return out


def meta_layout() -> PackLayout:
    """The layout of the flash kernels without a device that has them."""
    plain = build_layout(*zip(*LENGTHS, strict=True), backend=AttentionBackend.DENSE)
    plan = VarlenPlan(LENGTHS, torch.device("cpu"), lambda q, k, v, *ends, window_size: _Flash.apply(q, k, v))
    plan.slot_tokens, plan.keys_of_responses = plan.slot_tokens.to("meta"), plan.keys_of_responses.to("meta")
    places = (plain.predicting.to("meta"), plain.last_prefix.to("meta"), plain.positions.to("meta"))
    return PackLayout(plain.n_tokens, *places, AttentionBackend.VARLEN, plan, plan.slot_tokens)


@pytest.mark.parametrize(("arch", "k", "compute_bytes"), GRID)
def test_what_the_plain_equations_around_a_flash_kernel_keep_is_within_10_percent(
    arch: Any, k: int | None, compute_bytes: int
) -> None:
    config = PRESETS["XL"].model_config_for(65_536, arch=arch)
    if k != 5:  # the whole depth once, a quarter of it for every other core and k: layers of a stack are alike
        config = config.model_copy(update={"layers_per_stack": config.layers_per_stack // 4})
    with torch.device("meta"):
        model = build_model(config)
    model.compute_dtype = None if compute_bytes == 4 else torch.bfloat16
    layout = meta_layout()
    setup = setup_for(layout, k, compute_bytes=compute_bytes, device="cuda")
    # In bfloat16 the norms of this stand-in keep a float32 copy, which the fused kernel of a GPU does not.
    assert by_formula(model, setup) == pytest.approx(saved_bytes(model, layout, k), rel=0.1)


class Peak(TorchDispatchMode):
    """Most bytes of live storages that operations made while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.most = 0
        self._known: set[int] = set()

    def hold(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.most = max(self.most, self.live)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.hold(leaf)
        return out


@pytest.mark.parametrize(
    ("preset", "compute_bytes", "n"),
    [
        ("nano", 4, 4),
        pytest.param("nano", 4, 12, marks=pytest.mark.slow),
        pytest.param("nano", 2, 12, marks=pytest.mark.slow),
        pytest.param("tiny", 4, 4, marks=pytest.mark.slow),
    ],
)
def test_the_peak_of_a_whole_step_is_within_10_percent(preset: str, compute_bytes: int, n: int) -> None:
    model, lengths = build_model(PRESETS[preset].model_config_for(1024)), LENGTHS[:n]
    model.init_weights(0)
    model.compute_dtype = None if compute_bytes == 4 else torch.bfloat16
    layout = build_layout(*zip(*lengths, strict=True), dtype=DTYPES[compute_bytes], backend=AttentionBackend.ROWS)
    update, ids = AdamAtan2(model.parameters(), lr=1e-3), torch.ones(layout.n_tokens, dtype=torch.int64)
    with Peak() as peak:
        for parameter in model.parameters():
            peak.hold(parameter)
        for _ in range(2):
            for _ in range(2):
                model(ids, ids, layout, 5).loss_sum.backward()
            update.step()
            update.zero_grad(set_to_none=True)
    setup = setup_for(layout, 5, compute_bytes=compute_bytes, device="cpu", lengths=lengths)
    expected = memory(model.config, setup).total
    assert expected == pytest.approx(peak.most, rel=0.1)


def test_constants_are_those_of_the_code_they_follow() -> None:
    assert CHUNK_LOGITS == loss._CHUNK_LOGITS


def test_states_of_XL_are_those_that_arithmetic_gives() -> None:
    config = PRESETS["XL"].model_config_for(65_536)
    n = n_parameters(config)
    alone = memory(config, Setup(k=5, micro_tokens=12_288, row_tokens=545))
    assert (alone.masters, alone.moments, alone.ema, alone.gradients) == (4 * n, 8 * n, 4 * n, 4 * n)
    sharded = memory(config, Setup(k=5, micro_tokens=12_288, row_tokens=545, ranks=8, sharding="fsdp"))
    assert sharded.masters + sharded.moments + sharded.ema + sharded.gradients == 20 * n / 8
    head_and_embedding = 2 * 65_536 * 1_536
    assert sharded.compute_copy == 2 * (n - head_and_embedding) + 4 * head_and_embedding
    twice = Setup(k=5, micro_tokens=12_288, row_tokens=545, ranks=8, sharding="fsdp", micro_batches=2)
    assert memory(config, twice).gradients == 4 * n + 4 * n / 8
    ddp = [Setup(k=5, micro_tokens=1, row_tokens=1, ranks=8, sharding="ddp", micro_batches=n) for n in (1, 2)]
    assert [memory(config, setup).buckets for setup in ddp] == [0, 4 * n]


def test_the_largest_micro_batch_fits_and_the_next_does_not() -> None:
    config = PRESETS["XL"].model_config_for(65_536)
    setup = Setup(k=5, micro_tokens=4096, row_tokens=545)
    most = largest_micro_batch(config, setup, memory_gib=79.2)
    room = 0.92 * 79.2 * GIB
    at = [memory(config, Setup(k=5, micro_tokens=n, row_tokens=545)).total for n in (most, most + 256)]
    assert at[0] <= room < at[1]
    assert largest_micro_batch(config, setup, memory_gib=24) == 0
    assert activation_bytes_per_token(config, Setup(k=2, micro_tokens=1, row_tokens=1)) < 0.5 * (
        activation_bytes_per_token(config, setup)
    )
