"""The package's own manifest, format 1: the hash of every file and the links back to run and corpus."""

from __future__ import annotations

from typing import Literal

from hrmbuild.records.base import Noun, Sha256


class PackageManifest(Noun):
    """`manifest.json` of a package; it lists every file of the folder but itself (and the signature)."""

    format: Literal[1] = 1
    hrmbuild: str
    name: str
    version: str
    preset: str
    arch: str
    label: str
    lineage: str
    corpus_content_root: Sha256
    corpus_manifest_sha256: Sha256
    tokenizer_sha256: Sha256
    prompt_template_sha256: Sha256
    run_config_sha256: Sha256
    step: int
    """Updates behind the packaged weights."""
    weights_sha256: Sha256
    """Digest of the weights as stored (names, dtypes, shapes, bytes; sorted by name)."""
    ema: bool
    """Whether the packaged weights are the EMA."""
    dtype: Literal["float32", "bfloat16"]
    files: dict[str, Sha256]
    """Every file by its POSIX path."""
    content_root: Sha256
    """Hash over `files` without receipts, card, provenance, signatures and the salted manifest copy, which
    `corpus_content_root` stands for: equal for equal runs."""


class ProbePrompt(Noun):
    """One frozen prompt with what the model said at the end of training."""

    instruction: str
    condition: str
    answer: str
    """Greedy answer."""
    margin: str
    """Smallest difference between the best and the second-best logit over the answer's tokens, as a decimal."""
    logits: tuple[str, ...]
    """First-position logits of the ten most likely tokens, as decimals."""
    token_ids: tuple[int, ...]
    """Those tokens."""


class Probe(Noun):
    """`probe.json`."""

    format: Literal[1] = 1
    prompts: tuple[ProbePrompt, ...]
