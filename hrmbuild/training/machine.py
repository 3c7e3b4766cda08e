"""What this machine computes with: threads, dtype and attention kernel, chosen by capability and recorded.

Owns the choices. A stopwatch must never decide: the same inputs have to give the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from hrmbuild.errors import UsageError
from hrmbuild.model.attention import AttentionBackend, choose_backend
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.layers import Block
from hrmbuild.records.run import Machine
from hrmbuild.training.ranks import Ranks

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_dtype(device: torch.device, requested: str) -> str:
    """`float32` or `bfloat16`; `auto` takes bfloat16 where the hardware multiplies it, never where it is emulated."""
    if requested != "auto":
        return requested
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    has_units = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bfloat16" if device.type == "cpu" and has_units else "float32"


def compile_blocks(model: LanguageModel) -> None:
    """Let torch.compile fuse what stands around attention, block by block: one graph serves all of a stack.

    Raises:
        UsageError: `train.no_compiler`: torch.compile writes C++ and finds nobody to translate it.
    """
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        raise UsageError(
            "train.no_compiler",
            "train.compile is true, and this machine has no C++ compiler",
            where="train.compile",
            why="torch.compile writes C++ (and Triton C) and has it translated here",
            fix="install g++, or leave train.compile out: the same training, a few per cent slower",
        )
    for block in _blocks(model):
        block.compile_in_place()


@contextmanager
def plain_blocks(model: LanguageModel) -> Iterator[None]:
    """The blocks as they were before `compile_blocks`: answers come in many shapes, and each would be compiled anew."""
    compiled = [
        (block, name, vars(block).pop(name)) for block in _blocks(model) for name in _COMPILED & vars(block).keys()
    ]
    try:
        yield
    finally:
        for block, name, function in compiled:
            setattr(block, name, function)


_COMPILED = {"project", "finish"}
"""What `Block.compile_in_place` replaces."""


def _blocks(model: LanguageModel) -> list[Block]:
    return [module for module in model.modules() if isinstance(module, Block)]


def describe_machine(
    ranks: Ranks,
    *,
    dtype: str,
    attention: str,
    threads: int | None,
    compiled: bool = False,
    sharding: Literal["ddp", "fsdp"] | None = None,
) -> Machine:
    """Choose the kernel, set the threads of this process, and say what is used.

    Raises:
        UsageError: the requested attention kernel cannot serve here.
    """
    requested = None if attention == "auto" else AttentionBackend(attention)
    backend = choose_backend(ranks.device, DTYPES[dtype], requested=requested)
    torch.set_num_threads(threads or max(1, usable_cores() // ranks.on_this_machine))
    on_gpu = ranks.device.type == "cuda"
    return Machine(
        device=torch.cuda.get_device_name(ranks.device) if on_gpu else ranks.device.type,
        ranks=ranks.count,
        threads=torch.get_num_threads(),
        instruction_set=torch.backends.cpu.get_cpu_capability(),
        torch=torch.__version__.split("+")[0],
        attention=backend.value,
        sharding=sharding,
        compiled=compiled or None,
    )
