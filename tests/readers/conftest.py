"""Reading of bytes that a test writes: through the same `read` as everybody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reader_spans import check_spans

from hrmbuild import readers
from hrmbuild.config.project import SourceConfig
from hrmbuild.fingerprint import sha256_hex

ReadFile = Callable[..., readers.ReadResult]


@pytest.fixture
def read_file(tmp_path: Path) -> ReadFile:
    """`read_file("a.md", "# text")` reads those bytes; every span of a document is resolved on the way."""

    def read(name: str, content: str | bytes, **settings: Any) -> readers.ReadResult:
        data = content.encode("utf-8") if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(data)
        source = SourceConfig(path=name, **{"kind": "rules", **settings})
        format = readers.choose_format(path, data[: readers.HEAD_BYTES], source)
        result = readers.read(path, relative=name, sha256=sha256_hex(data), source=source, format=format)
        check_spans(path, format, result)
        return result

    return read
