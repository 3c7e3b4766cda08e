"""People see what `--json` tells: what was inferred, what was not read, what was not looked at."""

from __future__ import annotations

from pathlib import Path

from typed_commands import Type


def test_guesses_skips_and_hidden_files_are_printed(typed: Type, project: Path) -> None:
    (project / "memos" / "old.txt").write_bytes(
        "Subject: Räder\n\nWe decided to lease six bikes for the café.\n".encode("cp1252")
    )
    (project / "memos" / ".draft.txt").write_text("Subject: x\n")
    (project / "tables").mkdir()
    (project / "tables" / "t.csv").write_text("Report 2025\n\nname,price\n" + "".join(f"n{i},{i}\n" for i in range(9)))
    settings = project / "hrmbuild.yaml"
    settings.write_text(settings.read_text().replace("train:", "  - {path: tables, kind: tables}\ntrain:", 1))
    outcome = typed("ingest")
    assert outcome.status == 0
    assert "inferred     memos/old.txt: decoded as " in outcome.out
    assert " parts of files were seen and not read" in outcome.out
    assert "1 hidden files and folders were not looked at" in outcome.out
