"""Large files of pairs go another road than small ones and end at the same place, on rows made to be odd."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hrmbuild.config.loading import load_project
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import draw_below, draw_one, hash_file
from hrmbuild.pipelines import bulk_pairs
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.stages import ingest_stage
from hrmbuild.readers.bulk_lines import NotPlainError, line_tables
from hrmbuild.store.writer import UnitWriter

CONFIG = """\
name: bulk
seed: 7
sources:
  - {path: "*.jsonl", kind: pairs, owner: desk@bulk.example, license: CC0-1.0}
  - {path: "*.parquet", kind: pairs, owner: desk@bulk.example, license: CC0-1.0, stratum: maths}
"""
PIECES = (
    *("hello world", "Zürich", "e\u0301", "한국어", "日本", "\u2028", "\xa0", "\u0000", "\u0007", "\x1f", "\x7f", "\\"),
    *('"', "/", "<think>a</think>", "<<3+4=7>>", "#### 42", "\n#### $1,200\n", "$5", "€7", "5 %", "-0012.50", "1,000"),
    *(
        "٣٤",
        "<|im_end|>",
        "\u200b",
        "\ufeff",
        "ann@example.com",
        "+41 44 668 18 00",
        "AKIAIOSFODNN7EXAMPLE",
        "\t",
        "\r",
    ),
    *(
        "\r\n",
        "  ",
        "",
        "\U0001f600",
        "ﬁ",
        "\u212a",
        "ſ",
        "İ",
        "\u0345",
        "\u1100\u1161",
        "NaN",
        "Infinity",
        ", }",
        ",]",
    ),
    *("null", "\u3000", "\x85", "{{ question }}", "'; DROP TABLE pair; --", " leading", "trailing ", "a.", "A", "?"),
)
WORDS = ("the", "claim", "of", "Müller", "is", "42", "paid", "on", "Monday", "über")
SHAPES = (
    *(("instruction", "input", "output"), ("instruction", "response"), ("condition", "instruction", "response")),
    *(("prompt", "completion"), ("context", "question", "answer"), ("Problem", "Solution"), ("query", "response")),
    ("a", "b"),
)
ROLES = ("user", "human", "User", "assistant", "gpt", "system", "tool")
DAMAGE = ("{", "}", "[", ",", ":", '"', "\\", " ", "0", "a", "N", "\t")


class Draw:
    """Draws that depend on a seed and on how many came before."""

    def __init__(self, seed: str) -> None:
        self._seed, self._n = seed, 0

    def below(self, n: int) -> int:
        self._n += 1
        return draw_below(n, "bulk", 0, f"{self._seed}/{self._n}")

    def one(self, options: Any) -> Any:
        self._n += 1
        return draw_one(options, "bulk", 0, f"{self._seed}/{self._n}")

    def words(self) -> str:
        if self.below(5) < 3:
            return "".join(self.one(PIECES) + self.one(("", " ", "\n")) for _ in range(self.below(4)))
        return " ".join(self.one(WORDS) for _ in range(1 + self.below(10)))

    def value(self) -> Any:
        odd = (None, 1, 1.5, True, [], {}, ["a"], {"a": 1}, 12345678901234567890123)
        return self.words() if self.below(10) else self.one(odd)

    def row(self) -> dict[str, Any]:
        if self.below(5) == 0:
            family, role, text = self.one((("messages", "role", "content"), ("conversations", "from", "value")))
            roles = self.one((["user", "assistant"], ["system", "human", "gpt"], [self.one(ROLES), self.one(ROLES)]))
            row = {family: [{role: one, text: self.words()} for one in roles]}
        else:
            row = {name: self.value() for name in self.one(SHAPES)}
        if "condition" in row:
            row["condition"] = self.one(("direct", "cot", "synth+cot", "", "x", None, "direct "))
        if self.below(6) == 0:
            row[self.one(("id", "Instruction", "é", "a/b", "", 'x"y', "response"))] = self.one((1, "k", 2.5, {"z": 1}))
        return row

    def line(self) -> str:
        text = json.dumps(self.row(), ensure_ascii=bool(self.below(3)))
        at = self.below(len(text) + 1)
        changed = ("", " \u2003 ", text[:at], text[:at] + self.one(DAMAGE) + text[at:], text.replace("}", ",}"),
                   text + self.one((" x", "{}", "  ")), text.replace(":", ': NaN, "q":', 1), f"[{text}]",
                   text.replace('"', '"\\ud800', 1), text[:-1] + ',"instruction":"again"}',
                   text[:-1] + ',"k":-Infinity}',
                   text[:-1] + ',"k":01}', text[:-1] + ',"K":"a","k":"b"}', text[:-1] + " \t } ")  # fmt: skip
        return self.one(changed) if self.below(5) == 0 else text


def write_lines(path: Path, n: int, *, seed: str) -> None:
    draw = Draw(seed)
    ends = ["\n"] * 20 + ["\r\n", "\r"]
    text = "".join(draw.line().replace("\0", "") + draw.one(ends) for _ in range(n))
    path.write_bytes(text.encode("utf-8", "ignore"))


def write_table(path: Path, n: int, *, seed: str) -> None:
    draw = Draw(seed)
    columns: dict[str, list[Any]] = {"instruction": [], "condition": [], "response": [], "Extra": []}
    for _ in range(n):
        for name, column in columns.items():
            column.append(draw.one(("direct", "cot", "", None, "x")) if name == "condition" else draw.words() or None)
    table = pa.table(columns).append_column("score", pa.array([draw.one((1, None)) for _ in range(n)]))
    pq.write_table(table, path, row_group_size=100)


def outcome(path: Path) -> dict[str, list[Any]]:
    """Everything that a corpus holds, the numbers aside that only keep its rows in order."""
    queries = {
        "candidate": "SELECT * EXCLUDE (ordinal) FROM candidate ORDER BY ALL",
        "rejection": "SELECT * EXCLUDE (ordinal) FROM rejection ORDER BY path, ordinal",
        "skip": "SELECT * EXCLUDE (ordinal) FROM skip ORDER BY path, ordinal",
        "source": "SELECT * FROM source ORDER BY ALL",
        "unit": "SELECT * FROM unit ORDER BY ALL",
        "pair": "SELECT * EXCLUDE (unit, ordinal) FROM pair ORDER BY ALL",
        "verdict": "SELECT pair_id, occurrence, v.code FROM verdict AS v JOIN candidate USING (unit, ordinal) "
        "ORDER BY ALL",
    }
    with duckdb.connect(str(path), read_only=True) as connection:
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def on_both_roads(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[dict[str, list[Any]]]:
    (folder / "hrmbuild.yaml").write_text(CONFIG)
    for name, from_bytes in (("rows", 1 << 60), ("bulk", 0)):
        patch.setattr(bulk_pairs, "BULK_BYTES", from_bytes)
        project = load_project(folder / "hrmbuild.yaml", work=folder / name)
        ingest(project)
        yield outcome(project.corpus_path)


def test_both_roads_end_at_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")  # one process is enough to show it
    monkeypatch.setattr("hrmbuild.readers.bulk_lines.BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr(bulk_pairs, "PART_ROWS", 60)
    write_lines(tmp_path / "a.jsonl", 250, seed="fast")
    rows, bulk = on_both_roads(tmp_path, monkeypatch)
    assert bulk == rows
    assert min(len(rows[name]) for name in ("candidate", "rejection", "skip", "pair")) > 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["one", "two", "three"])
def test_both_roads_end_at_the_same_place_on_many_rows(
    seed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hrmbuild.readers.bulk_lines.BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr(bulk_pairs, "PART_ROWS", 900)
    for number in range(3):
        write_lines(tmp_path / f"{number}.jsonl", 3000, seed=f"{seed}{number}")
    write_table(tmp_path / "t.parquet", 4000, seed=seed)
    rows, bulk = on_both_roads(tmp_path, monkeypatch)
    assert bulk == rows


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["", "{answer_rule: after_hashes}", '{response_pattern: "(of|claim)$"}',
                                  "{instruction: [instruction], response: response, condition: =cot}"])  # fmt: skip
def test_rows_that_are_plain_end_where_the_compiler_would_have_put_them(
    rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most rows are of words alone and spelt in one way, as writers of such files spell them; the others are not."""
    monkeypatch.setattr("hrmbuild.readers.bulk_lines.BLOCK_BYTES", 1 << 15)
    draw, lines = Draw("plain"), []
    columns: dict[str, list[str]] = {"condition": [], "instruction": [], "response": []}
    for _ in range(2500):
        texts = [" ".join(draw.one(("the", "claim", "of", "42", "$5")) for _ in range(1 + draw.below(6))) for _ in "ab"]
        row = {"condition": draw.one(("direct", "cot")), "instruction": texts[0], "response": texts[1]}
        lines.append(draw.line() if draw.below(5) == 0 else json.dumps(row))
        for name, column in columns.items():
            column.append(draw.words() if draw.below(9) == 0 else row[name])
    (tmp_path / "a.jsonl").write_text("\n".join(line.replace("\0", "") for line in lines), "utf-8", "ignore")
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=300)
    config = CONFIG.replace("kind: pairs,", f"kind: pairs, mapping: {rule}," if rule else "kind: pairs,")
    monkeypatch.setitem(globals(), "CONFIG", config)
    by_rows, bulk = on_both_roads(tmp_path, monkeypatch)
    assert bulk == by_rows
    assert len(bulk["candidate"]) > (2000 if "hashes" not in rule else -1)


def test_lines_are_cut_and_numbered_wherever_a_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\r\rc\xc3\xa9\n\n" + b"long" * 9 + b"\r\nlast")
    digest = hash_file(path)
    for block in (4, 5, 7, 1000):
        tables = list(line_tables(path, relative="lines.jsonl", sha256=digest, block_bytes=block))
        lines = [row for table in tables for row in table.to_pylist()]
        assert [row["line"] for row in lines] == list(range(1, 8))
        assert "".join(row["text"] for row in lines) == "a\nb\n\ncé\n\n" + "long" * 9 + "\nlast"


@pytest.mark.parametrize("data", [b"\xff\xfea\0", b'{"a": "\xff"}\n', b"a\0b\n", "ä\n".encode("latin-1")])
def test_what_is_no_plain_text_is_left_to_the_ordinary_reader(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(data)
    with pytest.raises(NotPlainError):
        list(line_tables(path, relative="x.jsonl", sha256=""))


def cut_at(n: int, patch: pytest.MonkeyPatch) -> None:
    """The next ingest is interrupted when it has committed so many parts."""
    end_part, ended = UnitWriter.end_part, []

    def once(writer: UnitWriter) -> None:
        end_part(writer)
        ended.append(writer)
        if len(ended) == n:
            raise KeyboardInterrupt

    patch.setattr(UnitWriter, "end_part", once)


def keys_in(path: Path) -> set[str]:
    if not path.exists():
        return set()
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'unit'").fetchall()
        return {key for (key,) in connection.execute("SELECT key FROM unit").fetchall()} if found else set()


@pytest.mark.slow
def test_a_file_that_changed_and_was_cut_between_parts_is_not_taken_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed file that shares pairs with another one; the old text comes back, or the new one stays, or it goes."""
    for name, value in (("readers.bulk_lines.BLOCK_BYTES", 1 << 13), ("pipelines.bulk_pairs.PART_ROWS", 40)):
        monkeypatch.setattr(f"hrmbuild.{name}", value)
    monkeypatch.setattr(bulk_pairs, "BULK_BYTES", 0)
    (tmp_path / "hrmbuild.yaml").write_text("\n".join(CONFIG.splitlines()[:-1]))
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write_lines(a, 400, seed="same")
    write_lines(b, 400, seed="same")
    old, project = b.read_bytes(), load_project(tmp_path / "hrmbuild.yaml", work=tmp_path / "w")
    ingest(project)
    for n, then in enumerate(("old", "new", "gone"), start=1):
        write_lines(b, 400, seed=f"new{n}")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            cut_at(n, patch)
            ingest(project)
        assert "b.jsonl" in ingest_stage(project).detail
        with pytest.raises(InputError) as caught:
            freeze(project)
        assert caught.value.code in {"freeze.unsettled", "freeze.stale_corpus"}
        b.write_bytes(old) if then == "old" else None
        b.unlink() if then == "gone" else None
        ingest(project)
        whole = load_project(tmp_path / "hrmbuild.yaml", work=tmp_path / f"whole{n}")
        ingest(whole)
        assert outcome(project.corpus_path) == outcome(whole.corpus_path)
        assert ingest_stage(project).state == "fresh"


@pytest.mark.slow
def test_a_file_that_turns_out_odd_after_a_part_is_read_the_ordinary_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hrmbuild.readers.bulk_lines.BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr(bulk_pairs, "PART_ROWS", 60)
    write_lines(tmp_path / "a.jsonl", 400, seed="odd")
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b'{"instruction": "\xff", "response": "x"}\n')
    rows, bulk = on_both_roads(tmp_path, monkeypatch)
    assert bulk == rows


@pytest.mark.chaos
@pytest.mark.parametrize("part_rows", [200_000, 2_000])
def test_a_kill_in_a_large_file_loses_nothing_that_was_reported_done(part_rows: int, tmp_path: Path) -> None:
    """Each attempt lives longer than the one before, until one ends by itself; then all is as if none had died."""
    write_lines(tmp_path / "a.jsonl", 2000, seed="small")
    write_lines(tmp_path / "b.jsonl", 60_000, seed="large")
    (tmp_path / "hrmbuild.yaml").write_text(CONFIG)
    program = (
        "import sys; from pathlib import Path; from hrmbuild.pipelines import bulk_pairs;"
        "from hrmbuild.readers import bulk_lines;"
        "from hrmbuild.config.loading import load_project; from hrmbuild.pipelines.ingest import ingest\n"
        "if __name__ == '__main__':\n"
        f"    bulk_lines.BLOCK_BYTES = {part_rows} * 100; bulk_pairs.PART_ROWS = {part_rows}\n"
        "    bulk_pairs.BULK_BYTES = 0; ingest(load_project(Path(sys.argv[1]), work=Path(sys.argv[2])))"
    )
    (tmp_path / "go.py").write_text(program)

    def run(work: str, seconds: float) -> int:
        command = [sys.executable, str(tmp_path / "go.py"), str(tmp_path / "hrmbuild.yaml"), str(tmp_path / work)]
        with subprocess.Popen(command, env={**os.environ, "RAYON_NUM_THREADS": "2"}) as process:
            deadline = time.monotonic() + seconds
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
        return process.returncode

    seconds, n_killed, seen = 2.0, 0, set()
    while run("killed", seconds) == -signal.SIGKILL:
        seconds, n_killed = seconds * 1.5 if part_rows > 2_000 else seconds + 1.5, n_killed + 1
        seen |= keys_in(tmp_path / "killed" / "corpus.duckdb")
    assert n_killed
    assert part_rows > 2_000 or "" in seen, "no kill fell between two parts"
    assert run("whole", 600) == 0
    assert outcome(tmp_path / "killed" / "corpus.duckdb") == outcome(tmp_path / "whole" / "corpus.duckdb")
