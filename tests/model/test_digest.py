"""The digest of weights: what changes it, what does not, and a value that must stay for ever."""

from __future__ import annotations

import torch

from hrmbuild.model.digest import weights_sha256


def test_order_and_memory_layout_do_not_matter() -> None:
    a, b = torch.arange(6.0).reshape(2, 3), torch.ones(2)
    assert weights_sha256({"a": a, "b": b}) == weights_sha256({"b": b, "a": a.t().contiguous().t()})


def test_name_shape_dtype_and_every_value_matter() -> None:
    a = torch.arange(6.0).reshape(2, 3)
    changed = a.clone()
    changed[1, 2] += 1e-6
    digests = {weights_sha256(state) for state in (
        {"a": a}, {"b": a}, {"a": a.reshape(3, 2)}, {"a": a.to(torch.bfloat16)}, {"a": changed}, {}
    )}  # fmt: skip
    assert len(digests) == 6


def test_the_digest_of_known_weights_never_changes() -> None:
    state = {"x": torch.tensor([1.0, -2.5]), "y": torch.tensor([[3.0]], dtype=torch.bfloat16)}
    assert weights_sha256(state) == "444ef779c89973336cdcf7234a4d95c65aa56587ec30c63d6fee5a78019327c9"
