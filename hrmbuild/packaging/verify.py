"""Whether a package is what its manifest says, on a CPU, offline, from the folder alone.

Owns the checks of a package. Each stands on its own line, and none is skipped because another failed: what can't be
read for one check is that check's failure. It must not look outside the folder, but for the trust file that is handed
in; the chain back to corpus and sources is joined in `pipelines.verify`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError

from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.manifest import canonical_problem
from hrmbuild.audit.trust import Trust
from hrmbuild.config.model import ModelConfig
from hrmbuild.errors import HrmbuildError, InputError, raise_all
from hrmbuild.files import entries_of
from hrmbuild.fingerprint import hash_file, sha256_hex
from hrmbuild.inference.load import load_package, read_json_object
from hrmbuild.inference.stored_weights import StoredWeights
from hrmbuild.inference.transformers_config import model_config
from hrmbuild.model import build_model
from hrmbuild.model.digest import weights_sha256
from hrmbuild.packaging.probe import compare_probe
from hrmbuild.packaging.provenance import SIGNED_PROVENANCE_NAME, provenance_checks
from hrmbuild.packaging.signature import SIGNATURE_NAME, signature_checks
from hrmbuild.packaging.tokenizer_files import frozen_tokenizer, is_framed
from hrmbuild.packaging.write import CORPUS_MANIFEST_NAME, MANIFEST_NAME, PROBE_NAME
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.package import PackageManifest, Probe, package_content_root, self_digest

_DTYPES = {"float32": "F32", "bfloat16": "BF16"}
_OTHER_KINDS = {
    "missing": "missing",
    "hard link": "is a hard link: under its other name somebody could change it unseen (a plain copy is none)",
}


def read_package_manifest(folder: Path) -> PackageManifest:
    """`manifest.json` of a package.

    Raises:
        InputError: it is missing, no package manifest of format 1, or not the bytes that were written.
    """
    path = folder / MANIFEST_NAME
    try:
        data = path.read_bytes()
        manifest = PackageManifest.model_validate_json(data, strict=True)
    except (OSError, ValidationError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise _altered(path, f"this is no package manifest: {told}") from error
    if canonical_problem(data) is not None or self_digest(json.loads(data)) != manifest.self_sha256:
        raise _altered(path, "the manifest is not the bytes that were written")
    return manifest


def _altered(path: Path, what: str) -> InputError:
    return InputError("package.manifest_altered", what, where=str(path), fix="copy the package again")


@dataclass(frozen=True)
class Present:
    """What stands in a folder; every regular file is hashed once."""

    kinds: dict[str, str]
    """POSIX path -> what stands there, as `files.entries_of` says it."""
    hashes: dict[str, str]
    """SHA-256 of every regular file."""
    unreadable: dict[str, str]
    """Why a regular file could not be read."""


def look_at(folder: Path) -> Present:
    """List and hash a folder."""
    kinds = dict(entries_of(folder))
    hashes: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for name, kind in kinds.items():
        if kind in ("file", "hard link"):
            try:
                hashes[name] = hash_file(folder / name)
            except OSError as error:
                unreadable[name] = error.strerror or str(error)
    return Present(kinds, hashes, unreadable)


def check_files(folder: Path) -> None:
    """Hash every file before anything in it is used: what was altered, is missing or was put in never answers.

    It hashes at every call (about a second a gigabyte): a stamp of an earlier look would be one more thing to forge.

    Raises:
        InputError: `package.manifest_altered`, or `package.altered` with one error for each file.
    """
    manifest, present = read_package_manifest(folder), look_at(folder)
    # Under which other names a file is known does not matter here: it was hashed just now.
    kinds = {name: "file" if kind == "hard link" else kind for name, kind in present.kinds.items()}
    raise_all([
        InputError("package.altered", f"{check.name}: {check.detail}", where=str(folder),
                   why="its answers would not be those of the model that was packaged",
                   fix="copy the package again, or run: hrmbuild verify on it")
        for check in _file_checks(replace(present, kinds=kinds), manifest)
        if not check.ok
    ])  # fmt: skip


def verify_package(folder: Path, *, trust: Trust | None = None) -> tuple[Check, ...]:
    """All checks of one package; with a trust file also who signed it."""
    try:
        manifest = read_package_manifest(folder)
        first = Check(MANIFEST_NAME, True, f"{manifest.name} {manifest.version}, {manifest.step} steps")
    except InputError as error:
        manifest = _readable_manifest(folder)
        first = Check(MANIFEST_NAME, False, error.what)
    if manifest is None:
        unsigned = Check("signed by", False, "not to be told without a manifest", about_who=True)
        return (first, *([unsigned] if trust is not None else []))
    present = look_at(folder)
    content = _content_checks(folder, manifest, present)
    return (first, *_file_checks(present, manifest), *content, *_origin_checks(folder, manifest, present, trust))


def _readable_manifest(folder: Path) -> PackageManifest | None:
    """An altered manifest that still has the right shape: what it says is compared all the same."""
    try:
        return PackageManifest.model_validate_json((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def _file_checks(present: Present, manifest: PackageManifest) -> Iterator[Check]:
    for name in sorted(manifest.files):
        yield _file_check(name, manifest.files[name], present)
    own = (MANIFEST_NAME, SIGNATURE_NAME)
    extra = [
        f"{name} ({kind})" if kind != "file" else name
        for name, kind in sorted(present.kinds.items())
        if name not in manifest.files and (name not in own or kind != "file")
    ]
    yield Check("no other file", not extra, f"extra: {named(extra)}" if extra else f"{len(present.kinds)} files")


def _file_check(name: str, expected: str, present: Present) -> Check:
    kind = present.kinds.get(name, "missing")
    wrong = [] if kind == "file" else [_OTHER_KINDS.get(kind, f"is a {kind}")]
    if name in present.unreadable:
        wrong.append(f"cannot be read: {present.unreadable[name]}")
    elif name in present.hashes and present.hashes[name] != expected:
        wrong.append("altered: its sha256 is another")
    return Check(f"file {name}", not wrong, "; ".join(wrong) or "sha256 as listed")


def _origin_checks(folder: Path, manifest: PackageManifest, present: Present, trust: Trust | None) -> Iterator[Check]:
    yield from provenance_checks(folder, manifest, trust=trust)
    hashes = {name: digest for name, digest in present.hashes.items() if name != SIGNATURE_NAME}
    expected = SIGNED_PROVENANCE_NAME in manifest.files
    root = manifest.content_root
    yield from signature_checks(folder, hashes, expected=expected, content_root=root, trust=trust)


def _content_checks(folder: Path, manifest: PackageManifest, present: Present) -> Iterator[Check]:
    """Each check with the name under which its failure is told."""
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("config", lambda: _check_config(folder, manifest)),
        ("tensors", lambda: _check_tensors(folder, manifest)),
        ("weights digest", lambda: _check_weights(folder, manifest)),
        ("tokenizer", lambda: _check_tokenizer(folder, manifest)),
        ("corpus manifest", lambda: _check_corpus_manifest(folder, manifest)),
        ("label", lambda: _check_label(folder, manifest)),
        ("probe", lambda: _check_probe(folder)),
        ("content_root", lambda: _check_content_root(manifest, present)),
    )
    for name, check in checks:
        try:
            yield Check(name, True, check())
        except _NoError as error:
            yield Check(name, False, str(error))
        except HrmbuildError as error:
            yield Check(name, False, f"{error.what} ({error.where})" if error.where else error.what)
        except (OSError, ValueError, TypeError, LookupError, SafetensorError) as error:
            # Whatever stands in an altered file, reading it must end as this check's failure.
            yield Check(name, False, f"cannot be read: {(str(error) or repr(error)).splitlines()[0]}")


class _NoError(Exception):
    """A check said no; its text is the detail."""


def _shape(folder: Path) -> ModelConfig:
    path = folder / "config.json"
    return model_config(read_json_object(path), where=path.name)


def _check_config(folder: Path, manifest: PackageManifest) -> str:
    config = _shape(folder)
    stored = read_json_object(folder / "config.json")["dtype"]
    if stored != manifest.dtype:
        raise _NoError(f"dtype {stored}, the manifest says {manifest.dtype}")
    layers = f"{config.layers_per_stack} + {config.layers_per_stack} layers"
    return f"hrm_text, width {config.hidden_size}, {layers}, context {config.context_tokens}"


def _check_tensors(folder: Path, manifest: PackageManifest) -> str:
    with torch.device("meta"):
        expected = {name: tuple(t.shape) for name, t in build_model(_shape(folder)).state_dict().items()}
    stored = StoredWeights(*sorted(folder.glob("model*.safetensors")))
    wrong = [f"{name} missing" for name in sorted(expected.keys() - stored.keys())]
    wrong += [f"{name} unexpected" for name in sorted(stored.keys() - expected.keys())]
    wanted = _DTYPES[manifest.dtype]
    for name in sorted(expected.keys() & stored.keys()):
        dtype, shape = stored.form(name)
        if (dtype, shape) != (wanted, expected[name]):
            wrong.append(f"{name} is {dtype} {list(shape)} instead of {wanted} {list(expected[name])}")
    if wrong:
        raise _NoError(named(wrong))
    return f"{len(expected)} tensors, fused names, {manifest.dtype}, shapes as the config says"


def _check_weights(folder: Path, manifest: PackageManifest) -> str:
    digest = weights_sha256(StoredWeights.of_folder(folder))
    if digest != manifest.weights_sha256:
        raise _NoError(f"{digest[:12]}…, the manifest says {manifest.weights_sha256[:12]}…")
    if manifest.dtype == "float32" and digest != manifest.trained_weights_sha256:
        raise _NoError("nothing was rounded, yet the manifest names other trained weights")
    return f"{digest[:12]}… as recorded"


def _check_tokenizer(folder: Path, manifest: PackageManifest) -> str:
    data = (folder / "tokenizer.json").read_bytes()
    digest = sha256_hex(frozen_tokenizer(data))
    frozen = Manifest.model_validate_json((folder / CORPUS_MANIFEST_NAME).read_bytes()).tokenizer.sha256
    if not digest == manifest.tokenizer_sha256 == frozen:
        raise _NoError("without its post-processor it is not the tokenizer that the corpus was frozen with")
    if not is_framed(data):
        raise _NoError("its post-processor is not the one that frames a prompt as in training")
    return f"{digest[:12]}…, the one that the corpus was frozen with"


def _check_corpus_manifest(folder: Path, manifest: PackageManifest) -> str:
    data = (folder / CORPUS_MANIFEST_NAME).read_bytes()
    corpus = Manifest.model_validate_json(data)
    problem = canonical_problem(data)
    if problem is not None:
        raise _NoError(problem)
    if sha256_hex(data) != manifest.corpus_manifest_sha256:
        raise _NoError("its sha256 is another than the manifest's corpus_manifest_sha256")
    if corpus.content_root != manifest.corpus_content_root:
        raise _NoError("its content_root is another than the manifest's corpus_content_root")
    pairs = sum(count.pairs for count in corpus.splits.values())
    return f"content_root {corpus.content_root[:12]}…, {pairs:,} pairs, {len(corpus.sources)} sources"


def _check_label(folder: Path, manifest: PackageManifest) -> str:
    corpus = Manifest.model_validate_json((folder / CORPUS_MANIFEST_NAME).read_bytes())
    wrong = [
        f"{name} {ours!r}, the corpus manifest says {theirs!r}"
        for name, ours, theirs in (
            ("label", manifest.label, corpus.label),
            ("prompt template", manifest.prompt_template_sha256, corpus.prompt_template_sha256),
        )
        if theirs is not None and ours != theirs
    ]
    if corpus.lineage != "complete" and manifest.lineage == "complete":
        wrong.append(f"lineage complete, the corpus's is {corpus.lineage}")
    if wrong:
        raise _NoError(named(wrong))
    return f"{manifest.label}, as the corpus manifest says; lineage {manifest.lineage}"


def _check_probe(folder: Path) -> str:
    probe = Probe.model_validate_json((folder / PROBE_NAME).read_bytes())
    loaded = load_package(folder)
    differing, figures = compare_probe(loaded.model, loaded.tokenizer, probe)
    if differing:
        raise _NoError(f"{figures}; {named(differing, limit=3)}")
    return figures


def _check_content_root(manifest: PackageManifest, present: Present) -> str:
    """From the bytes on disk, not from the listed hashes."""
    missing = sorted(manifest.files.keys() - present.hashes.keys())
    if missing:
        raise _NoError(f"cannot be computed without {named(missing)}")
    found = {name: present.hashes[name] for name in manifest.files}
    root = package_content_root(found, corpus_content_root=manifest.corpus_content_root)
    if root != manifest.content_root:
        raise _NoError(f"{root[:12]}…, the manifest says {manifest.content_root[:12]}…")
    return f"{root[:12]}… recomputed from the files"
