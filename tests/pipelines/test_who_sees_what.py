"""A thousand random trials: who may not read a label meets no word of it in anything that a command prints or writes.

Each span of the company's files is a word that tells its label (`canary_company.py`). A trial draws a command, who asks
and how, and searches all that it printed and every file that it wrote or changed.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from canary_company import LABELS, ROLES, above, opened, write_company

from hrmbuild.cli.main import main
from hrmbuild.config.loading import load_project
from hrmbuild.pipelines.manifests import all_manifests
from hrmbuild.pipelines.review_choice import Wanted, from_corpus, from_manifest, item_of
from hrmbuild.store.corpus import Corpus

SPLIT_UP = ("house", "board")
"""Labels up to which a manifest is frozen, trained on and packaged."""


def build_canary(folder: Path) -> None:
    """Ingested; frozen, trained and packaged once up to a low label and once up to the highest."""
    folder.mkdir(parents=True)
    write_company(folder)
    with chdir(folder):
        assert typed("ingest").status == 0
        for label in SPLIT_UP:
            assert typed("freeze", "--max-label", label, "--out", f"manifests/{label}").status == 0
            assert typed("train", "--manifest", f"manifests/{label}", "--out", f"runs/{label}").status == 0
            assert typed("package", f"runs/{label}", "--out", f"packages/{label}").status == 0


@dataclass(frozen=True)
class Typed:
    """What a command left on the terminal."""

    status: int
    told: str


def typed(*words: str) -> Typed:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(list(words))
    return Typed(status, out.getvalue() + err.getvalue())


@dataclass
class Company:
    """A copy of the built company that trials type commands in."""

    folder: Path
    ids: dict[str, str]
    """Of pairs, with their labels."""
    paths: dict[str, str]
    """Of sources, with their labels."""
    seen: dict[Path, tuple[int, int]] = field(default_factory=dict[Path, tuple[int, int]])

    def changed(self) -> Iterator[Path]:
        """Files that were written since the last call."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                stat = path.stat()
                now = (stat.st_mtime_ns, stat.st_size)
                if self.seen.get(path) != now:
                    self.seen[path] = now
                    yield path


def company(built: Path, folder: Path) -> Company:
    shutil.copytree(built, folder)
    project = load_project(folder / "hrmbuild.yaml")
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        ids = {pair.id: pair.label for pair in corpus.pairs()}
        paths = {one.source.path: one.source.label for one in corpus.sources()}
    found = Company(folder, ids, paths)
    list(found.changed())
    return found


Ask = Callable[[Company, random.Random, str], tuple[list[str], str]]
"""Company, draw, who asks (a label) -> the command, and the label up to which its output may show words."""


def _by(draw: random.Random, label: str, *, role: bool = True, flag: str = "--show-label") -> list[str]:
    """The label named, or a role that reads it; the lowest also by saying nothing."""
    if label == LABELS[0] and draw.random() < 0.3:
        return []
    names = [name for name, top in ROLES.items() if top == label]
    return ["--role", names[0]] if role and draw.random() < 0.5 else [flag, label]


def _json(draw: random.Random) -> list[str]:
    return ["--json"] if draw.random() < 0.5 else []


def _manifest(draw: random.Random) -> str:
    return f"manifests/{draw.choice(SPLIT_UP)}"


def report(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    more = ["--nonce", str(draw.random()), "--n", str(draw.randint(1, 40))] if draw.random() < 0.7 else []
    more += ["--since", _manifest(draw)] if draw.random() < 0.3 else []
    out = ["--out", "told.html"] if draw.random() < 0.8 else []
    return ["audit", "report", _manifest(draw), *more, *out, *_by(draw, label, role=False), *_json(draw)], label


def sample(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    form = ["--form", f"form{draw.random()}.csv"] if draw.random() < 0.4 else []
    return ["audit", "sample", _manifest(draw), "--nonce", str(draw.random()), "--n", str(draw.randint(1, 60)),
            *form, *_by(draw, label, role=False), *_json(draw)], label  # fmt: skip


def trace(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    thing = draw.choice([draw.choice(list(c.ids)), draw.choice(list(c.paths)), "runs/house", "packages/board"])
    step = ["--step", "1"] if thing.startswith("runs") else []
    return ["audit", "trace", thing, "--manifest", _manifest(draw), *step, *_by(draw, label), *_json(draw)], label


def prove(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    out = ["--out", "proof.json"] if draw.random() < 0.5 else []
    row = ["--with-row"] if draw.random() < 0.8 else []
    return ["audit", "prove", draw.choice(list(c.ids)), "--manifest", _manifest(draw), *row, *out,
            *_by(draw, label), *_json(draw)], label  # fmt: skip


def export(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    form = draw.choice(["parquet", "jsonl", "csv"])
    more = ["--croissant"] if draw.random() < 0.5 else []
    return ["audit", "export", "--manifest", _manifest(draw), "--out", f"out/{draw.random()}", "--format", form, *more,
            *_by(draw, label, flag="--max-label"), *_json(draw)], label  # fmt: skip


def diff(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    return ["audit", "diff", _manifest(draw), _manifest(draw), *_json(draw)], LABELS[0]


def rejections(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    more = ["--source", draw.choice(list(c.paths))] if draw.random() < 0.4 else []
    more += ["--held"] if draw.random() < 0.2 else []
    return ["rejections", "--limit", "500", *more, *_by(draw, label, role=False), *_json(draw)], label


def rules(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    return ["rules", *_by(draw, label, role=False), *_json(draw)], label


def templates(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    path = draw.choice(list(c.paths))
    return ["templates", "test", "--source", path, *_by(draw, label, role=False), *_json(draw)], label


def preview(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    who = _by(draw, label) or ["--role", "guest"]
    return ["ingest", "--preview", str(draw.randint(1, 4)), *who, *_json(draw)], label


def ingest(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    return ["ingest", *draw.choice([[], ["--dry-run"], ["--strict"]]), *_json(draw)], LABELS[0]


def withdraw(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    return ["withdraw", draw.choice(list(c.paths)), "--reason", "asked for", *_json(draw)], LABELS[0]


def plain(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    """Commands that have no clearance: they show words of nobody."""
    words = draw.choice([
        ["status"], ["due"], ["audit", "log"], ["verify", _manifest(draw)], ["verify", "packages/house"],
        ["verify", "runs/house"], ["plan", "--accept-insufficient", "test"], ["ledger"], ["templates", "list"], [],
        ["status", "runs/board"], ["freeze", "--max-label", "house", "--out", f"again/{draw.random()}"],
        ["approve", draw.choice(list(c.paths)), "--reason", "read"], ["rejections", "--limit", "0"],
        ["reject", "--kind", "gate.hidden_character", "--reason", "no"], ["explain", "read.not_yaml"],
        ["hold", draw.choice(list(c.paths)), "--reason", "court"], ["build", "--dry-run"],
        ["release", draw.choice(list(c.ids))[:12], "--reason", "x"], ["canaries", "drawn.jsonl", "--n", "2"],
        ["doctor"], ["audit", "absence", draw.choice(list(c.paths))], ["audit", "erase", draw.choice(list(c.paths))],
    ])  # fmt: skip
    return [*words, *_json(draw)], LABELS[0] if words[:1] != ["freeze"] else "house"


def ask(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    corpus = ["--corpus", "corpus.duckdb"] if draw.random() < 0.8 else []
    role = next(name for name, top in ROLES.items() if top == label)
    question = draw.choice(["What must be returned within 12 days?", "Who answers calls until 20:00?", "Section 1?"])
    return ["ask", f"packages/{draw.choice(SPLIT_UP)}", question, "--role", role, "--max-tokens", "4", *corpus,
            *_json(draw)], label  # fmt: skip


def score(c: Company, draw: random.Random, label: str) -> tuple[list[str], str]:
    out = ["--report", "scores.html"] if draw.random() < 0.5 else []
    return ["eval", f"packages/{draw.choice(SPLIT_UP)}", "--most", "6", "--show", "6", *out,
            *_by(draw, label, role=False), *_json(draw)], label  # fmt: skip


COMMANDS: dict[str, tuple[Ask, int]] = {
    "report": (report, 170), "sample": (sample, 130), "trace": (trace, 150), "prove": (prove, 120),
    "export": (export, 120), "rejections": (rejections, 80), "plain": (plain, 90), "withdraw": (withdraw, 30),
    "diff": (diff, 15), "rules": (rules, 12), "templates": (templates, 35), "preview": (preview, 8),
    "ingest": (ingest, 6), "ask": (ask, 20), "score": (score, 14),
}  # fmt: skip
"""Command -> how it is typed, and how many of the thousand trials are its own."""


@pytest.fixture(scope="module")
def built(make_once: Callable[..., Path]) -> Path:
    return make_once("canary", build_canary)


def trials(c: Company, name: str, n: int, *, seed: int = 20261123) -> list[str]:
    """What was seen that may not be, each with the command that showed it."""
    make, _ = COMMANDS[name]
    draw, leaks = random.Random(f"{seed}/{name}"), list[str]()
    statuses: Counter[int] = Counter()
    for _ in range(n):
        words, may_read = make(c, draw, draw.choice(LABELS))
        done = typed(*words)
        statuses[done.status] += 1
        told = {"": done.told.encode(), **{str(path.relative_to(c.folder)): opened(path) for path in written(c)}}
        leaks += [f"{' '.join(words)}: {where or 'terminal'} shows {found[:3]} above {may_read}"
                  for where, data in told.items() if (found := above(data, may_read))]  # fmt: skip
        assert done.status in (0, 1, 2, 3), done.told
    assert statuses[0] or statuses[1], f"{name} never got as far as showing something: {statuses}"
    return leaks


INNER = ("corpus.duckdb", "token-files", "ingest-state")
"""What holds everything and is shown to nobody: the corpus file and what training reads."""


def written(c: Company) -> list[Path]:
    return [path for path in c.changed() if path.relative_to(c.folder).parts[0] not in INNER]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_above_the_clearance_is_shown(built: Path, tmp_path: Path, name: str) -> None:
    c = company(built, tmp_path / "company")
    with chdir(c.folder):
        leaks = trials(c, name, COMMANDS[name][1])
    assert leaks == [], f"{len(leaks)} leaks: " + "\n".join(leaks[:12])


@pytest.mark.slow
@pytest.mark.parametrize("label", SPLIT_UP)
def test_what_is_frozen_and_packaged_up_to_a_label_holds_no_word_above_it(built: Path, label: str) -> None:
    for part in ("manifests", "runs", "packages"):
        files = [path for path in sorted((built / part / label).rglob("*")) if path.is_file()]
        assert files
        assert {str(path): found for path in files if (found := above(opened(path), label))} == {}


@pytest.mark.slow
def test_a_visit_of_review_shows_no_pair_above_the_reviewer(built: Path) -> None:
    project, draw = load_project(built / "hrmbuild.yaml"), random.Random(3)
    for _ in range(30):
        label = draw.choice(LABELS)
        role = next(name for name, top in ROLES.items() if top == label)
        wanted = Wanted(40, str(draw.random()), role=role if draw.random() < 0.5 else None,
                        show_label=label if draw.random() < 0.7 else None)  # fmt: skip
        may_read = label if wanted.role or wanted.show_label else LABELS[0]
        folder = draw.choice(list(all_manifests(project)))
        visit = draw.choice([lambda w=wanted: from_corpus(project, w, decided=()),
                             lambda w=wanted, f=folder: from_manifest(project, f, w, decided=())])()  # fmt: skip
        assert visit.pairs
        told = json.dumps([vars(item_of(pair, visit.path_of, {})) for pair in visit.pairs], default=vars)
        assert above(told.encode(), may_read) == []


LAW = "# Law\n\n## 1. Section\n\nSection 1 says that the qxboardabcdef must pay for the qxboardghijkl.\n"
SHOWN = """\
name: t
labels: [open, house, desk, board]
sources:
  - {path: law.md, kind: rules, label: open}
  - {path: asked.jsonl, kind: pairs, label: open, mapping: {instruction: [q], response: r, context: law.md}}
"""


def test_a_refused_pair_is_as_secret_as_the_document_that_it_shows_and_a_label_that_is_raised_counts(
    tmp_path: Path,
) -> None:
    rows = [{"q": f"By section 1, what is {n}?", "r": f"<|im_start|>{n}" if n else "Zero."} for n in range(2)]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    (tmp_path / "law.md").write_text(LAW, encoding="utf-8")
    with chdir(tmp_path):
        Path("hrmbuild.yaml").write_text(SHOWN, encoding="utf-8")
        assert typed("ingest").status == 0
        assert "qxboard" in typed("rejections").told
        Path("hrmbuild.yaml").write_text(SHOWN.replace("rules, label: open", "rules, label: board"), encoding="utf-8")
        assert typed("ingest").status == 0
        for words in (("rejections",), ("rejections", "--json", "--show-label", "desk")):
            assert above(typed(*words).told.encode(), "desk") == []
        assert "qxboard" in typed("rejections", "--show-label", "board").told
        with Corpus.open(Path("corpus.duckdb"), read_only=True) as corpus:
            assert {pair.label for pair in corpus.pairs()} == {"board"}


def test_why_a_file_was_set_aside_is_told_without_its_words(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"instruction": f"What is {n} + {n}?", "response": f"{2 * n}"}) + "\n" for n in range(30))
    (tmp_path / "sums.jsonl").write_text(rows, encoding="utf-8")
    (tmp_path / "twice.csv").write_text("qxboardabcdef,qxboardabcdef\n1,2\n", encoding="utf-8")
    entries = "{path: sums.jsonl, kind: pairs, label: board}", "{path: twice.csv, kind: tables, label: board}"
    declared = "".join(f"  - {one[:-1]}, owner: o, license: l}}\n" for one in entries)
    with chdir(tmp_path):
        Path("hrmbuild.yaml").write_text(f"name: t\nlabels: {list(LABELS)}\nsources:\n{declared}", encoding="utf-8")
        assert [typed(word).status for word in ("ingest", "freeze")] == [0, 0]
        words = ("audit", "trace", "twice.csv")
        assert "read.duplicate_columns" in (told := typed(*words).told) and above(told.encode(), "open") == []
        assert above(typed("rejections").told.encode(), "open") == []
