"""The package's own manifest, format 1: the hash of every file and the links back to run and corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from hrmbuild.fingerprint import hash_value
from hrmbuild.records.base import DecimalText, Noun, Sha256
from hrmbuild.records.passage import Access

NOT_CONTENT = frozenset(
    {"README.md", "corpus-manifest.json", "provenance.dsse.json", "provenance.json", "receipts.json"}
)
"""Files that differ between equal runs: the card and the receipts speak of time and machine, the manifest's copy holds
salted roots (`corpus_content_root` stands for it), a signature is another each time. `model.sig` is in no list: it
signs the manifest."""


class PackageManifest(Noun):
    """`manifest.json` of a package; it lists every file of the folder but itself and `model.sig`. Its file is the RFC
    8785 bytes."""

    format: Literal[1] = 1
    hrmbuild: str
    """Version that packaged it."""
    name: str
    version: str
    preset: str
    arch: str
    label: str
    """Highest label of what it was trained on."""
    access: Access | None = None
    """Who may ask; absent: the project declared no roles."""
    lineage: str
    """`complete`, or `partial: …` with what is outside."""
    corpus_content_root: Sha256
    corpus_manifest_sha256: Sha256
    tokenizer_sha256: Sha256
    """Of the tokenizer as frozen; the packaged one is that with a post-processor."""
    prompt_template_sha256: Sha256
    """Of the template that makes passages and a question into an instruction."""
    run_config_sha256: Sha256
    step: int
    """Updates behind the packaged weights."""
    trained_weights_sha256: Sha256
    """Digest of the weights as the checkpoint holds them, before any rounding."""
    weights_sha256: Sha256
    """Digest of the weights as stored (names, dtypes, shapes, bytes; sorted by name)."""
    ema: bool
    """Whether the packaged weights are the EMA."""
    dtype: Literal["float32", "bfloat16"]
    files: dict[str, Sha256]
    """Every file by its POSIX path."""
    content_root: Sha256
    """See `package_content_root`: equal for equal runs."""
    self_sha256: Sha256
    """Over the canonical JSON of all other fields: an accident to this file is found without any key."""


def self_digest(fields: Mapping[str, Any]) -> str:
    """What `self_sha256` should be, from the fields as they stand in the file: a field added later changes nothing."""
    return hash_value({key: value for key, value in fields.items() if key != "self_sha256"})


def package_content_root(files: dict[str, str], *, corpus_content_root: str) -> str:
    """Hash over the files that are equal for equal runs, and the corpus they stand on."""
    content = {path: digest for path, digest in files.items() if path not in NOT_CONTENT}
    return hash_value({"corpus_content_root": corpus_content_root, "files": content})


class ProbePrompt(Noun):
    """One frozen prompt with what the model said when it was packaged."""

    instruction: str
    condition: str
    answer: str
    """Greedy answer."""
    margin: DecimalText
    """Smallest difference between the best and the second-best logit over the answer's tokens."""
    logits: tuple[DecimalText, ...]
    """First-position logits of the ten most likely tokens."""
    token_ids: tuple[int, ...]
    """Those tokens, the most likely first."""


class Probe(Noun):
    """`probe.json`: its file is the RFC 8785 bytes."""

    format: Literal[1] = 1
    max_new_tokens: int
    """Bound of the answers."""
    prompts: tuple[ProbePrompt, ...]
