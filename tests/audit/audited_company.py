"""A company with something of everything that a report tells: made once, frozen twice, approved by one of two keys."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from hrmbuild.config.loading import Project, load_project
from hrmbuild.pipelines.decide import decide
from hrmbuild.pipelines.deciders import Stated
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.keys import make_key
from hrmbuild.pipelines.manifests import current_manifest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TAKEN = ("memos/2025-05-07-phishing.eml", "memos/2025-07-02-summer-party.txt", "policies/complaints.md")
SCRIPT = "</pre><script>document.title='owned'</script> & \"quoted\" 'so' {{ 7*7 }} {% raw %} <img src=//x.example/y>"
HEBREW = "שלום עולם (9:00)"
SECRET = "AKIAIOSFODNN7EXAMPLQ"
MAIL = "ida.brandt@halden.example"
CONFIDENTIAL = "the safe of the third floor"
SETTINGS = """\
name: audited
as_of: 2026-01-01
sources:
  - {path: memos, kind: memos, owner: records@halden.example, license: Apache-2.0, label: internal}
  - {path: policies, kind: rules, owner: compliance@halden.example, license: Apache-2.0, label: internal,
     effective_from: 2025-01-01}
  - {path: desk, kind: pairs, owner: 'Desk & <Söhne>', license: 'contract:HM-2024-17', label: confidential}
  - {path: open, kind: pairs, owner: training@halden.example, license: CC-BY-4.0, label: public}
model: {name: audited, contact: ml@halden.example, intended_use: tests, excluded_use: all else}
"""
TRUST = """\
keys:
  - {person: Ada Lund, roles: [ingester], public_key: keys/ada.public.pem, valid_from: 2026-01-01}
  - {person: Bea Roth, roles: [approver], public_key: keys/bea.public.pem, valid_from: 2026-01-01}
"""
DESK = [
    ("Who signs a payment above 5,000 EUR?", "The head of finance signs it."),
    ("Who signs a payment above 5,000 EUR?", "Two clerks sign it."),
    ("Whom do I call about invoice 4471?", f"Write to {MAIL} or call +49 30 901820."),
    ("Which key does the test machine use?", f"It uses {SECRET} for all tests."),
    ("What stands in the hidden line?", "Nothing \u202eesrever\u202c here."),
    *((f"Where is binder {n}?", f"Binder {n} lies in {CONFIDENTIAL}, place {n}.") for n in range(20)),
]
OPEN = [
    *((f"What is {n} plus {n}?", f"{2 * n}") for n in range(40)),
    (f"What does the page say? {SCRIPT}", SCRIPT),
    (f"What does the sign say? {HEBREW}", HEBREW),
]


def build_company(folder: Path) -> None:
    """The company after its second freeze."""
    for name in TAKEN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / name, folder / name)
    (folder / "hrmbuild.yaml").write_text(SETTINGS, encoding="utf-8")
    (folder / "trust.yaml").write_text(TRUST, encoding="utf-8")
    for name, rows in (("desk/notes.jsonl", DESK), ("open/sums.jsonl", OPEN)):
        (folder / name).parent.mkdir()
        lines = [json.dumps({"instruction": ask, "response": answer}, ensure_ascii=False) for ask, answer in rows]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    project = load_project(folder / "hrmbuild.yaml")
    for name in ("ada", "bea"):
        make_key(name, out=folder / "keys", encrypt=False)
    ingest(project)
    freeze(project)
    shutil.copy(EXAMPLES / "memos" / "2025-07-16-telephone-system.md", folder / "memos")
    ingest(project)
    freeze(project, key=folder / "keys" / "ada.private.pem")
    _approve(project, folder)


def _approve(project: Project, folder: Path) -> None:
    current = current_manifest(project)
    assert current is not None
    stated = Stated(reason="read & <b>signed</b>", role="compliance", key=folder / "keys" / "bea.private.pem")
    decide(project, "approve", [str(current)], stated)
    decide(project, "approve", ["open/sums.jsonl"], Stated(reason="sums are sums"))


def company(folder: Path) -> Project:
    """The project in a folder that `build_company` filled."""
    return load_project(folder / "hrmbuild.yaml")
