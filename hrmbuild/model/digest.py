"""One hash for a set of weights, whatever files they lie in.

Owns the digest that checkpoints, packages and their verification compare: over names, dtypes, shapes and bytes, sorted
by name. It must not read files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from hrmbuild.fingerprint import canonical_json


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over, for each tensor by name: the canonical JSON of [name, dtype, shape], a newline, its bytes.

    Bytes are little-endian and row-major, as safetensors stores them; one tensor at a time is asked for and copied.
    """
    digest = hashlib.sha256()
    for name, tensor in ((name, state[name]) for name in sorted(state)):
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(canonical_json([name, dtype, list(tensor.shape)]) + b"\n")
        plain = tensor.detach().cpu().contiguous()
        digest.update(memoryview(plain.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()
