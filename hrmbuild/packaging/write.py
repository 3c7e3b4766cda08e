"""The package on disk: every file, its hash, and a folder that appears whole or not at all.

Owns the list of files and their bytes. It must not train, score or decide what goes on the card. Order: weights, what
they answer, everything else into `.<name>.incomplete`, then provenance, manifest and signature, then fsync and rename.
Weights pass through one at a time: beside them only the model that is asked for the probe is held, in float32.

    config.json, generation_config.json, model*.safetensors    what loaders read (fused names only: vLLM and SGLang)
    tokenizer.json, tokenizer_config.json, chat_template.jinja  the prompt's frame
    README.md, receipts.json, bom.cdx.json                      card, cost and machine, bill of materials
    corpus-manifest.json, provenance.json (signed: provenance.dsse.json)    where it comes from
    probe.json, manifest.json, model.sig                        what it said, all hashes, and with a key the signature
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from hrmbuild import __version__
from hrmbuild.audit.keys import PrivateKey
from hrmbuild.config.model import ModelConfig
from hrmbuild.errors import UsageError
from hrmbuild.files import disk_errors, rename_folder
from hrmbuild.fingerprint import hash_file, sha256_hex
from hrmbuild.inference.generate import MAX_NEW_TOKENS, Prompt
from hrmbuild.inference.load import model_from_state
from hrmbuild.inference.stored_weights import StoredWeights, WrittenWeights, stream_weights
from hrmbuild.inference.transformers_config import SpecialIds, transformers_config
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.packaging.bom import bill_of_materials
from hrmbuild.packaging.card import render_card
from hrmbuild.packaging.card_facts import CardFacts
from hrmbuild.packaging.probe import MAX_NEW_TOKENS as MAX_PROBE_TOKENS
from hrmbuild.packaging.probe import first_logits, record_probe
from hrmbuild.packaging.provenance import Origin, provenance_file
from hrmbuild.packaging.signature import SIGNATURE_NAME, signature_bytes
from hrmbuild.packaging.tokenizer_files import package_tokenizer, tokenizer_config
from hrmbuild.records.package import PackageManifest, package_content_root, self_digest
from hrmbuild.records.passage import Access
from hrmbuild.tokens.control import CONTROL_IDS, END, PAD, START
from hrmbuild.tokens.tokenizer import TextTokenizer

MANIFEST_NAME = "manifest.json"
CORPUS_MANIFEST_NAME = "corpus-manifest.json"
PROBE_NAME = "probe.json"
CHAT_TEMPLATE_NAME = "chat_template.jinja"
StorageDtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class PackageContents:
    """What a package is made of."""

    config: ModelConfig
    state: Mapping[str, Tensor]
    """Averaged weights by fused name, float32."""
    dtype: StorageDtype
    frozen_tokenizer: bytes
    corpus_manifest: bytes
    """The frozen corpus's `manifest.json`, byte for byte."""
    facts: CardFacts
    receipts: dict[str, Any]
    """Clock, cost, machine: JSON values, left out of `content_root`."""
    probe_prompts: tuple[Prompt, ...]
    prompt_template_sha256: str
    origin: Origin
    step: int
    probe_tokens: int = MAX_PROBE_TOKENS
    """Bound of the probe's answers."""
    exact_logits: tuple[Tensor, ...] = ()
    """First-position logits of the probe's prompts by the float32 weights, where rounding may move them."""
    access: Access | None = None
    """Who may ask, where the project declares roles."""


@dataclass(frozen=True)
class Signing:
    """Who signs a package, and when."""

    key: PrivateKey
    signed_at: str
    """`2026-11-22T17:31:30Z`; it stands in nothing that `content_root` hashes."""


Record = Callable[[PackageManifest], str]
"""Tells the project's log of a manifest before it is published, and returns the log's head."""


def write_package(
    contents: PackageContents,
    folder: Path,
    *,
    templates: Path,
    signing: Signing | None = None,
    record: Record | None = None,
) -> PackageManifest:
    """Write the package folder.

    Args:
        templates: the folder `templates/package`.
        signing: who signs it; None leaves `model.sig` out.
        record: where the package is logged; a signature states the log's head.

    Raises:
        UsageError: `package.exists`: the folder is there already.
        InputError: the disk is full or not writable; nothing appears under the final name then.
    """
    refuse_existing(folder)
    incomplete = folder.with_name(f".{folder.name}.incomplete")
    with disk_errors(incomplete):
        if incomplete.exists():
            shutil.rmtree(incomplete)
        incomplete.mkdir(parents=True)
        files = _write_files(contents, incomplete, templates)
        manifest = _write_manifest(contents, incomplete, files, signing)
        head = record(manifest) if record is not None else None
        if signing is not None:
            (incomplete / SIGNATURE_NAME).write_bytes(_signature(manifest, signing, log_head=head))
    rename_folder(incomplete, folder)
    return manifest


def refuse_existing(folder: Path) -> None:
    """A package is never overwritten.

    Raises:
        UsageError: `package.exists`.
    """
    if folder.exists() or folder.is_symlink():
        raise UsageError(
            "package.exists",
            "this folder is there already",
            where=str(folder),
            why="a package is never overwritten: somebody may be using it",
            fix="choose another folder with --out, raise model.version, or move the old package away",
        )


def _write_files(contents: PackageContents, folder: Path, templates: Path) -> WrittenWeights:
    """Everything that says what the model is and does; a model that no library loads is refused before its weights."""
    ids = SpecialIds(bos=CONTROL_IDS[START], eos=CONTROL_IDS[END], pad=CONTROL_IDS[PAD])
    config = _pretty(transformers_config(contents.config, ids=ids, dtype=contents.dtype))
    (folder / "config.json").write_bytes(config)
    (folder / "generation_config.json").write_bytes(_pretty(_generation_config(contents.config, ids)))
    weights = stream_weights(contents.state, folder, dtype=getattr(torch, contents.dtype))
    model = model_from_state(contents.config, StoredWeights(weights.path), where=str(folder))
    tokenizer = TextTokenizer(contents.frozen_tokenizer)
    probe = record_probe(model, tokenizer, contents.probe_prompts, max_new_tokens=contents.probe_tokens)
    (folder / PROBE_NAME).write_bytes(probe.canonical_bytes())
    facts = contents.facts.model_copy(update={"rounding": _rounding(contents, model, tokenizer)})
    for name, data in _small_files(contents, facts, templates, weights.weights_sha256).items():
        (folder / name).write_bytes(data)
    return weights


def _rounding(contents: PackageContents, model: LanguageModel, tokenizer: TextTokenizer) -> str:
    """What storing the weights cost, in one sentence."""
    if contents.dtype == "float32":
        return "The weights are stored as they were trained (float32): nothing was rounded."
    if not contents.exact_logits:
        return f"The weights are stored as {contents.dtype}; what the rounding costs was not measured."
    rounded = first_logits(model, tokenizer, contents.probe_prompts)
    off = [(a - b).abs().max().item() for a, b in zip(contents.exact_logits, rounded, strict=True)]
    return (
        f"The weights are stored as {contents.dtype}; against the float32 weights of training the logits at the first "
        f"position of the {len(off)} probe prompts differ by at most {max(off):.3f}."
    )


def _write_manifest(
    contents: PackageContents, folder: Path, weights: WrittenWeights, signing: Signing | None
) -> PackageManifest:
    """Provenance, then the manifest: each hashes what was written before it."""
    files = {path.name: hash_file(path) for path in sorted(folder.iterdir())}
    root = package_content_root(files, corpus_content_root=contents.facts.manifest.content_root)
    key, signed_at = (signing.key, signing.signed_at) if signing else (None, "")
    name, data = provenance_file(contents.origin, files, content_root=root, key=key, signed_at=signed_at)
    (folder / name).write_bytes(data)
    files[name] = sha256_hex(data)
    manifest = _manifest(contents, files, content_root=root, weights=weights.weights_sha256)
    (folder / MANIFEST_NAME).write_bytes(manifest.canonical_bytes())
    return manifest


def _signature(manifest: PackageManifest, signing: Signing, *, log_head: str | None) -> bytes:
    files = manifest.files | {MANIFEST_NAME: sha256_hex(manifest.canonical_bytes())}
    stated = {"content_root": manifest.content_root, "signed_at": signing.signed_at}
    if log_head is not None:
        stated["log_head"] = log_head
    return signature_bytes(files, signing.key, name=f"{manifest.name} {manifest.version}", stated=stated)


def _small_files(contents: PackageContents, facts: CardFacts, templates: Path, weights: str) -> dict[str, bytes]:
    return {
        "tokenizer.json": package_tokenizer(contents.frozen_tokenizer),
        "tokenizer_config.json": _pretty(tokenizer_config(contents.config.context_tokens)),
        CHAT_TEMPLATE_NAME: (templates / CHAT_TEMPLATE_NAME).read_bytes(),
        "README.md": render_card(facts, templates),
        "bom.cdx.json": _pretty(bill_of_materials(facts, weights_sha256=weights, hrmbuild=__version__)),
        "receipts.json": _pretty(contents.receipts),
        CORPUS_MANIFEST_NAME: contents.corpus_manifest,
    }


def _generation_config(config: ModelConfig, ids: SpecialIds) -> dict[str, Any]:
    return {
        "bos_token_id": ids.bos,
        "do_sample": False,
        "eos_token_id": ids.eos,
        # Not `max_length`: beside a caller's own max_new_tokens the library warns of it at every call.
        "max_new_tokens": min(MAX_NEW_TOKENS, config.context_tokens // 2),
        "pad_token_id": ids.pad,
        "use_cache": True,
    }


def _manifest(contents: PackageContents, files: dict[str, str], *, content_root: str, weights: str) -> PackageManifest:
    corpus = contents.facts.manifest
    draft = PackageManifest(
        hrmbuild=__version__,
        name=contents.facts.owner.name,
        version=contents.facts.owner.version,
        preset=contents.facts.training.preset,
        arch=contents.config.arch,
        label=corpus.label,
        access=contents.access,
        lineage=contents.facts.lineage,
        corpus_content_root=corpus.content_root,
        corpus_manifest_sha256=sha256_hex(contents.corpus_manifest),
        tokenizer_sha256=sha256_hex(contents.frozen_tokenizer),
        prompt_template_sha256=contents.prompt_template_sha256,
        run_config_sha256=contents.origin.materials.run_config,
        step=contents.step,
        trained_weights_sha256=contents.origin.materials.trained_weights,
        weights_sha256=weights,
        ema=True,
        dtype=contents.dtype,
        files=files,
        content_root=content_root,
        self_sha256="0" * 64,
    )
    return draft.model_copy(update={"self_sha256": self_digest(draft.canonical())})


def _pretty(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode("utf-8")
