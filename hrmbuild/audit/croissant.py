"""Croissant 1.1 JSON-LD of an export, written by us: what a data catalogue reads. A view, never the truth.

Owns the mapping only. Source: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

import json
from typing import Any

from hrmbuild.audit.export_files import COLUMNS
from hrmbuild.records.manifest import Manifest

_MEDIA = {"parquet": "application/vnd.apache.parquet", "jsonl": "application/jsonlines", "csv": "text/csv"}
_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/", "extract": "cr:extract",
    "field": "cr:field", "fileObject": "cr:fileObject", "arrayShape": "cr:arrayShape",
    "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isArray": "cr:isArray", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex",
    "repeated": "cr:repeated", "replace": "cr:replace", "sc": "https://schema.org/", "separator": "cr:separator",
    "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip


def croissant(manifest: Manifest, export: dict[str, Any], *, manifest_sha256: str) -> str:
    """The JSON-LD text.

    Args:
        export: the facts of `export.json`.
    """
    form = export["form"]
    licenses = sorted({entry.source.license for entry in manifest.sources if entry.source.license})
    told = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": manifest.name,
        "description": f"Instruction-response pairs of the corpus {manifest.content_root}; label {export['label']}.",
        "license": licenses,
        "version": manifest_sha256[:12],
        "distribution": [
            {"@type": "cr:FileObject", "@id": one["name"], "name": one["name"], "contentUrl": one["name"],
             "encodingFormat": _MEDIA[form], "sha256": one["sha256"]}
            for one in export["files"]
        ],
        "recordSet": [_record_set(one["name"], form) for one in export["files"]],
    }  # fmt: skip
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _record_set(file: str, form: str) -> dict[str, Any]:
    split = file.partition(".")[0]
    fields = [_field(split, file, column, meaning, form) for column, meaning in COLUMNS.items()]
    return {"@type": "cr:RecordSet", "@id": split, "name": split, "field": fields}


def _field(split: str, file: str, column: str, meaning: str, form: str) -> dict[str, Any]:
    extract = {"jsonPath": f"$.{column}"} if form == "jsonl" else {"column": column}
    told = {
        "@type": "cr:Field", "@id": f"{split}/{column}", "name": column, "description": meaning,
        "dataType": "sc:Boolean" if column == "boundary" else "sc:Text",
        "source": {"fileObject": {"@id": file}, "extract": extract},
    }  # fmt: skip
    return {**told, "isArray": True, "arrayShape": "-1"} if column == "sources" and form != "csv" else told
