"""What goes wrong for a moment is tried again, and the bare command never names a next command that cannot work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from small_project import write_project

from hrmbuild.config.loading import load_project
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.progress import SilentProgress
from hrmbuild.pipelines.stages import ingest_stage, project_stages
from hrmbuild.store.corpus import Corpus

CONTEXT = """\
name: cases
sources:
  - path: pairs.jsonl
    kind: pairs
    mapping: {instruction: [question], response: answer, context: statute/*.md}
"""


class Meanwhile(SilentProgress):
    """Does something just after the files were found and hashed, before the first is read."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act

    def stage(self, name: str, *, total: int | None, unit: str) -> None:
        self._act()


def shown_instructions(corpus_path: Path) -> list[str]:
    with Corpus.open(corpus_path, read_only=True) as corpus:
        return [pair.instruction for pair in corpus.pairs()]


def test_a_file_that_was_away_for_a_moment_is_read_by_the_next_ingest(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    path = tmp_path / "policies" / "travel.md"
    data = path.read_bytes()
    first = ingest(project, progress=Meanwhile(path.unlink))
    assert [name for name, _ in first.quarantined] == ["policies/travel.md"]
    path.write_bytes(data)
    assert ingest_stage(project).state == "stale"
    second = ingest(project)
    assert (second.redone, second.quarantined) == (("policies/travel.md",), ())
    assert ingest(project).redone == ()


def test_pairs_that_missed_their_context_for_a_moment_are_made_again(tmp_path: Path) -> None:
    files = {
        "hrmbuild.yaml": CONTEXT,
        "pairs.jsonl": '{"question": "How long is the leave?", "answer": "Three weeks."}\n',
        "statute/leave.md": "# Leave\n\nThe leave lasts three weeks in every year of service.\n",
    }
    project = write_project(tmp_path, files)
    statute = tmp_path / "statute" / "leave.md"
    ingest(project, progress=Meanwhile(statute.unlink))
    statute.write_text(files["statute/leave.md"])
    ingest(project)
    assert all("lasts three weeks" in text for text in shown_instructions(project.corpus_path))


def test_a_corpus_that_freeze_would_refuse_is_not_fresh(tmp_path: Path) -> None:
    ingest(write_project(tmp_path))
    settings = tmp_path / "hrmbuild.yaml"
    settings.write_text(settings.read_text().replace("owner: desk@small.example", "owner: claims@small.example"))
    project = load_project(settings)
    assert project_stages(project).next_command == "hrmbuild ingest"
    ingest(project)
    assert project_stages(project).next_command == "hrmbuild freeze"
    freeze(project)
    assert project_stages(project).next_command == "hrmbuild train"


def test_an_entry_that_lost_its_last_file_is_not_passed_over(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    for path in (tmp_path / "memos").iterdir():
        path.unlink()
    assert ingest(project).exit_status == 1
    stage = ingest_stage(project)
    assert (stage.state, stage.detail) == ("stale", "no file matches memos")
