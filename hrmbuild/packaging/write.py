"""The package on disk: every file, its hash, and a folder that appears whole or not at all.

Owns the list of files and their bytes. It must not train, score or decide what goes on the card. Order: everything but
the manifest into `.<name>.incomplete`, then the manifest, then fsync and rename.

    config.json, generation_config.json, model*.safetensors    what loaders read (fused names only: vLLM and SGLang)
    tokenizer.json, tokenizer_config.json, chat_template.jinja  the prompt's frame
    README.md, receipts.json, bom.cdx.json                      card, cost and machine, bill of materials
    corpus-manifest.json, probe.json, manifest.json             where it comes from, what it said, and all hashes
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from hrmbuild import __version__
from hrmbuild.config.model import ModelConfig
from hrmbuild.errors import UsageError
from hrmbuild.files import disk_errors, rename_folder
from hrmbuild.fingerprint import hash_file, sha256_hex
from hrmbuild.inference.generate import MAX_NEW_TOKENS, Prompt
from hrmbuild.inference.load import model_from_state
from hrmbuild.inference.transformers_config import SpecialIds, transformers_config
from hrmbuild.inference.weight_files import write_weights
from hrmbuild.model.digest import weights_sha256
from hrmbuild.packaging.bom import bill_of_materials
from hrmbuild.packaging.card import render_card
from hrmbuild.packaging.card_facts import CardFacts
from hrmbuild.packaging.probe import record_probe
from hrmbuild.packaging.tokenizer_files import package_tokenizer, tokenizer_config
from hrmbuild.records.package import PackageManifest, package_content_root, self_digest
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
    run_config_sha256: str
    step: int


def write_package(contents: PackageContents, folder: Path, *, templates: Path) -> PackageManifest:
    """Write the package folder.

    Args:
        templates: the folder `templates/package`.

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
        manifest = _write_files(contents, incomplete, templates)
        (incomplete / MANIFEST_NAME).write_bytes(manifest.canonical_bytes())
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


def _write_files(contents: PackageContents, folder: Path, templates: Path) -> PackageManifest:
    stored = {name: tensor.to(getattr(torch, contents.dtype)) for name, tensor in sorted(contents.state.items())}
    write_weights(stored, folder)
    digest = weights_sha256(stored)
    for name, data in _small_files(contents, templates, digest).items():
        (folder / name).write_bytes(data)
    model = model_from_state(contents.config, stored, where=str(folder))
    tokenizer = TextTokenizer(contents.frozen_tokenizer)
    (folder / PROBE_NAME).write_bytes(record_probe(model, tokenizer, contents.probe_prompts).canonical_bytes())
    files = {path.name: hash_file(path) for path in sorted(folder.iterdir())}
    return _manifest(contents, files, weights=digest)


def _small_files(contents: PackageContents, templates: Path, weights: str) -> dict[str, bytes]:
    config = contents.config
    ids = SpecialIds(bos=CONTROL_IDS[START], eos=CONTROL_IDS[END], pad=CONTROL_IDS[PAD])
    return {
        "config.json": _pretty(transformers_config(config, ids=ids, dtype=contents.dtype)),
        "generation_config.json": _pretty(_generation_config(config, ids)),
        "tokenizer.json": package_tokenizer(contents.frozen_tokenizer),
        "tokenizer_config.json": _pretty(tokenizer_config(config.context_tokens)),
        CHAT_TEMPLATE_NAME: (templates / CHAT_TEMPLATE_NAME).read_bytes(),
        "README.md": render_card(contents.facts, templates),
        "bom.cdx.json": _pretty(bill_of_materials(contents.facts, weights_sha256=weights, hrmbuild=__version__)),
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


def _manifest(contents: PackageContents, files: dict[str, str], *, weights: str) -> PackageManifest:
    corpus = contents.facts.manifest
    draft = PackageManifest(
        hrmbuild=__version__,
        name=contents.facts.owner.name,
        version=contents.facts.owner.version,
        preset=contents.facts.training.preset,
        arch=contents.config.arch,
        label=corpus.label,
        lineage=contents.facts.lineage,
        corpus_content_root=corpus.content_root,
        corpus_manifest_sha256=sha256_hex(contents.corpus_manifest),
        tokenizer_sha256=sha256_hex(contents.frozen_tokenizer),
        prompt_template_sha256=contents.prompt_template_sha256,
        run_config_sha256=contents.run_config_sha256,
        step=contents.step,
        trained_weights_sha256=weights_sha256(contents.state),
        weights_sha256=weights,
        ema=True,
        dtype=contents.dtype,
        files=files,
        content_root=package_content_root(files, corpus_content_root=corpus.content_root),
        self_sha256="0" * 64,
    )
    return draft.model_copy(update={"self_sha256": self_digest(draft.canonical())})


def _pretty(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode("utf-8")
