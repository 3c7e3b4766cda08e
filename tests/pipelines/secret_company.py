"""A company that holds secrets and personal data in every format, in bodies and in all other places of a file.

Each value stands once, so that what leaks tells where from. `plant` hands out values with one form each, the check
digits right, of kinds that the detectors know in any place (`tests/planted` measures recall over many forms).
"""

from __future__ import annotations

import io
import json
import sqlite3
import sys
import zipfile
from pathlib import Path

import duckdb
import polars as pl
from canary_company import workbook

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from planted.values import ALNUM, LOWER, Draw, api_key, aws_access_key, github_token, iban, jwt, slack_token


def _mail(d: Draw) -> str:
    return f"{d.letters(8, LOWER)}.{d.letters(6, LOWER)}@{d.letters(7, LOWER)}.com"


def _password(d: Draw) -> str:
    return f"password: {d.letters(9, ALNUM)}7xQ9#v"


def _api(d: Draw) -> str:
    """Letters at random are no key to anybody until somebody says so."""
    return f"api key: {api_key(d)}"


KINDS = (iban, aws_access_key, github_token, jwt, slack_token, _mail, _password, _api)


class Plant:
    """Hands out secrets and remembers where each went."""

    def __init__(self, only: tuple[str, ...] = ()) -> None:
        self.places: dict[str, str] = {}
        """The letters to search for -> the place that they were planted at."""
        self._kinds = [kind for kind in KINDS if not only or kind.__name__ in only]

    def __call__(self, place: str) -> str:
        number = len(self.places)
        kind = self._kinds[number % len(self._kinds)]
        words = kind(Draw(f"secret/{number}"))
        needle = words.partition(": ")[2] if kind in (_password, _api) else words
        self.places[needle] = f"{place} ({kind.__name__.strip('_')})"
        return words

    @staticmethod
    def name(s: Plant) -> str:
        """A secret that a file's name may hold."""
        words = aws_access_key(Draw("secret/name"))
        s.places[words] = "file name (aws_access_key)"
        return words


def write_secrets(folder: Path) -> dict[str, str]:
    """The company; what was planted, and where."""
    s = Plant()
    files: dict[str, str | bytes] = {
        "prose/a.md": f"# Desk of {s('md heading')}\n\n## 1. Call {s('md section')}\n\n1.1 The clerk must send "
                      f"{s('md clause')} within 12 days.\n\n1.2 \"Long {s('md term')}\" means a trip of 4 days.\n\n"
                      f"<!-- {s('md comment')} -->\n\n[link]({s('md link')} \"{s('md title')}\")\n\n"
                      f"```\n{s('md code')}\n```\n\n1.3 The porter must close the gate at 18:00.\n",
        "prose/b.html": f"<html><head><title>{s('html title')}</title><meta name='a' content='{s('html meta')}'>"
                        f"<script>var a = '{s('html script')}'</script></head><body><!-- {s('html comment')} -->"
                        f"<h1>Rules {s('html heading')}</h1><p data-a='{s('html attribute')}'>1.1 The clerk must file "
                        f"{s('html text')} within 3 days.</p><p hidden>{s('html hidden')}</p></body></html>",
        "prose/c.xml": f"<?xml version='1.0'?><!-- {s('xml comment')} --><doc a='{s('xml attribute')}'><sec id='"
                       f"{s('xml id')}'><title>Part {s('xml title')}</title><p>The clerk must keep {s('xml text')} "
                       f"for 3 days.</p></sec></doc>",
        "prose/d.txt": f"{s('txt first line')}\n\n1. The clerk must keep {s('txt clause')} for 3 days.\n",
        "prose/broken.xml": f"<doc><{s('bad xml')}",
        "prose/broken.html": b"\x00\x01" + s("binary html").encode(),
        "memos/a.eml": f"From: {s('eml from')}\nTo: {s('eml to')}\nCc: {s('eml cc')}\n"
                       f"Subject: Desk {s('eml subject')}\nX-Token: {s('eml header')}\n"
                       f"Message-ID: <{s('eml id')}>\nDate: Tue, 14 Jan 2025 10:00:00 "
                       f"+0000\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n"
                       f"Decision: the key is {s('eml text')}.\n\n> {s('eml quote')}\n\n-- \n{s('eml signature')}\n"
                       f"--b\nContent-Type: application/pdf; name=\"{s('eml attachment')}\"\n\nx\n--b--\n",
        "memos/b.md": f"# Memo {s('memo title')}\n\nFrom: {s('memo from')}\nTo: {s('memo to')}\nDate: 2025-01-14\n"
                      f"Subject: {s('memo subject')}\n\n## Decisions\n\n- The desk uses {s('memo decision')} from "
                      f"May.\n- The desk stays open on Friday.\n\n## Actions\n\n- Jonas Weber sends {s('memo action')} "
                      "by 2025-01-20.\n",
        "memos/c.mbox": f"From {s('mbox from')} Tue Jan 14 10:00:00 2025\nFrom: a {s('mbox header')}\nSubject: "
                        f"{s('mbox subject')}\n\nDecision: use {s('mbox text')} today.\n",
        "tables/a.csv": f"id,{s('csv header')},amount\n" + "".join(f"{n},x{n % 3},{n * 7}\n" for n in range(1, 9))
                        + f"9,{s('csv cell')},4\n10,\"{s('csv open quote')},5\n",
        "tables/b.csv": f"id,city,amount\n1,{s('csv value')},3\n2,b,4,{s('csv extra cell')}\n3,{s('csv b')},6\n",
        "tables/c.json": json.dumps([{"id": n, s(f"json key {n}"): n, "x": s(f"json value {n}")} for n in range(3)]),
        "tables/d.json": "[{\"id\": 1, \"" + s("json cut") + "\": ",
        "tables/e.tsv": f"id\t{s('tsv header')}\n1\t{s('tsv cell')}\n2\t4\n",
        "tables/f.xlsx": _workbook(s),
        "pairs/a.jsonl": _rows(s),
        "pairs/b.json": json.dumps([{"instruction": "What?", "response": s("json response"), s("json key"): 1}]),
        "pairs/c.csv": f"instruction,response,{s('pairs header')}\nWhat is 2 + 2?,4,{s('pairs other cell')}\n"
                       f"Who?,{s('pairs response')},1\n",
        "pairs/d.jsonl": json.dumps({"text": s("no mapping"), s("key without mapping"): "x"}) + "\n",
        "rules/a.yaml": _rules(s, bad=None),
        "rules/b.yaml": _rules(s, bad="{when}"),
        "rules/c.yaml": f"ruleset: a\n{s('unknown key')}: 1\nfacts: [{s('bad facts')}]\n",
        "rules/d.yaml": f"ruleset: {s('yaml cut')}\n  bad: [{s('yaml flow')}\n",
        "rules/e.dmn": f"<definitions xmlns='https://www.omg.org/spec/DMN/20191111/MODEL/' name='{s('dmn name')}'>"
                       f"<decision id='d' name='{s('dmn decision')}'><decisionTable><input label='{s('dmn input')}'>"
                       f"<inputExpression typeRef='{s('dmn type')}'><text>{s('dmn expression')}</text>"
                       f"</inputExpression></input><output name='o'/><rule><inputEntry><text>{s('dmn entry')}</text>"
                       f"</inputEntry><outputEntry><text>\"{s('dmn output')}\"</text></outputEntry></rule>"
                       "</decisionTable></decision></definitions>",
        "rules/f.csv": f"when: {s('decision header')},then: result\n{s('decision cell')},yes\n",
    }  # fmt: skip
    files[f"prose/key {Plant.name(s)}.md"] = "# Gate\n\n1.1 The porter must close the gate at 18:00.\n"
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    _columnar(folder, s)
    kinds = {"prose": "rules", "memos": "memos", "tables": "tables", "pairs": "pairs", "rules": "rules"}
    sources = "".join(
        f"  - {{path: '{path.relative_to(folder)}', kind: {kinds[path.parent.name]}, owner: desk, license: internal, "
        "label: internal, max_pairs: 40, rules: {scenarios: 12, variants: 1, variant_scenarios: 2}}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    more = (
        "train: {preset: nano, steps: 2, batch_tokens: 1024, threads: 1, dtype: float32, eval_pairs: 4, "
        "eval_every_steps: 2}\nmodel: {name: s, version: '1', contact: desk, intended_use: t, excluded_use: t}\n"
    )
    (folder / "hrmbuild.yaml").write_text(f"name: secrets\nseed: 3\nsources:\n{sources}{more}", encoding="utf-8")
    return s.places


def _workbook(s: Plant) -> bytes:
    """The canary's workbook with secrets in the place of its words: sheet, headings, cells."""

    class Words:
        def __call__(self) -> str:
            return s("xlsx").replace("'", "")[:200]

    return workbook(Words())  # type: ignore[arg-type]  # it only calls


def _rows(s: Plant) -> str:
    good = [{"instruction": f"What is {n} + {n}?", "response": str(2 * n)} for n in range(30)]
    bad = [{"instruction": f"Who is {s('instruction')}?", "response": "the clerk"},
           {"instruction": "Which key?", "response": s("response")},
           {"instruction": "Same?", "response": f"yes {s('contradiction a')}"},
           {"instruction": "Same?", "response": f"no {s('contradiction b')}"},
           {"instruction": f"Empty {s('empty response')}", "response": ""},
           {"instruction": f"Token {s('control token')}", "response": "<|im_start|>"},
           {"instruction": f"Hidden {s('hidden sign')}", "response": "a\u202eb"},
           {"instruction": [s("list")], "response": {s("key of a map"): s("value of a map")}},
           {"instruction": "Other", "response": "x", s("other key"): s("other value")},
           {"instruction": "Condition", "response": "x", "condition": s("condition")}]  # fmt: skip
    lines = [json.dumps(one) for one in good + bad]
    lines += [f'{{"instruction": "{s("cut line")}", ', f"{s('bare line')}", f'["{s("array line")}"]',
              f'{{"instruction": "a", "instruction": "{s("twice")}", "response": "b"}}']  # fmt: skip
    return "\n".join(lines) + "\n"


def _rules(s: Plant, *, bad: str | None) -> str:
    when = f"shift = '{s('rule expression')}' and nosuch(\"{s('rule function')}\")" if bad else "shift"
    return f"""\
ruleset: parking{1 if bad else 0}
title: Parking {s("rules title")}
question: Is the request of {s("rules question")} granted?
citation: PRK {s("citation")}
facts:
  distance: {{type: integer, text: "distance {s("fact text")}", unit: km, min: 0, max: 50, step: 5}}
  shift: {{type: boolean, text: night shift, "yes": night shift, "no": day shift}}
outcomes: [granted, refused]
rules:
  - {{id: "1", when: {json.dumps(when)}, then: granted, text: "If night.", because: "night {s("because")}"}}
  - {{id: "2", when: distance > 30, then: refused, text: "If far {s("rule text")}.", because: far}}
  - {{id: "3", then: granted, text: "Else.", because: no other rule holds}}
"""


def _columnar(folder: Path, s: Plant) -> None:
    pl.DataFrame({"id": [1, 2], s("parquet column"): [s("parquet cell"), "b"]}).write_parquet(
        folder / "tables/g.parquet"
    )
    with sqlite3.connect(folder / "tables/h.sqlite") as file:
        file.execute(f'CREATE TABLE "t {s("sqlite table")}" (id INTEGER, "{s("sqlite column")}" TEXT)')
        names = [row[0] for row in file.execute("SELECT name FROM sqlite_master")]
        file.executemany(f'INSERT INTO "{names[0]}" VALUES (?, ?)', [(1, s("sqlite cell")), (2, "b"), (3, "c")])
    with duckdb.connect(str(folder / "tables/i.duckdb")) as base:
        base.execute(f"CREATE TABLE t AS SELECT 1 AS id, '{s('duckdb cell')}' AS \"{s('duckdb column')}\"")
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "".join(f"<w:p><w:r><w:t>{one}</w:t></w:r></w:p>" for one in (
        f"Rule {s('docx heading')}", f"1.1 The clerk must hand in {s('docx text')} within 3 days."))  # fmt: skip
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{w}"><w:body>{body}</w:body></w:document>')
        archive.writestr("word/comments.xml", f'<w:comments xmlns:w="{w}"><w:comment w:author="{s("docx author")}"/>'
                         "</w:comments>")  # fmt: skip
        archive.writestr("docProps/core.xml", f"<a><creator>{s('docx creator')}</creator></a>")
    (folder / "prose/g.docx").write_bytes(data.getvalue())
