"""Where a package comes from: an in-toto Statement with the SLSA v1 provenance predicate.

Owns the statement and its checks. With a key it stands in `provenance.dsse.json`, signed; without one it is
`provenance.json`, the bare statement: covered by the manifest's hashes, and nobody's word. It claims no SLSA level: the
builder is whoever ran hrmbuild. Sources: https://slsa.dev/spec/v1.0/provenance, https://github.com/in-toto/attestation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from hrmbuild import __version__
from hrmbuild.audit.checks import Check, named, not_looked_at
from hrmbuild.audit.keys import PrivateKey
from hrmbuild.audit.signing import Envelope, parse_canonical, read_signed, signed_bytes, statement
from hrmbuild.audit.trust import Trust
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json
from hrmbuild.records.base import Noun, Sha256
from hrmbuild.records.package import NOT_CONTENT, PackageManifest

PROVENANCE_NAME, SIGNED_PROVENANCE_NAME = "provenance.json", "provenance.dsse.json"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:hrmbuild:package:1"
BUILDER = "urn:hrmbuild:builder:whoever-signed"


class Materials(Noun):
    """What went in, by hash; the names are those of the statement's resolved dependencies."""

    corpus_manifest: Sha256
    run_config: Sha256
    """Settings of the run, resolved."""
    run_metrics: Sha256
    """Head of the chain over every step's batch."""
    trained_weights: Sha256
    """The averaged weights of the last checkpoint."""
    packaging_code: Sha256
    """Files of the hrmbuild that packaged."""
    corpus_code: Sha256
    """Files of the hrmbuild that froze the corpus."""
    initial_weights: Sha256 | None = None
    """Weights that the run began from, where they were given."""
    included: tuple[Sha256, ...] = ()
    """Manifests of included corpora, `included_corpus_1` and on."""

    def by_name(self) -> dict[str, str]:
        """Name -> hash of each."""
        told = {name: value for name, value in self.canonical().items() if name != "included"}
        return told | {f"included_corpus_{number}": one for number, one in enumerate(self.included, start=1)}


class Origin(Noun):
    """What the statement says beyond hashes of the package's own files."""

    materials: Materials
    parameters: dict[str, str] = Field(default_factory=dict)
    """Settings of the run that a reader looks for first."""
    tools: dict[str, str] = Field(default_factory=dict)
    """Versions of what computed."""


def provenance_statement(
    origin: Origin, files: Mapping[str, str], *, content_root: str, signed_at: str | None
) -> dict[str, Any]:
    """The statement over the files of `content_root`."""
    subjects = [(name, digest) for name, digest in sorted(files.items()) if name not in NOT_CONTENT]
    materials = origin.materials.by_name()
    details: dict[str, Any] = {
        "builder": {"id": BUILDER, "version": {"hrmbuild": __version__, **origin.tools}},
        "byproducts": [{"name": "content_root", "digest": {"sha256": content_root}}],
    }
    if signed_at is not None:
        details["metadata"] = {"finishedOn": signed_at}
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": dict(origin.parameters),
            "resolvedDependencies": [
                {"name": name, "digest": {"sha256": digest}} for name, digest in sorted(materials.items())
            ],
        },
        "runDetails": details,
    }
    return statement(subjects=subjects, predicate_type=PREDICATE_TYPE, predicate=predicate)


def provenance_file(
    origin: Origin, files: Mapping[str, str], *, content_root: str, key: PrivateKey | None, signed_at: str
) -> tuple[str, bytes]:
    """Name and bytes of the package's provenance."""
    value = provenance_statement(origin, files, content_root=content_root, signed_at=None if key is None else signed_at)
    if key is None:
        return PROVENANCE_NAME, canonical_json(value) + b"\n"
    return SIGNED_PROVENANCE_NAME, signed_bytes(value, key)


def provenance_checks(folder: Path, manifest: PackageManifest, *, trust: Trust | None) -> Iterator[Check]:
    """Whether the statement is about this package; and, with a trust file, whether it counts. Packages of the first
    release hold none."""
    name = _name_in(manifest)
    if name is None:
        yield not_looked_at("provenance", "it states none: packages of the first release do not")
        return
    try:
        value, envelope = _read(folder / name)
        wrong = list(_problems(value, manifest))
    except InputError as error:
        yield Check("provenance", False, error.what)
        return
    materials = len(_dependencies(value))
    yield Check("provenance", not wrong, named(wrong) if wrong else f"about these files, {materials} materials")
    if trust is not None and envelope is not None:
        stated = value["predicate"].get("runDetails", {}).get("metadata", {}).get("finishedOn")
        verdict = trust.judge(envelope, role="packager", signed_at=stated)
        detail = verdict.detail.removeprefix("signed by ")
        yield Check("provenance signed by", verdict.ok, detail, about_who=True)


def _name_in(manifest: PackageManifest) -> str | None:
    return next((one for one in (SIGNED_PROVENANCE_NAME, PROVENANCE_NAME) if one in manifest.files), None)


def stated_materials(folder: Path, manifest: PackageManifest) -> dict[str, str]:
    """Name -> SHA-256 of what a package says that went in; empty where it says nothing that can be read."""
    name = _name_in(manifest)
    try:
        return _dependencies(_read(folder / name)[0]) if name is not None else {}
    except InputError:
        return {}  # Said by its own check.


def _read(path: Path) -> tuple[dict[str, Any], Envelope | None]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError("package.provenance", f"cannot be read: {error.strerror}", where=path.name) from error
    if path.name == SIGNED_PROVENANCE_NAME:
        envelope = read_signed(data, where=path.name)
        return envelope.statement, envelope
    value = parse_canonical(data, where=path.name)
    if not isinstance(value, dict) or cast(dict[str, Any], value).keys() < {"predicate", "subject", "predicateType"}:
        raise InputError("package.provenance", "it is no in-toto Statement", where=path.name)
    return cast(dict[str, Any], value), None


def _problems(value: dict[str, Any], manifest: PackageManifest) -> Iterator[str]:
    content = {name: digest for name, digest in manifest.files.items() if name not in NOT_CONTENT}
    if value["subject"] != [{"name": n, "digest": {"sha256": d}} for n, d in sorted(content.items())]:
        yield "its subjects are other files than the manifest's"
    if value["predicateType"] != PREDICATE_TYPE:
        yield f"its predicate is no {PREDICATE_TYPE}"
    told = _dependencies(value)
    wanted = {
        "corpus_manifest": manifest.corpus_manifest_sha256,
        "run_config": manifest.run_config_sha256,
        "trained_weights": manifest.trained_weights_sha256,
    }
    yield from (f"it states another {name}" for name, digest in wanted.items() if told.get(name) != digest)
    if "initial_weights" in told and manifest.lineage == "complete":
        yield "it names initial weights, and the manifest a complete lineage"


def _dependencies(value: dict[str, Any]) -> dict[str, str]:
    """Name -> SHA-256 of the materials, as far as they have the form that we write."""
    try:
        listed = value["predicate"]["buildDefinition"]["resolvedDependencies"]
        return {str(one["name"]): str(one["digest"]["sha256"]) for one in listed}
    except (KeyError, TypeError):
        return {}
