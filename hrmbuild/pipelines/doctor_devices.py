"""The part of `hrmbuild doctor` that asks torch: GPUs, compute type, attention kernels, ranks.

Owns these checks. Importing it needs a torch that works, so `doctor` imports it inside a check.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from hrmbuild.config.gpus import gpu_of_device
from hrmbuild.model.attention import AttentionBackend, choose_backend
from hrmbuild.pipelines.doctor import GIB, Examined
from hrmbuild.training.machine import DTYPES, choose_dtype

LENGTHS = ((60, 20), (7, 0), (90, 33), (1, 45))
"""(prefix, response) of the self-test's sequences: 256 tokens."""
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Largest difference from the dense kernel, over the largest value, that rounding explains."""


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def gpus() -> Iterator[Examined]:
    """Each GPU by name, memory and type; which of them reach one another's memory."""
    if not torch.cuda.is_available():
        yield _no_gpu()
        return
    driver = _driver_version()
    for index in range(torch.cuda.device_count()):
        yield _gpu(index, driver)
    n = torch.cuda.device_count()
    if n > 1:
        pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
        reached = sum(torch.cuda.can_device_access_peer(a, b) for a, b in pairs)
        ok = reached == len(pairs)
        fix = None if ok else "training works; gradients travel over the host, which is slower"
        yield Examined("GPU peer access", ok, f"{reached} of {len(pairs)} pairs", fix, needed=False)


def _no_gpu() -> Examined:
    seen = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
    if not seen:
        return Examined("GPUs", True, "none: training runs on the processor", needed=False)
    built = torch.version.cuda
    why = f"this torch is built for CUDA {built}, which found none" if built else "this torch is built without CUDA"
    fix = "install the CUDA build of torch for this driver, or check nvidia-smi and CUDA_VISIBLE_DEVICES"
    return Examined("GPUs", False, f"there is an NVIDIA driver, but {why}", fix, needed=False)


def _gpu(index: int, driver: str) -> Examined:
    facts = torch.cuda.get_device_properties(index)
    kind = gpu_of_device(facts.name)
    known = f"type {kind.name}, {kind.peak_tflops:g} TFLOP/s" if kind and kind.peak_tflops else "not in the table"
    told = (
        f"{facts.name}, {facts.total_memory / GIB:.1f} GiB, capability {facts.major}.{facts.minor}, CUDA "
        f"{torch.version.cuda}, driver {driver}; {known}"
    )
    fix = None if kind else "set hardware.peak_tflops, power_w and usd_per_hour in hrmbuild.yaml for plans and costs"
    return Examined(f"GPU {index}", True, told, fix)


def _driver_version() -> str:
    path = Path("/proc/driver/nvidia/version")
    words = path.read_text().split() if path.is_file() else []
    return next((word for word in words if word[:1].isdigit() and word.count(".") >= 1), "unknown")


def dtypes() -> Iterator[Examined]:
    """What `train.dtype: auto` comes to here."""
    device = _device()
    chosen = choose_dtype(device, "auto")
    units = torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else "tensor cores"
    why = f"{units}, bfloat16 is {'multiplied by the hardware' if chosen == 'bfloat16' else 'not, or emulated'}"
    yield Examined("compute type", True, f"{chosen} ({why})")


def attention() -> Iterator[Examined]:
    """Every kernel's outputs and gradients against the dense one, on 256 tokens; the chosen one must hold."""
    device = _device()
    dtype = DTYPES[choose_dtype(device, "auto")]
    chosen = choose_backend(device, dtype)
    for backend in AttentionBackend:
        name, needed = f"attention {backend}", backend is chosen
        reason = backend.why_unavailable(device, dtype)
        if reason is not None:
            yield Examined(name, False, f"not here: {reason}", needed=False)
            continue
        yield _self_test(backend, device, dtype, needed=needed)


def _self_test(backend: AttentionBackend, device: torch.device, dtype: torch.dtype, *, needed: bool) -> Examined:
    name = f"attention {backend}"
    fix = f"leave train.attention open, or name another than {backend}"
    try:
        off = kernel_difference(backend, device, dtype)
    except (RuntimeError, ImportError, TypeError, ValueError, AssertionError) as error:
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Examined(name, False, f"it failed: {told}", fix, needed)
    ok = off <= TOLERANCE[dtype]
    told = f"{'agrees' if ok else 'DISAGREES'} with dense to {off:.0e} on {device.type} in {str(dtype)[6:]}"
    return Examined(name, ok, told + (", the default here" if needed else ""), None if ok else fix, needed)


def kernel_difference(backend: AttentionBackend, device: torch.device, dtype: torch.dtype) -> float:
    """Largest difference of outputs and input gradients from the dense kernel in float32, over the largest value."""
    from hrmbuild.model.attention import rope_table

    n_heads, width = 2, 64
    generator = torch.Generator().manual_seed(0)
    n_tokens = sum(prefix + response for prefix, response in LENGTHS)
    drawn = torch.randn(n_tokens, 4 * n_heads * width, generator=generator)
    positions = torch.cat([torch.arange(prefix + response) for prefix, response in LENGTHS])
    results: list[torch.Tensor] = []
    for one, place, precision in ((AttentionBackend.DENSE, "cpu", torch.float32), (backend, device, dtype)):
        plan = one.build_plan(LENGTHS, torch.device(place))
        order = torch.arange(n_tokens) if plan.slot_tokens is None else plan.slot_tokens.cpu()
        # Both sides see the rounded numbers, so that only the kernel's own arithmetic differs.
        given = drawn.to(dtype).to(precision)[order].to(place).requires_grad_()
        rope = rope_table(positions[order].to(place), head_dim=width, theta=10_000.0)
        out = plan.gated(rope, n_heads=n_heads, dtype=precision)(given)
        out.backward(torch.ones_like(out))
        back = order.argsort()
        assert given.grad is not None
        results += [part.detach().float().cpu()[back] for part in (out, given.grad)]
    pairs = zip(results[:2], results[2:], strict=True)
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)


def ranks() -> Iterator[Examined]:
    """What several ranks would talk over."""
    there = torch.distributed.is_available()
    found = [
        name
        for name, has in (
            ("gloo", there and torch.distributed.is_gloo_available()),
            ("nccl", there and torch.distributed.is_nccl_available()),
        )
        if has
    ]
    wanted = "nccl" if torch.cuda.is_available() else "gloo"
    ok = wanted in found
    launched = (
        f"; launched as rank {os.environ['RANK']} of {os.environ.get('WORLD_SIZE')}" if "RANK" in os.environ else ""
    )
    fix = None if ok else f"one rank works; for several install a torch with {wanted}"
    yield Examined("ranks", ok, f"{', '.join(found) or 'no back end'}{launched}", fix, needed=False)
