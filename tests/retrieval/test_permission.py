"""A passage that a role may not read reaches no prompt, no listing and no score: a thousand random trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hrmbuild.assets import asset_folder
from hrmbuild.errors import AnswerIsNoError
from hrmbuild.fingerprint import draw_below, draw_one, sha256_hex
from hrmbuild.pairs.environment import Templates
from hrmbuild.pipelines.retrieve import Library, Shown
from hrmbuild.records.locator import Locator
from hrmbuild.records.passage import Access, SourcePassage
from hrmbuild.records.source import Source
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.writer import FileOutcome

LABELS = ("public", "internal", "confidential", "restricted")
ACCESS = Access(
    labels=LABELS, roles={"visitor": "public", "clerk": "internal", "lead": "confidential", "all": "restricted"}
)
ROLES = (*ACCESS.roles, "stranger")
WORDS = ("limit", "offer", "buyer", "claim", "storm", "refund", "branch", "letter", "board", "invoice")
N_TRIALS, N_FILES = 1_000, 60


@dataclass(frozen=True)
class Written:
    """One file of the corpus: what it says, and a word that stands nowhere else."""

    path: str
    label: str
    secret: str
    text: str


def files() -> list[Written]:
    found = []
    for number in range(N_FILES):
        key = str(number)
        said = " ".join(draw_one(WORDS, "permission words", 0, f"{key}/{i}") for i in range(6))
        label = draw_one(LABELS, "permission label", 0, key)
        secret = f"secret{sha256_hex(key.encode())[:10]}"
        found.append(Written(f"files/{number:02}.md", label, secret, f"The {said} has the code {secret}."))
    return found


def write_corpus(path: Path, written: list[Written]) -> None:
    with Corpus.open(path) as corpus:
        for one in written:
            sha = sha256_hex(one.text.encode())
            with corpus.replace_unit(one.path, sha) as writer:
                place = Locator(line_from=1, line_to=1)
                writer.add_passage(
                    SourcePassage(source_sha256=sha, path=one.path, locator=place, order=0, text=one.text)
                )
                source = Source(path=one.path, sha256=sha, n_bytes=len(one.text), kind="rules", format="markdown",
                                declared_by="hrmbuild.yaml:1", label=one.label)  # fmt: skip
                writer.add_file(FileOutcome(source, None, "read"))


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Library, Library]]]:
    """For each role: the whole corpus as it may see it, and a corpus that never held anything else."""
    folder = tmp_path_factory.mktemp("corpora")
    templates = Templates([asset_folder("templates")])
    write_corpus(folder / "all.duckdb", files())
    found = {}
    for role in ROLES:
        readable = ACCESS.readable(role)
        own = folder / f"{role}.duckdb"
        write_corpus(own, [one for one in files() if one.label in readable])
        found[role] = (
            Library(folder / "all.duckdb", readable, templates=templates),
            Library(own, readable, templates=templates),
        )
    yield found


def asked(library: Library, question: str) -> Shown | None:
    try:
        return library.show(question, lambda instruction: True)
    except AnswerIsNoError as error:
        assert error.code == "ask.nothing_found"
        return None


def test_what_a_role_may_not_read_reaches_nothing(libraries: dict[str, tuple[Library, Library]]) -> None:
    written = files()
    n_shown = 0
    for trial in range(N_TRIALS):
        role = draw_one(ROLES, "permission role", 1, str(trial))
        target = written[draw_below(N_FILES, "permission file", 1, str(trial))]
        question = f"{target.secret}: {draw_one(WORDS, 'permission asked', 1, str(trial))}?"
        may_read = target.label in ACCESS.readable(role)
        shown, alone = (asked(library, question) for library in libraries[role])
        if shown is None:
            assert alone is None
            assert not may_read
            continue
        n_shown += 1
        told = shown.instruction + str(shown.sources())
        hidden = [one for one in written if one.label not in ACCESS.readable(role)]
        assert not [one for one in hidden if one.path in told or one.text in told]
        assert not [one for one in hidden if one.secret in told and one.secret not in question]
        assert (target.text in shown.instruction) == may_read
        # Scores tell of what is indexed: they must be those of a corpus that never held the rest.
        assert alone is not None
        assert shown.sources() == alone.sources()
    assert n_shown > N_TRIALS / 2


def test_a_role_that_is_not_declared_reads_nothing() -> None:
    assert ACCESS.readable("stranger") == ()
