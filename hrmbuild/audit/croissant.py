"""Croissant 1.1 JSON-LD of an export, written by us: what a data catalogue reads. A view, never the truth.

Owns the mapping only. Source: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from hrmbuild.audit.export_files import COLUMNS
from hrmbuild.records.manifest import Manifest

_MEDIA = {"parquet": "application/x-parquet", "jsonl": "application/jsonlines", "csv": "text/csv"}
_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "containedIn": "cr:containedIn", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"}, "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileObject": "cr:fileObject", "arrayShape": "cr:arrayShape",
    "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isArray": "cr:isArray", "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "name": {"@container": "@language"},
    "parentField": "cr:parentField", "path": "cr:path", "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "samplingRate": "cr:samplingRate", "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip


def croissant(
    manifest: Manifest, export: dict[str, Any], *, manifest_sha256: str, filled: Mapping[str, Collection[str]]
) -> str:
    """The JSON-LD text.

    Args:
        export: the facts of `export.json`.
        filled: columns that hold a value in some row, by file: JSON lines leave the others out.
    """
    form = export["form"]
    with_bases = any(one["file"] for one in export.get("includes", ()))
    sources = manifest.trained_sources if with_bases else [entry.source for entry in manifest.sources]
    licenses = sorted({source.license for source in sources if source.license})
    told = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": manifest.name,
        "description": f"Instruction-response pairs of the corpus {manifest.content_root}; label {export['label']}.",
        "license": licenses,
        "citeAs": f"{manifest.name}, corpus {manifest.content_root}, manifest {manifest_sha256}",
        "version": f"1.0.0+{manifest_sha256[:12]}",
        "distribution": [
            {"@type": "cr:FileObject", "@id": one["name"], "name": one["name"], "contentUrl": one["name"],
             "encodingFormat": _MEDIA[form], "sha256": one["sha256"]}
            for one in export["files"]
        ],
        "recordSet": [_record_set(one["name"], form, filled[one["name"]]) for one in export["files"] if one["pairs"]],
    }  # fmt: skip
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _record_set(file: str, form: str, filled: Collection[str]) -> dict[str, Any]:
    split = file.partition(".")[0]
    columns = COLUMNS if form != "jsonl" else {name: told for name, told in COLUMNS.items() if name in filled}
    fields = [_field(split, file, column, meaning, form) for column, meaning in columns.items()]
    return {"@type": "cr:RecordSet", "@id": split, "name": split, "field": fields}


def _field(split: str, file: str, column: str, meaning: str, form: str) -> dict[str, Any]:
    told = {
        "@type": "cr:Field", "@id": f"{split}/{column}", "name": column, "description": meaning,
        "dataType": "sc:Boolean" if column == "boundary" else "sc:Text",
        "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
    }  # fmt: skip
    return {**told, "isArray": True, "arrayShape": "-1"} if column == "sources" and form != "csv" else told
