"""What makes an ingest end with 1 is said to a person too, after the report, and an empty file is called empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrmbuild.cli.main import main


def test_an_answer_of_no_is_said_after_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "none").mkdir()
    (tmp_path / "docs/z.json").write_bytes(b"")
    config = tmp_path / "hrmbuild.yaml"
    config.write_text("name: t\nsources:\n  - {path: docs, kind: rules}\n  - {path: none, kind: rules}\n")
    assert main(["ingest", "--config", str(config)]) == 1
    told = capsys.readouterr()
    assert "read.bad_json: the file is empty: it has 0 bytes" in told.out
    assert "error: hrmbuild.yaml:4: none matches no file: the folder none holds no file" in told.err
    assert "error: hrmbuild.yaml: no pair was kept\n  a corpus without pairs" in told.err
