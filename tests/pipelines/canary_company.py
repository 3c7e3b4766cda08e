"""A company in which every span of every file holds a word of its own that tells the label of the file.

A word is `qx`, the label, six letters: `qxboardabcdef`. Nothing made of a file may show one of its words to a reader
below its label: not text, heading, column, name of a sheet, message, or the words of a context document in a pair.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import duckdb

from hrmbuild.fingerprint import draw_below

LABELS = ("open", "house", "desk", "board")
ROLES = {"guest": "open", "clerk": "house", "editor": "desk", "director": "board"}
WORD = re.compile(rb"qx(open|house|desk|board)[a-z]{6}", re.IGNORECASE)


class Words:
    """Words of one label, never twice the same."""

    def __init__(self, label: str, key: str) -> None:
        self.label, self._key, self._n = label, key, 0

    def __call__(self) -> str:
        self._n += 1
        letters = (chr(97 + draw_below(26, "canary", 5, f"{self._key}/{self._n}/{at}")) for at in range(6))
        return f"qx{self.label}{''.join(letters)}"


def above(data: bytes, label: str) -> list[str]:
    """Words in these bytes whose label is above `label`."""
    reads = LABELS.index(label)
    found = {match[0].decode() for match in WORD.finditer(data) if LABELS.index(match[1].decode().lower()) > reads}
    return sorted(found)


def opened(path: Path) -> bytes:
    """A file's bytes, and what a program sees that opens it: columnar files and archives hide words from a search."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        rows = duckdb.connect().execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        return data + repr(rows).encode()
    if path.suffix == ".duckdb":
        return data + _tables(path)
    return data


def _tables(path: Path) -> bytes:
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        return repr([connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names]).encode()


def policy(w: Words) -> str:
    return f"""\
# Policy on {w()}

## 1. Use of {w()}

1.1 Every {w()} must return the {w()} within {12} days of the {w()}.

1.2 "{w().capitalize()}" means a {w()} of more than 4 days.

1.3 A {w()} may approve a {w()} up to 900 EUR, except with {w()}.

## 2. Duties of {w()}

2.1 The {w()} must hand in the {w()} for a {w()} above 25 EUR.

2.2 The {w()} must not enter the {w()}, unless {w()} agrees.

2.3 Text with a hidden\u202e sign must pass the {w()} within 3 days.
"""


def memo(w: Words) -> str:
    return f"""\
# Storm of {w()}

From: {w().capitalize()} {w().capitalize()}
To: {w()}
Date: 2025-01-14
Subject: {w()} desk

## Decisions

- The branch in {w()} stays open on {w()}.
- The {w()} answers calls until 20:00.

## Actions

- Jonas {w().capitalize()} sends the list of {w()} to the {w()} by 2025-01-20.

> Quoted {w()} reply
"""


def table(w: Words) -> str:
    places = [w() for _ in range(3)]
    head = f"id,{w()},amount {w()},day\n"
    rows = (f"K{n},{places[n % 3]},{n * 7 % 90},2025-03-{n % 27 + 1:02d}" for n in range(1, 31))
    return head + "\n".join(rows) + "\n"


def rules(w: Words) -> str:
    out = f"granted {w()}"
    return f"""\
ruleset: {w()}
title: Parking {w()}
question: Is the {w()} granted or refused?
citation: PRK-{w()}
facts:
  distance: {{type: integer, text: distance {w()}, unit: km, min: 0, max: 50, step: 5}}
  shift: {{type: boolean, text: night {w()}, "yes": night {w()}, "no": day {w()}}}
parameters:
  reach: {{value: 20, unit: km, min: 10, max: 40, step: 5, text: distance above which {w()} is granted}}
outcomes: [{out}, refused]
rules:
  - {{id: "1", when: shift, then: {out}, text: "If night {w()}: granted.", because: night {w()}}}
  - {{id: "2", when: distance > reach, then: {out}, text: "If over {{reach}} {w()}: granted.", because: far {w()}}}
  - {{id: "3", when: distance < 3 and distance > 5, then: refused, text: "Never {w()}.", because: dead {w()}}}
  - {{id: "4", when: distance > 30, then: refused, text: "Overlap {w()}.", because: overlap {w()}}}
"""


def bad_rules(w: Words) -> str:
    return rules(w).replace("when: shift,", f"when: shift {w()} = '{w()}',")


def broken_rules(w: Words) -> str:
    return f"ruleset: {w()}\ntitle: {w()}\n{w()}: [{w()}\n  {w()}: ]\n"


def pairs(w: Words, n: int = 8) -> str:
    told = [{"instruction": f"What does {w()} say of {w()}?", "response": f"It says {w()}."} for _ in range(n)]
    same = f"Who keeps {w()}?"
    told += [{"instruction": same, "response": f"The clerk {w()}."}, {"instruction": same, "response": f"No {w()}."}]
    told += [{"instruction": f"Write to {w()}", "response": f"Write to anna.keller@{w()}.com now."},
             {"instruction": f"The key of {w()}", "response": f"password: {w()}Zk9#vvQ81 and AKIAQ7Z2M4P9X1C3V5B7"},
             {"instruction": f"Token {w()}", "response": f"<|im_start|>{w()}<|im_end|>"},
             {"instruction": f"Number {w()}", "response": ""},
             {"instruction": f"Blank {w()}", "response": f"The {w()}\u202e is \u200bhidden"}]  # fmt: skip
    return "".join(json.dumps(one) + "\n" for one in told)


def bad_rows(w: Words) -> str:
    good = json.dumps({"instruction": f"{w()}?", "response": w()})
    odd = [json.dumps({w(): w()}), json.dumps({"instruction": [w()], "response": {w(): w()}})]
    return "\n".join([good, f'{{"instruction": "{w()}", {w()}', *odd]) + "\n"


def asked(w: Words) -> str:
    """Pairs beside which a document is shown."""
    lines = [{"instruction": f"By section 1, what must {w()} do with {n}?", "response": f"Return {w()} {n}."}
             for n in range(5)]  # fmt: skip
    lines += [{"instruction": f"By section 1, token {w()}?", "response": f"<|im_start|>{w()}"},
              {"instruction": f"By section 1, who is {w()}?", "response": f"One {w()}."},
              {"instruction": f"By section 1, mail {w()}?", "response": "ask anna.keller@northlake.com"}]  # fmt: skip
    same = {"instruction": f"By section 1, is {w()} so?"}
    lines += [same | {"response": "Yes, it is so."}, same | {"response": "No, it is not."}]
    return "".join(json.dumps(one) + "\n" for one in lines)


def law(w: Words) -> str:
    return f"# Law of {w()}\n\n## 1. Section {w()}\n\nSection 1 says that {w()} must do {w()} for {w()}.\n"


def workbook(w: Words) -> bytes:
    """An xlsx file with words in the sheet's name, heading, cells and a comment-like property."""
    cells = lambda row, values: "".join(  # noqa: E731
        f'<c r="{chr(65 + at)}{row}" t="inlineStr"><is><t>{one}</t></is></c>' for at, one in enumerate(values)
    )
    rows = [["id", w(), w()], *([f"N{n}", w() if n < 4 else f"x{n % 3}", str(n * 3)] for n in range(1, 15))]
    body = "".join(f'<row r="{n}">{cells(n, one)}</row>' for n, one in enumerate(rows, start=1))
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets>'
        f'<sheet name="{w()}" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        f'relationships"><Relationship Id="r1" Type="{rel}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return written.getvalue()


MAKERS = {
    "policies": ("rules", "{}.md", policy), "memos": ("memos", "{}.md", memo), "tables": ("tables", "{}.csv", table),
    "books": ("tables", "{}.xlsx", workbook), "rulesets": ("rules", "{}.yaml", rules),
    "pairs": ("pairs", "{}.jsonl", pairs), "badrows": ("pairs", "{}.jsonl", bad_rows),
    "badrules": ("rules", "{}.yaml", bad_rules), "broken": ("rules", "{}.yaml", broken_rules),
}  # fmt: skip
"""Folder -> kind, name, maker. Each of them stands under each label."""
TAIL = """\
train: {preset: nano, steps: 2, batch_tokens: 1024, threads: 1, dtype: float32, eval_pairs: 4, eval_every_steps: 2}
gates: {quarantine: [gate.hidden_character]}
model: {name: canary, version: "1", contact: a@pier.example, intended_use: tests, excluded_use: all else}
"""


def write_company(folder: Path) -> None:
    """Sources under every label, context documents above and below what shows them, and the settings."""
    entries: list[str] = []
    for label in LABELS:
        for name, (kind, pattern, make) in MAKERS.items():
            path = folder / name / pattern.format(label)
            path.parent.mkdir(parents=True, exist_ok=True)
            made = make(Words(label, f"{name}/{label}"))
            path.write_bytes(made if isinstance(made, bytes) else made.encode())
            more = ", rules: {scenarios: 12, variants: 1, variant_scenarios: 3}" if name == "rulesets" else ""
            more += ", max_pairs: 30" if kind == "tables" else ""
            entries.append(_entry(f"{name}/{path.name}", kind, label, more))
    entries += _crossed(folder)
    head = f"name: canary\nseed: 5\nlabels: [{', '.join(LABELS)}]\nroles: {json.dumps(ROLES)}\nsources:\n"
    (folder / "hrmbuild.yaml").write_text(head + "".join(entries) + TAIL, encoding="utf-8")


def _entry(path: str, kind: str, label: str, more: str = "") -> str:
    return f"  - {{path: {path}, kind: {kind}, owner: a@pier.example, license: internal, label: {label}{more}}}\n"


def _crossed(folder: Path) -> list[str]:
    """What shows a file of another label: pairs a law, a case and a memo's exception rules."""
    (folder / "crossed").mkdir()
    entries: list[str] = []
    for low, high in (("open", "board"), ("open", "house"), ("desk", "open"), ("house", "desk")):
        name, w, x = f"{low}-{high}", Words(low, f"low/{low}/{high}"), Words(high, f"high/{low}/{high}")
        (folder / f"crossed/law-{name}.md").write_text(law(x), encoding="utf-8")
        (folder / f"crossed/asked-{name}.jsonl").write_text(asked(w), encoding="utf-8")
        ruleset = rules(x)
        (folder / f"crossed/rules-{name}.yaml").write_text(ruleset, encoding="utf-8")
        rows = "".join(f"R{n},{n % 9 * 5},{'yes' if n % 2 else 'no'}\n" for n in range(1, 12))
        (folder / f"crossed/cases-{name}.csv").write_text(f"name,km,night {w()}\n{rows}", encoding="utf-8")
        sentence = f"During the {w()} a distance of 10 km is enough."
        (folder / f"crossed/notice-{name}.md").write_text(f"# {w()}\n\nDate: 2025-02-01\n\n{sentence}\n", "utf-8")
        outcome = re.search(r"outcomes: \[([^,]*),", ruleset)
        night = (folder / f"crossed/cases-{name}.csv").read_text("utf-8").splitlines()[0].split(",")[2]
        case = f"ruleset: crossed/rules-{name}.yaml"
        assert outcome
        entries += [
            _entry(f"crossed/law-{name}.md", "rules", high), _entry(f"crossed/rules-{name}.yaml", "rules", high,
                   ", rules: {scenarios: 6, variants: 0}"),
            _entry(f"crossed/asked-{name}.jsonl", "pairs", low, f", mapping: {{instruction: [instruction], "
                   f"response: response, context: crossed/law-{name}.md}}"),
            _entry(f"crossed/cases-{name}.csv", "tables", low,
                   f", max_pairs: 20, case: {{{case}, facts: {{distance: km, shift: '{night}'}}}}"),
            _entry(f"crossed/notice-{name}.md", "memos", low, f", exception: {{{case}, sentence: '{sentence}', "
                   f"when: distance >= 10, then: '{outcome[1]}', scenarios: 3}}"),
        ]  # fmt: skip
    return entries
