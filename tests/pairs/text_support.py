"""Documents, tables and contexts for tests of the compilers: made from the examples by the real readers, or by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from hrmbuild.assets import asset_folder
from hrmbuild.config.project import SourceConfig
from hrmbuild.fingerprint import hash_file
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.registry import compile_record
from hrmbuild.readers.registry import choose_format, read
from hrmbuild.records.document import Block, Document, Record
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import CompiledPair, Rejection
from hrmbuild.records.source import Source

TEMPLATES = Templates([asset_folder("templates")])
EXAMPLES = asset_folder("examples")


def read_files(paths: Sequence[Path], settings: SourceConfig) -> list[tuple[Source, Record]]:
    """Every record of some files, with its source."""
    found: list[tuple[Source, Record]] = []
    for path in sorted(paths):
        sha256, head = hash_file(path), path.read_bytes()
        format = choose_format(path, head[:4096], settings)
        result = read(path, relative=path.name, sha256=sha256, source=settings, format=format)
        source = source_of(path.name, settings, sha256=sha256, n_bytes=len(head), format=format or "")
        found += [(source, record) for record in result.records]
    return found


def source_of(
    path: str, settings: SourceConfig, *, sha256: str = "0" * 64, n_bytes: int = 0, format: str = "text"
) -> Source:
    return Source(
        path=path, sha256=sha256, n_bytes=n_bytes, kind=settings.kind, format=format, declared_by="hrmbuild.yaml:1"
    )


def compile_all(
    records: Sequence[tuple[Source, Record]], settings: SourceConfig, *, seed: int = 0, shown: Sequence[Record] = ()
) -> list[CompiledPair | Rejection]:
    """Everything that comes of some records, each yielding something."""
    siblings = (*shown, *(record for _, record in records))
    made: list[CompiledPair | Rejection] = []
    with duckdb.connect() as connection:
        for source, record in records:
            context = CompileContext(
                seed=seed,
                source=source,
                settings=settings,
                templates=TEMPLATES,
                connection=connection,
                siblings=siblings,
            )
            compiled = list(compile_record(record, context))
            assert compiled, f"{source.path} yields nothing"
            made += compiled
    return made


def compile_example(folder: str, kind: str, *, seed: int = 0) -> list[CompiledPair | Rejection]:
    """Everything that comes of one folder of the examples."""
    settings = SourceConfig.model_validate({"path": folder, "kind": kind})
    files = [path for path in (EXAMPLES / folder).rglob("*") if path.is_file()]
    return compile_all(read_files(files, settings), settings, seed=seed)


def pairs_of(compiled: Sequence[CompiledPair | Rejection]) -> list[CompiledPair]:
    return [one for one in compiled if isinstance(one, CompiledPair)]


def document(*texts: str, title: str = "Policy", headers: dict[str, str] | None = None) -> Document:
    """A document of paragraphs; `# words` is a heading, `4.2 words` a numbered clause, `> words` a quoted reply."""
    blocks: list[Block] = []
    offset = 0
    heading = title
    for number, text in enumerate(texts, 1):
        place = Locator(
            line_from=number, line_to=number, char_from=offset, char_to=offset + len(text), heading_path=(heading,)
        )
        offset += len(text) + 1
        if text.startswith("# "):
            heading = text[2:]
            blocks.append(Block(kind="heading", text=text[2:], locator=place, level=2))
        elif text.startswith("> "):
            blocks.append(Block(kind="quoted_reply", text=text[2:], locator=place))
        else:
            first = text.split()[0]
            clause = first if first[0].isdigit() else None
            blocks.append(Block(kind="paragraph", text=text, locator=place, number=clause))
    return Document(source_sha256="0" * 64, path="d.md", title=title, headers=headers or {}, blocks=tuple(blocks))


def compile_one(record: Record, kind: str, **settings: object) -> list[CompiledPair | Rejection]:
    config = SourceConfig.model_validate({"path": "x", "kind": kind, **settings})
    return compile_all([(source_of("d.md", config), record)], config)
