"""The engines that serve a package, and the settings under which each reads a prompt as PrefixLM.

Owns command lines and environments; it must not start anything. What every engine has to do: read a prompt whole, in
both directions, and never reuse the keys and values of another prompt's beginning, which saw another prompt's end.

- transformers (5.23 read and run): reads the prompt by the tokenizer's type ids. Its continuous batching
  knows no type ids, so it stays off, as is its default. Its cache of models is an empty folder of our own: it lists and
  loads no other model.
- vLLM (`vllm/model_executor/models/hrm_text.py` read, not run): every prefill is bidirectional, so prompts may not be
  split nor shared: no chunked prefill, no prefix caching, and a batch holds the longest prompt. float32 is named
  because its `auto` rounds float32 weights to float16.
- SGLang (`python/sglang/srt/models/hrm_text.py` read, not run): the same, on its Triton attention without CUDA graphs.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

EngineName = Literal["transformers", "vllm", "sglang"]


class Served(NamedTuple):
    """What an engine is told."""

    folder: Path
    """Requests call the model by the folder's name; the engine is started beside it."""
    host: str
    port: int
    dtype: str
    """`float32` or `bfloat16`, as stored."""
    context_tokens: int
    hidden_size: int
    device: str
    """`cpu` or `cuda`."""


@dataclass(frozen=True)
class Engine:
    """One engine."""

    modules: tuple[str, ...]
    """Python packages that it needs."""
    install: str
    """What to type where they are missing."""
    command: Callable[[Served], list[str]]
    needs_gpu: bool

    def missing(self) -> list[str]:
        """Modules that are not installed here."""
        return [name for name in self.modules if find_spec(name) is None]


def _transformers(served: Served) -> list[str]:
    # Not the installed script: that one looks for a newer version on the network first.
    start = "from transformers.cli.transformers import app; app()"
    return [
        sys.executable, "-c", start, "serve", served.folder.name, "--host", served.host, "--port", str(served.port),
        "--device", served.device, "--dtype", served.dtype, "--no-continuous-batching",
    ]  # fmt: skip


def _vllm(served: Served) -> list[str]:
    return [
        shutil.which("vllm") or "vllm", "serve", str(served.folder), "--host", served.host, "--port", str(served.port),
        "--served-model-name", served.folder.name, "--dtype", served.dtype,
        "--max-model-len", str(served.context_tokens), "--no-enable-chunked-prefill", "--no-enable-prefix-caching",
        "--max-num-batched-tokens", str(max(8192, served.context_tokens)),
    ]  # fmt: skip


def _sglang(served: Served) -> list[str]:
    return [
        sys.executable, "-m", "sglang.launch_server", "--model-path", str(served.folder), "--host", served.host,
        "--port", str(served.port), "--served-model-name", served.folder.name, "--dtype", served.dtype,
        "--context-length", str(served.context_tokens), "--attention-backend", "triton",
        "--chunked-prefill-size", "-1", "--disable-radix-cache", "--disable-cuda-graph",
    ]  # fmt: skip


ENGINES: dict[EngineName, Engine] = {
    "vllm": Engine(("vllm",), "pip install vllm", _vllm, needs_gpu=True),
    "sglang": Engine(("sglang",), "pip install sglang", _sglang, needs_gpu=True),
    "transformers": Engine(
        ("transformers", "fastapi", "uvicorn", "openai"),
        "pip install 'hrmbuild[serve]'",
        _transformers,
        needs_gpu=False,
    ),
}
"""Fastest first; those that need a GPU are passed over where there is none."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1",
           "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}  # fmt: skip
"""Nothing leaves the machine."""
