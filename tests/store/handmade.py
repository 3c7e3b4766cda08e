"""Hand-made sources and pairs for the tests of store and audit."""

from __future__ import annotations

from hrmbuild.fingerprint import hash_value
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, CompiledPair, Occurrence, SplitKeys
from hrmbuild.records.source import Source


def make_source(path: str, *, content: str = "x", owner: str | None = None) -> Source:
    return Source(
        path=path,
        sha256=hash_value([path, content]),
        n_bytes=len(content),
        kind="memos",
        format="text",
        declared_by="hrmbuild.yaml:3",
        owner=owner,
    )


def make_pair(
    instruction: str,
    response: str,
    *,
    source: Source,
    label: str = "internal",
    kind: str = "memos.action",
    valid: tuple[str | None, str | None] = (None, None),
    content_key: str | None = None,
    line: int = 1,
) -> CompiledPair:
    return CompiledPair(
        instruction=instruction,
        response=response,
        kind=kind,
        stratum="memos",
        derivation="quoted",
        answer=Answer(type="text", value=response),
        content_key=content_key or hash_value([instruction, response]),
        label=label,
        valid_from=valid[0],
        valid_until=valid[1],
        split_keys=SplitKeys(document=source.path),
        occurrence=Occurrence(
            source_sha256=source.sha256,
            locator=Locator(line_from=line, line_to=line),
            text=response,
            template_sha256="0" * 64,
        ),
    )
