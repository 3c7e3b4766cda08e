"""Whether a package is what its manifest says, on a CPU, offline, from the folder alone.

Owns the checks of a package. Each stands on its own line, and none is skipped because another failed: what can't be
read for one check is that check's failure. It must not look outside the folder; the chain back to corpus and sources
is joined in `pipelines.verify`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.manifest import canonical_problem
from hrmbuild.config.model import ModelConfig
from hrmbuild.errors import HrmbuildError, InputError, raise_all
from hrmbuild.fingerprint import hash_file, sha256_hex
from hrmbuild.inference.load import load_package, read_json_object, read_safely
from hrmbuild.inference.transformers_config import model_config
from hrmbuild.model import build_model
from hrmbuild.model.digest import weights_sha256
from hrmbuild.packaging.probe import compare_probe
from hrmbuild.packaging.tokenizer_files import frozen_tokenizer
from hrmbuild.packaging.write import CORPUS_MANIFEST_NAME, MANIFEST_NAME, PROBE_NAME
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.package import PackageManifest, Probe, package_content_root, self_digest

_DTYPES = {"float32": "F32", "bfloat16": "BF16"}


def read_package_manifest(folder: Path) -> PackageManifest:
    """`manifest.json` of a package.

    Raises:
        InputError: it is missing, no package manifest of format 1, or not the bytes that were written.
    """
    path = folder / MANIFEST_NAME
    try:
        data = path.read_bytes()
        manifest = PackageManifest.model_validate_json(data)
    except (OSError, ValidationError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise _altered(path, f"this is no package manifest: {told}") from error
    if canonical_problem(data) is not None or self_digest(json.loads(data)) != manifest.self_sha256:
        raise _altered(path, "the manifest is not the bytes that were written")
    return manifest


def _altered(path: Path, what: str) -> InputError:
    return InputError("package.manifest_altered", what, where=str(path), fix="copy the package again")


def check_files(folder: Path) -> None:
    """Hash every file before anything in it is used: what was altered, is missing or was put in never answers.

    It hashes at every call (about a second a gigabyte): a stamp of an earlier look would be one more thing to forge.

    Raises:
        InputError: `package.manifest_altered`, or `package.altered` with one error for each file.
    """
    manifest = read_package_manifest(folder)
    raise_all([
        InputError("package.altered", f"{check.name}: {check.detail}", where=str(folder),
                   why="its answers would not be those of the model that was packaged",
                   fix="copy the package again, or run: hrmbuild verify on it")
        for check in _file_checks(folder, manifest)
        if not check.ok
    ])  # fmt: skip


def verify_package(folder: Path) -> tuple[Check, ...]:
    """All checks of one package."""
    try:
        manifest = read_package_manifest(folder)
        first = Check(MANIFEST_NAME, True, f"{manifest.name} {manifest.version}, {manifest.step} steps")
    except InputError as error:
        manifest = _readable_manifest(folder)
        first = Check(MANIFEST_NAME, False, error.what)
    if manifest is None:
        return (first,)
    return (first, *_file_checks(folder, manifest), *_content_checks(folder, manifest))


def _readable_manifest(folder: Path) -> PackageManifest | None:
    """An altered manifest that still has the right shape: what it says is compared all the same."""
    try:
        return PackageManifest.model_validate_json((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def _file_checks(folder: Path, manifest: PackageManifest) -> Iterator[Check]:
    present = dict(_entries(folder))
    for name in sorted(manifest.files):
        yield _file_check(folder, name, present.get(name, "missing"), manifest.files[name])
    extra = [
        f"{name} ({kind})" if kind != "file" else name
        for name, kind in sorted(present.items())
        if name not in manifest.files and (name != MANIFEST_NAME or kind != "file")
    ]
    yield Check("no other file", not extra, f"extra: {named(extra)}" if extra else f"{len(present)} files")


def _entries(folder: Path, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every entry below a folder by POSIX path, with what it is; links are named, never followed."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        mode = entry.stat(follow_symlinks=False).st_mode
        name = prefix + entry.name
        if stat.S_ISDIR(mode):
            yield name, "folder"
            yield from _entries(Path(entry.path), name + "/")
        else:
            yield name, _kind(mode)


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "symbolic link"
    return "file" if stat.S_ISREG(mode) else "special file"


def _file_check(folder: Path, name: str, kind: str, expected: str) -> Check:
    if kind != "file":
        return Check(f"file {name}", False, kind if kind == "missing" else f"is a {kind}")
    try:
        same = hash_file(folder / name) == expected
    except OSError as error:
        return Check(f"file {name}", False, f"cannot be read: {error.strerror}")
    return Check(f"file {name}", same, "sha256 as listed" if same else "altered: its sha256 is another")


def _content_checks(folder: Path, manifest: PackageManifest) -> Iterator[Check]:
    """Each check with the name under which its failure is told."""
    checks: tuple[tuple[str, Callable[[Path, PackageManifest], str]], ...] = (
        ("config", _check_config),
        ("tensors", _check_tensors),
        ("weights digest", _check_weights),
        ("tokenizer", _check_tokenizer),
        ("corpus manifest", _check_corpus_manifest),
        ("probe", _check_probe),
        ("content_root", _check_content_root),
    )
    for name, check in checks:
        try:
            yield Check(name, True, check(folder, manifest))
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
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                piece = file.get_slice(name)
                found[name] = (tuple(piece.get_shape()), piece.get_dtype())
    wrong = [f"{name} missing" for name in sorted(expected.keys() - found.keys())]
    wrong += [f"{name} unexpected" for name in sorted(found.keys() - expected.keys())]
    wanted = _DTYPES[manifest.dtype]
    wrong += [
        f"{name} is {found[name][1]} {list(found[name][0])} instead of {wanted} {list(shape)}"
        for name, shape in sorted(expected.items())
        if name in found and found[name] != (shape, wanted)
    ]
    if wrong:
        raise _NoError(named(wrong))
    return f"{len(expected)} tensors, fused names, {manifest.dtype}, shapes as the config says"


def _check_weights(folder: Path, manifest: PackageManifest) -> str:
    digest = weights_sha256(read_safely(folder))
    if digest != manifest.weights_sha256:
        raise _NoError(f"{digest[:12]}…, the manifest says {manifest.weights_sha256[:12]}…")
    return f"{digest[:12]}… as recorded"


def _check_tokenizer(folder: Path, manifest: PackageManifest) -> str:
    digest = sha256_hex(frozen_tokenizer((folder / "tokenizer.json").read_bytes()))
    frozen = Manifest.model_validate_json((folder / CORPUS_MANIFEST_NAME).read_bytes()).tokenizer.sha256
    if not digest == manifest.tokenizer_sha256 == frozen:
        raise _NoError("without its post-processor it is not the tokenizer that the corpus was frozen with")
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


def _check_probe(folder: Path, manifest: PackageManifest) -> str:
    probe = Probe.model_validate_json((folder / PROBE_NAME).read_bytes())
    loaded = load_package(folder)
    differing, figures = compare_probe(loaded.model, loaded.tokenizer, probe)
    if differing:
        raise _NoError(f"{figures}; {named(differing, limit=3)}")
    return figures


def _check_content_root(folder: Path, manifest: PackageManifest) -> str:
    """From the bytes on disk, not from the listed hashes."""
    present = {name: hash_file(folder / name) for name in sorted(manifest.files)}
    root = package_content_root(present, corpus_content_root=manifest.corpus_content_root)
    if root != manifest.content_root:
        raise _NoError(f"{root[:12]}…, the manifest says {manifest.content_root[:12]}…")
    return f"{root[:12]}… recomputed from the files"
