"""The bill of materials: CycloneDX 1.6 with the model as a machine-learning component and the corpus as its data.

Owns the dictionary, written by hand because the library's classes drop `modelCard`; tests validate it against the
official schema. It must hold nothing that differs between equal runs: no time, no random serial number.
Source: https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import uuid
from typing import Any

from hrmbuild.packaging.card_facts import CardFacts
from hrmbuild.packaging.licenses import spdx_id
from hrmbuild.records.included import IncludedManifest
from hrmbuild.records.manifest import Manifest, SourceEntry

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562: names that are URLs


def bill_of_materials(facts: CardFacts, *, weights_sha256: str, hrmbuild: str) -> dict[str, Any]:
    """`bom.cdx.json` as a dictionary."""
    serial = uuid.uuid5(_NAMESPACE, f"urn:hrmbuild:{weights_sha256}")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": _model(facts, weights_sha256),
            "tools": {"components": [{"type": "application", "name": "hrmbuild", "version": hrmbuild}]},
        },
        "components": [_corpus(facts.manifest), *_sources(facts.manifest), *_included(facts.manifest)],
        "dependencies": [
            {"ref": "model", "dependsOn": ["corpus", *(ref for ref, _ in _include_refs(facts.manifest))]},
            {"ref": "corpus", "dependsOn": [_source_ref(i) for i in range(len(facts.manifest.sources))]},
            *({"ref": ref, "dependsOn": [_included_ref(ref, i) for i in range(len(one.sources))]}
              for ref, one in _include_refs(facts.manifest)),
        ],
    }  # fmt: skip


def _model(facts: CardFacts, weights_sha256: str) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": facts.owner.name,
        "version": facts.owner.version,
        "licenses": [_license(facts.owner.license)],
        "properties": [
            {"name": "hrmbuild:weights_sha256", "value": weights_sha256},
            {"name": "hrmbuild:parameters", "value": str(facts.training.parameters)},
            {"name": "hrmbuild:steps", "value": str(facts.training.steps)},
            {"name": "hrmbuild:flops", "value": facts.training.flops},
            {"name": "hrmbuild:lineage", "value": facts.lineage},
        ],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "question answering over shown text",
                "architectureFamily": "HRM-Text",
                "modelArchitecture": f"HRM-Text {facts.training.preset}",
                "datasets": [{"ref": "corpus"}],
                "inputs": [{"format": "text"}],
                "outputs": [{"format": "text"}],
            },
            "considerations": {
                "useCases": [facts.owner.intended_use],
                "technicalLimitations": [f"excluded use: {facts.owner.excluded_use}"],
            },
        },
    }


def _corpus(manifest: Manifest) -> dict[str, Any]:
    pairs = ", ".join(f"{name} {count.pairs}" for name, count in manifest.splits.items())
    return {
        "type": "data",
        "bom-ref": "corpus",
        "name": manifest.name,
        "description": f"instruction-response pairs: {pairs}; lineage {manifest.lineage}",
        "hashes": [{"alg": "SHA-256", "content": manifest.content_root}],
        "data": [{"type": "dataset", "classification": manifest.label}],
    }


def _sources(manifest: Manifest) -> list[dict[str, Any]]:
    return [_source(number, entry) for number, entry in enumerate(manifest.sources)]


def _source(number: int, entry: SourceEntry) -> dict[str, Any]:
    kind = "source-code" if entry.source.format == "ruleset" else "dataset"
    return {
        "type": "data",
        "bom-ref": _source_ref(number),
        "name": entry.source.path,
        "hashes": [{"alg": "SHA-256", "content": entry.source.sha256}],
        "licenses": [_license(entry.source.license or "undeclared")],
        "data": [{"type": kind, "classification": entry.source.label}],
    }


def _include_refs(manifest: Manifest) -> list[tuple[str, IncludedManifest]]:
    return [(f"included-corpus-{number + 1}", one) for number, one in enumerate(manifest.includes or ())]


def _included(manifest: Manifest) -> list[dict[str, Any]]:
    """Each included corpus, then the files that pairs were taken of."""
    return [
        component
        for ref, one in _include_refs(manifest)
        for component in (_included_corpus(ref, one), *(_included_source(ref, i, one) for i in range(len(one.sources))))
    ]


def _included_corpus(ref: str, one: IncludedManifest) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": ref,
        "name": one.name,
        "description": f"included instruction-response pairs: train {one.taken.pairs}; lineage {one.lineage}",
        "hashes": [{"alg": "SHA-256", "content": one.content_root}],
        "data": [{"type": "dataset", "classification": one.label}],
    }


def _included_source(ref: str, number: int, one: IncludedManifest) -> dict[str, Any]:
    source = one.sources[number].source
    return {
        "type": "data",
        "bom-ref": _included_ref(ref, number),
        "name": source.path,
        "hashes": [{"alg": "SHA-256", "content": source.sha256}],
        "licenses": [_license(source.license or "undeclared")],
        "properties": [{"name": "hrmbuild:maker", "value": source.maker or "undeclared"}],
        "data": [{"type": "dataset", "classification": source.label}],
    }


def _included_ref(ref: str, number: int) -> str:
    return f"{ref}-source-{number + 1}"


def _license(words: str) -> dict[str, dict[str, str]]:
    known = spdx_id(words)
    return {"license": {"name": words} if known is None else {"id": known}}


def _source_ref(number: int) -> str:
    return f"source-{number + 1}"
