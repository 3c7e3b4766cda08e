"""Random edits of all that an ingest depends on: step by step, or killed on the way, it ends where a fresh one does.

The edits: files of every kind, rule sets with a table of cases and a memo's exception that hang on them, a template of
the user's, settings, copies in two entries, a large file, and what persons decide in between.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from small_project import FILES, RULESET, write_project

from hrmbuild.audit.decisions import DECISIONS_NAME, append
from hrmbuild.audit.edits import EDITS_NAME, append_edit
from hrmbuild.config.loading import Project, load_project
from hrmbuild.errors import HrmbuildError
from hrmbuild.pipelines import bulk_pairs, bulk_pool
from hrmbuild.pipelines.audit_export import export
from hrmbuild.pipelines.decided import EDIT_FACT, SOURCES_FACT, rejection_digest
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.records.decision import Action, Decision, Subject, SubjectKind
from hrmbuild.store.corpus import Corpus

SENTENCE = "During the strike a distance of 10 km is enough."
SETTINGS = {
    "keys owner": ("compliance@small.example", "legal@small.example"),
    "memo label": ("confidential", "restricted", "public"),
    "cap": ("500", "3", "9"),
    "response bytes": ("8192", "40", "120"),
    "templates": ("", "templates: own\n"),
    "held": ("", "quarantine: [gate.hidden_character, gate.response_too_long]"),
    "seed": ("3", "4"),
}
CONFIG = """\
name: small
seed: {seed}
{templates}gates:
  max_response_bytes: {response_bytes}
  {held}
tokenizer: {{vocab_size: 512}}
sources:
  - {{path: policies/**/*.md, kind: rules, owner: {keys_owner}, license: internal}}
  - {{path: memos, kind: memos, owner: o, license: internal, label: {memo_label}}}
  - path: rules/*.yaml
    kind: rules
    owner: o
    license: internal
    max_pairs: {cap}
    rules: {{scenarios: 12, variants: 1, variant_scenarios: 2}}
  - {{path: decision/*.csv, kind: rules, owner: o, license: internal}}
  - path: tables
    kind: tables
    owner: o
    license: internal
    max_pairs: 20
    case: {{ruleset: rules/parking.yaml, facts: {{distance: km, shift: night}}}}
  - path: notices
    kind: memos
    owner: o
    license: internal
    exception:
      {{ruleset: rules/parking.yaml, sentence: "{sentence}", when: distance >= 10, then: granted, scenarios: 8}}
  - {{path: pairs/*.jsonl, kind: pairs, owner: o, license: internal, max_pairs: {cap}}}
  - {{path: more/*.jsonl, kind: pairs, owner: p, license: CC0-1.0, label: public}}
"""
REQUESTS = "name,km,night,floor\n" + "".join(
    f"R{n},{n * 5 % 55},{'yes' if n % 3 else 'no'},{n % 4}\n" for n in range(9)
)
LEVELS = "Team,Level,Outcome\na,1,granted\na,2,refused\nb,1,refused\n"
TEMPLATE = "What must {{ who }} do?"


def lines(word: str, n: int) -> str:
    odd = json.dumps({"instruction": f"Who sleeps in {word}, c\u200bd?", "response": "Nobody."})
    told = (
        json.dumps({"instruction": f"Which {word} is number {i}?", "response": f"The {word} {i}."}) for i in range(n)
    )
    return "\n".join([*told, odd, "no json"]) + "\n"


POOL = {
    **{name: text for name, text in FILES.items() if name != "hrmbuild.yaml"},
    "decision/levels.csv": LEVELS,
    "tables/requests.csv": REQUESTS,
    "notices/strike.md": f"# Strike\n\nFrom: Ida Brandt\nDate: 2025-02-01\n\n{SENTENCE}\n",
    "pairs/doors.jsonl": lines("door", 12),
    "more/doors.jsonl": lines("door", 5),
    "own/prose/duty/form_1.j2": TEMPLATE,
}
LARGE = "pairs/large.jsonl"
BULK_BYTES = 20_000


class Scene:
    """A project under edits; settings are written anew before each ingest."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.chosen, self.n_edits = folder, dict.fromkeys(SETTINGS, 0), 0
        shutil.rmtree(folder, ignore_errors=True)
        self.project = write_project(folder, {**POOL, "hrmbuild.yaml": self.settings()})

    def settings(self) -> str:
        told = {name.replace(" ", "_"): SETTINGS[name][at] for name, at in self.chosen.items()}
        return CONFIG.format(sentence=SENTENCE, **told)

    def load(self) -> Project:
        (self.folder / "hrmbuild.yaml").write_text(self.settings())
        self.project = load_project(self.folder / "hrmbuild.yaml")
        return self.project

    def edit(self, what: str, number: int) -> None:
        self.n_edits += 1
        EDITS[what](self, number)


def _nth(options: list[Any], number: int) -> Any:
    return options[number % len(options)]


def _write(scene: Scene, number: int) -> None:
    name = _nth(sorted(POOL), number)
    (scene.folder / name).write_text(POOL[name])


def _change(scene: Scene, number: int) -> None:
    name = _nth(sorted(POOL), number)
    text = POOL[name].replace("days", f"{number + 5} days").replace("value: 20", f"value: {15 + number % 4 * 5}")
    text = (
        text.replace("R1,5", f"R1,{number % 10 * 5}").replace("a,1,granted", "a,1,refused").replace("door 3", "gate 3")
    )
    (scene.folder / name).write_text(text.replace("What must", f"Say (form {number}) what must"))


def _remove(scene: Scene, number: int) -> None:
    (scene.folder / _nth(sorted(POOL), number)).unlink(missing_ok=True)


def _copy(scene: Scene, number: int) -> None:
    path = scene.folder / _nth(sorted(set(POOL) - {"own/prose/duty/form_1.j2"}), number)
    path.with_stem(f"{path.stem}-{number}").write_text(POOL[path.relative_to(scene.folder).as_posix()])


def _cross(scene: Scene, number: int) -> None:
    """The same bytes under two entries that differ in label and licence."""
    for folder in ("pairs", "more"):
        (scene.folder / folder / f"same-{number % 3}.jsonl").write_text(lines("wall", 3 + number % 5))


def _rules(scene: Scene, number: int) -> None:
    """The rule set on which cases and exception hang: changed, broken, gone."""
    path = scene.folder / "rules/parking.yaml"
    options = [RULESET.replace("value: 20", "value: 30"), RULESET.replace("- PRK", "- X"), "ruleset: [", None, RULESET]
    text = _nth(options, number)
    path.unlink(missing_ok=True) if text is None else path.write_text(text)


def _setting(scene: Scene, number: int) -> None:
    name = _nth(sorted(SETTINGS), number)
    scene.chosen[name] = (scene.chosen[name] + 1) % len(SETTINGS[name])


def _large(scene: Scene, number: int) -> None:
    path = scene.folder / LARGE
    path.unlink(missing_ok=True) if number % 4 == 3 else path.write_text(lines("lamp", 500 + number % 3))


def _decide(scene: Scene, action: Action, kind: SubjectKind, sha256: str, **facts: str) -> None:
    told = Decision(action=action, subject=Subject(kind=kind, sha256=sha256), reason="so", facts=facts,
                    at="2026-06-01T10:00:00Z")  # fmt: skip
    append(scene.project.work / DECISIONS_NAME, told)


def _source(scene: Scene, number: int) -> None:
    with opened(scene) as corpus:
        known = sorted({one.source.sha256 for one in corpus.sources()})
    if known:
        action = _nth(["reject", "withdraw", "approve", "release"], number)
        _decide(scene, action, "source", _nth(known, number // 4))


def _rejection(scene: Scene, number: int) -> None:
    with opened(scene) as corpus:
        known = [one for one in corpus.rejections() if one.pair_id and one.source_sha256]
    if known:
        one = _nth(sorted(known, key=lambda one: (one.code, str(one.pair_id), one.source_sha256)), number // 2)
        digest = rejection_digest(code=one.code, source_sha256=one.source_sha256, pair_id=str(one.pair_id))
        action: Action = "release" if number % 2 else "reject"
        _decide(scene, action, "rejection", digest, source_sha256=one.source_sha256)


def _review(scene: Scene, number: int) -> None:
    with opened(scene) as corpus:
        known = list(corpus.pairs())
    if not known:
        return
    pair, action = (
        _nth(known, number * 7),
        _nth(["review_reject", "review_accept", "review_edit", "review_undo"], number),
    )
    facts: dict[str, str] = {}
    if action == "review_edit":
        facts[SOURCES_FACT] = " ".join(sorted({one.source_sha256 for one in pair.occurrences}))
        facts[EDIT_FACT] = append_edit(
            scene.project.work / EDITS_NAME, pair=pair.id, instruction=f"{pair.instruction} ({number})",
            response=pair.response, answer=pair.answer.value,
        )  # fmt: skip
    _decide(scene, action, "pair", pair.id, **facts)


def opened(scene: Scene) -> Corpus:
    return Corpus.open(scene.project.corpus_path, read_only=True)


FILE_EDITS: dict[str, Callable[[Scene, int], None]] = {
    "write": _write, "change": _change, "remove": _remove, "copy": _copy, "cross": _cross, "rules": _rules,
    "setting": _setting, "large": _large,
}  # fmt: skip
DECISIONS: dict[str, Callable[[Scene, int], None]] = {"source": _source, "rejection": _rejection, "review": _review}
EDITS = {**FILE_EDITS, **DECISIONS}


def outcome(scene: Scene) -> tuple[list[bytes], list[str], object]:
    """Rows, rejections and balance of the corpus."""
    with opened(scene) as corpus:
        rejections = sorted(repr(one) for one in corpus.rejections())
        return [pair.canonical_bytes() for pair in corpus.pairs()], rejections, corpus.balance()


def exported(scene: Scene, out: Path) -> dict[str, bytes] | str:
    """The Parquet files of an export, or why there is none."""
    shutil.rmtree(out, ignore_errors=True)
    try:
        frozen = freeze(scene.project)
        export(scene.project, out=out, manifest=frozen.folder, max_label="restricted")
    except HrmbuildError as error:
        return error.code
    told = {path.name: path.read_bytes() for path in sorted(out.glob("*.parquet"))}
    return told | {"content_root": str(frozen.manifest.content_root).encode()}


def check_ends_as_fresh(scene: Scene, *, with_export: bool) -> None:
    found = outcome(scene)
    out = scene.folder.with_name("export")
    first = exported(scene, out) if with_export else {}
    scene.project.corpus_path.unlink()
    ingest(scene.load())
    fresh = outcome(scene)
    for part, (mine, its) in zip(("rows", "rejections", "balance"), zip(found, fresh, strict=True), strict=True):
        assert mine == its, part
    assert first == (exported(scene, out) if with_export else {})


def check_sequence(folder: Path, rounds: list[list[tuple[str, int]]], *, with_export: bool) -> None:
    scene = Scene(folder)
    ingest(scene.load())
    for edits in rounds:
        for what, number in edits:
            scene.edit(what, number)
        ingest(scene.load())
    check_ends_as_fresh(scene, with_export=with_export)


quietly = settings(
    deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
"""Without making a failing sequence smaller: each takes seconds, and they are short as they are."""
numbers = st.integers(min_value=0, max_value=63)
one_round = st.lists(st.tuples(st.sampled_from(sorted(EDITS)), numbers), min_size=1, max_size=5)


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_pairs, "BULK_BYTES", BULK_BYTES)
    monkeypatch.setattr(bulk_pool, "available_cores", lambda: 1)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
@settings(quietly, max_examples=25)
@given(rounds=st.lists(one_round, min_size=1, max_size=3))
def test_any_edits_end_where_a_fresh_ingest_ends_200_times(
    tmp_path: Path, part: int, rounds: list[list[tuple[str, int]]]
) -> None:
    check_sequence(tmp_path / f"p{part}", rounds, with_export=True)


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from hrmbuild.config.loading import load_project
from hrmbuild.pipelines import bulk_pairs, bulk_pool
from hrmbuild.pipelines.ingest import ingest
bulk_pairs.BULK_BYTES = int(sys.argv[2])
bulk_pool.available_cores = lambda: 1
if __name__ == "__main__":
    project = load_project(Path(sys.argv[1]))
    for delay in sys.argv[3:]:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            threading.Timer(float(delay), lambda: os.killpg(os.getpid(), signal.SIGKILL)).start()
            ingest(project)
            os.killpg(os.getpid(), signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
"""
delays = st.lists(st.floats(min_value=0.01, max_value=2.5), min_size=1, max_size=3)


@pytest.mark.chaos
@settings(quietly, max_examples=40)
@given(rounds=st.lists(st.tuples(one_round, delays), min_size=1, max_size=2))
def test_edits_and_kills_at_random_points_end_where_a_fresh_ingest_ends(
    tmp_path: Path, rounds: list[tuple[list[tuple[str, int]], list[float]]]
) -> None:
    scene = Scene(tmp_path / "p")
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    ingest(scene.load())
    for edits, moments in rounds:
        for what, number in edits:
            scene.edit(what, number)
        config = scene.load().config_path
        command = [sys.executable, str(script), str(config), str(BULK_BYTES), *(f"{one:.3f}" for one in moments)]
        assert subprocess.run(command, check=False).returncode in (0, -signal.SIGKILL)
        ingest(scene.load())
    check_ends_as_fresh(scene, with_export=False)
