"""The audit report: what it answers, what it never shows, and that its page and its object agree."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from audited_company import CONFIDENTIAL, HEBREW, MAIL, SCRIPT, SECRET, build_company, company
from lxml import html

from hrmbuild.audit.shown_text import clearance, visible
from hrmbuild.errors import HrmbuildError, InputError, UsageError
from hrmbuild.pairs.environment import Templates
from hrmbuild.pipelines.audit_report import AuditReport, ReportRequest, audit_report
from hrmbuild.pipelines.audit_report_html import FOLDER, SECTIONS, page
from hrmbuild.pipelines.audit_sample import SampleRequest, audit_sample
from hrmbuild.pipelines.manifests import current_manifest

QUESTIONS = yaml.safe_load(Path(__file__).with_name("twenty_questions.yaml").read_text("utf-8"))
INTERNAL = "did not keep a promise"
NONCE = "three dice: 4 1 6"
ALL = SampleRequest(NONCE, 1000)


@pytest.fixture(scope="module")
def folder(make_once: Callable[..., Path]) -> Path:
    return make_once("audited", build_company)


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    """With a sample of thirty, all labels shown."""
    request = ReportRequest(SampleRequest(NONCE, 30), show_label="confidential")
    return audit_report(None, request, project=company(folder), out=tmp_path_factory.mktemp("page") / "audit.html")


@pytest.fixture(scope="module")
def parsed(made: AuditReport) -> html.HtmlElement:
    assert made.written is not None
    return html.document_fromstring(made.written.read_text("utf-8"))


def words(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def answer_on_page(tree: html.HtmlElement, question: dict[str, str]) -> str:
    """What stands beside the term, or in the cell; without its small print."""
    (section,) = tree.xpath(f"//section[@id='{question['section']}']")
    if "term" in question:
        found = [dd for dt in section.iter("dt") if words(dt) == question["term"] for dd in dt.itersiblings("dd")]
    else:
        found = [cell for table in section.iter("table") for cell in cells(table, question["row"], question["column"])]
    assert found, question["ask"]
    for small in found[0].find_class("sub"):
        small.drop_tree()
    return words(found[0])


def cells(table: html.HtmlElement, row: str, column: str) -> list[html.HtmlElement]:
    heads = [words(head) for head in table.xpath("thead/tr/th")]
    rows = [list(one) for one in table.xpath("tbody/tr") if words(one[0]).split(" ")[0] == row]
    return [one[heads.index(column)] for one in rows] if column in heads else []


def answer_in_object(value: Any, path: str) -> Any:
    for part in re.findall(r"\[[^\]]+\]|[^.\[]+", path):
        if part.startswith("["):
            key, _, wanted = part[1:-1].partition("=")
            (value,) = [one for one in value if one[key] == wanted]
        else:
            value = value[part]
    return value


def plain(answer: Any) -> str:
    return f"{answer:,}" if isinstance(answer, int) else str(answer)


def check_answers(made: AuditReport, manifest: dict[str, Any], company_name: str) -> None:
    """Each answer stands on the page and in the object, and is the expected one."""
    assert made.written is not None
    wrong = []
    for question in QUESTIONS:
        tree = html.document_fromstring(made.written.read_text("utf-8"))
        expected = question[company_name]
        if expected.startswith("="):
            expected = manifest[expected[1:]]
        shown = answer_on_page(tree, question)
        told = plain(answer_in_object(json.loads(json.dumps(made.as_dict())), question["json"]))
        if "part" in question:
            shown = "".join(re.findall(question["part"], shown)[:1])
        if question["section"] == "sample":
            told = f"{100 * float(told):.1f}"
        if (shown, told) != (expected, expected):
            wrong.append((question["ask"], expected, shown, told))
    assert wrong == []


def manifest_of(folder: Path) -> dict[str, Any]:
    current = current_manifest(company(folder))
    assert current is not None
    return json.loads((current / "manifest.json").read_text("utf-8"))


def test_the_report_alone_answers_twenty_questions(made: AuditReport, folder: Path) -> None:
    assert len({question["ask"] for question in QUESTIONS}) == 20
    check_answers(made, manifest_of(folder), "small")


def test_a_missing_or_another_answer_is_noticed(made: AuditReport, folder: Path, tmp_path: Path) -> None:
    assert made.written is not None
    text = made.written.read_text("utf-8")
    for old, new in (("<dt>Pairs refused for secrets</dt><dd>1", "<dt>Pairs refused for secrets</dt><dd>0"),
                     ('<section id="lineage"', '<section id="line"')):  # fmt: skip
        assert old in text
        (tmp_path / "altered.html").write_text(text.replace(old, new), "utf-8")
        with pytest.raises((AssertionError, ValueError)):
            check_answers(AuditReport(made.value, tmp_path / "altered.html"), manifest_of(folder), "small")


@pytest.mark.slow
def test_the_report_answers_twenty_questions_about_the_example_company(tmp_path: Path) -> None:
    from hrmbuild.config.loading import load_project
    from hrmbuild.pipelines.freeze import freeze
    from hrmbuild.pipelines.ingest import ingest
    from hrmbuild.pipelines.init import init_project

    init_project(tmp_path / "halden", demo=True)
    project = load_project(tmp_path / "halden" / "hrmbuild.yaml")
    ingest(project)
    freeze(project)
    request = ReportRequest(SampleRequest(NONCE, 30), show_label="internal")
    check_answers(audit_report(None, request, project=project), manifest_of(tmp_path / "halden"), "example")


def test_the_page_needs_nothing_and_lets_nothing_in(made: AuditReport, parsed: html.HtmlElement) -> None:
    policy = parsed.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert parsed.xpath("//script | //link | //img | //iframe | //object | //form | //@style | //@src") == []
    assert all(one.startswith("#") for one in parsed.xpath("//@href"))
    assert [one for one in parsed.xpath("//@*") if one.is_attribute and one.attrname.startswith("on")] == []


def test_the_page_can_be_read_without_seeing_it(parsed: html.HtmlElement) -> None:
    assert parsed.get("lang") == "en"
    assert [len(parsed.xpath(f"//{name}")) for name in ("h1", "main", "nav", "header", "footer")] == [1, 1, 1, 1, 1]
    levels = [int(one.tag[1]) for one in parsed.xpath("//h1|//h2|//h3|//h4|//h5|//h6")]
    assert all(later - before <= 1 for before, later in pairwise(levels))
    assert all(table.find("caption") is not None and words(table.find("caption")) for table in parsed.iter("table"))
    assert all(head.get("scope") in ("col", "row") for head in parsed.iter("th"))
    ids = parsed.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert {one[1:] for one in parsed.xpath("//@href")} <= set(ids)
    assert set(" ".join(parsed.xpath("//@aria-labelledby")).split()) <= set(ids)
    assert all(one.get("role") == "img" or one.get("aria-hidden") == "true" for one in parsed.iter("svg"))
    here = [anchor for anchor, _ in SECTIONS if anchor != "included"]  # nothing is included here
    assert [one.get("id") for one in parsed.xpath("//main/section")] == here


def test_it_begins_with_what_to_look_at_and_what_is_in_it_each_beside_its_section(
    made: AuditReport, parsed: html.HtmlElement
) -> None:
    (first,) = parsed.xpath("//main/section[1]")
    assert [words(one) for one in first.iter("h3")] == ["To look at before signing", "In short", "Name and roots"]
    told = {one["section"]: one["text"] for one in made.value["in_short"]}
    assert set(told) <= {anchor for anchor, _ in SECTIONS} and all(text in words(first) for text in told.values())
    n = {one["split"]: one["pairs"] for one in made.value["splits"]["rows"]}
    assert told["splits"].startswith(f"240 pairs of a question and its answer: {n['train']} to train on")
    assert f"{made.value['secrets']['pairs']} pairs refused" in told["personal"].partition("Secrets")[2]
    assert "written by a language model" in told["lineage"] and "reviewed" in told["decisions"]
    assert not made.value["no_text_shown"]


def test_texts_of_documents_stay_texts(folder: Path, tmp_path: Path) -> None:
    request = ReportRequest(ALL, show_label="confidential")
    made = audit_report(None, request, project=company(folder), out=tmp_path / "all.html")
    text = (tmp_path / "all.html").read_text("utf-8")
    tree = html.document_fromstring(text)
    assert tree.xpath("//script | //img | //b") == []
    assert any(one.text_content() == SCRIPT for one in tree.iter("pre"))
    assert HEBREW in text
    assert "\u202e" not in text
    assert "[U+202E]" in text
    assert "49" not in [one.text_content() for one in tree.iter("pre")]
    assert made.value["sources"]["rows"][0]["owner"] == "Desk & <Söhne>"
    assert "Desk &amp; &lt;Söhne&gt;" in text


def test_nothing_above_the_label_is_shown_and_no_secret_ever(folder: Path, tmp_path: Path) -> None:
    for label, shows in (("internal", False), ("confidential", True)):
        made = audit_report(
            None, ReportRequest(ALL, show_label=label), project=company(folder), out=tmp_path / "p.html"
        )
        told = json.dumps(made.as_dict(), ensure_ascii=False) + (tmp_path / "p.html").read_text("utf-8")
        assert (CONFIDENTIAL in told) is shows, label
        assert ("Two clerks sign it" in told) is shows, label
        assert INTERNAL in told, label
        assert SECRET not in told
        assert MAIL not in told


def test_the_lowest_label_is_shown_where_none_is_named(folder: Path) -> None:
    value = audit_report(None, ReportRequest(ALL), project=company(folder), page=False).value
    assert (value["texts_up_to"], value["label"]) == ("public", "confidential")
    assert {pair["label"] for pair in value["sample"]["pairs"] if pair["shown"]} == {"public"}
    assert value["sample"]["n_withheld"] > 0
    assert INTERNAL not in json.dumps(value)


def test_the_label_stands_in_the_head_on_paper_and_in_the_file_name(folder: Path, parsed: html.HtmlElement) -> None:
    assert parsed.xpath("//meta[@name='sensitivity-label']/@content") == ["confidential"]
    assert '@bottom-left { content: "confidential' in parsed.xpath("//style")[0].text
    written = audit_report(None, ReportRequest(), project=company(folder)).written
    assert written is not None
    assert re.fullmatch(r"audit-[0-9a-f]{12}-confidential\.html", written.name)
    assert written.stat().st_mode & 0o777 == 0o600


def test_decisions_tell_who_signed_and_whether_they_stand(made: AuditReport) -> None:
    rows = made.value["decisions"]["rows"]
    assert [(row["person"], row["role"], row["state"]) for row in rows] == [
        ("Bea Roth", "compliance", "stands"), ("unauthenticated", None, "unsigned")
    ]  # fmt: skip


def test_an_approval_lapses_with_the_next_manifest(made: AuditReport, folder: Path) -> None:
    old, new = (made.value["changes"][one]["manifest_sha256"] for one in ("old", "new"))
    first = audit_report(_folder_of(folder, old), ReportRequest(), project=company(folder), page=False).value
    assert (first["about"]["manifest_sha256"], first["decisions"]["rows"][0]["state"]) == (old, "lapsed")
    assert new != old


def _folder_of(folder: Path, manifest_sha256: str) -> Path:
    (found,) = [path.parent for path in (folder / "manifests").glob("*/manifest.sha256")
                if path.read_text().startswith(manifest_sha256)]  # fmt: skip
    return found


def test_changes_are_those_since_the_freeze_before(made: AuditReport) -> None:
    changes = made.value["changes"]
    assert [one["path"] for one in changes["sources"]["added"]] == ["memos/2025-07-16-telephone-system.md"]
    assert (changes["rows"]["added"], changes["rows"]["removed"]) == (changes["pairs"][1] - changes["pairs"][0], 0)
    assert {row["source"] for row in changes["rows"]["added_by"]} == {"memos/2025-07-16-telephone-system.md"}


def test_equal_values_give_an_equal_page(made: AuditReport) -> None:
    assert made.written is not None
    assert page(made.value).encode() == made.written.read_bytes()


def test_the_pages_of_reports_are_no_templates_of_pairs() -> None:
    assets = Path(__file__).resolve().parents[2] / "templates"
    assert (assets / FOLDER).is_dir()
    assert [name for name in Templates([assets]).names() if name.startswith(FOLDER)] == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ReportRequest(SampleRequest("n", 5, errors=6), show_label="confidential"), "audit.errors"),
        (ReportRequest(SampleRequest("n", 5, marked=Path("nowhere.csv"))), "audit.marks"),
    ],
)
def test_a_mistake_is_named(folder: Path, request_: ReportRequest, code: str) -> None:
    with pytest.raises(HrmbuildError) as caught:
        audit_report(None, request_, project=company(folder), page=False)
    assert caught.value.code == code


def test_an_altered_pack_is_not_told_of(folder: Path, tmp_path: Path) -> None:
    import shutil

    current = current_manifest(company(folder))
    assert current is not None
    copy = shutil.copytree(current, tmp_path / "copy")
    (copy / "rejections.parquet").write_bytes((copy / "rejections.parquet").read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"rejections\.parquet is not the file"):
        audit_report(copy, ReportRequest(), project=None, page=False)


@pytest.mark.slow
def test_outside_of_a_project_a_manifest_folder_is_enough(folder: Path) -> None:
    current = current_manifest(company(folder))
    value = audit_report(current, ReportRequest(ALL), project=None, page=False).value
    assert value["decisions"]["at_hand"] is False
    assert value["about"]["frozen_at"] is None


def test_a_form_is_filled_in_whole_or_refused(folder: Path, tmp_path: Path) -> None:
    form, project = tmp_path / "form.csv", company(folder)
    audit_sample(None, SampleRequest(NONCE, 10), project=project, show_label="confidential", form=form)
    lines = form.read_text().splitlines()
    assert len(lines) == 11
    with pytest.raises(UsageError, match="this form is there already"):
        audit_sample(None, SampleRequest(NONCE, 10), project=project, show_label="confidential", form=form)

    def marked(marks: list[str]) -> dict[str, Any]:
        filled = [lines[0], *(re.sub(r",,$", f",{mark},", line) for line, mark in zip(lines[1:], marks, strict=True))]
        form.write_text("\n".join(filled) + "\n")
        request = SampleRequest(NONCE, 10, marked=form)
        return audit_sample(None, request, project=project, show_label="confidential").as_dict()

    assert (marked(["yes"] + ["no"] * 9)["errors"], marked(["no"] * 10)["upper_bound"]) == (1, "0.2589")
    with pytest.raises(InputError, match="not yes or no"):
        marked(["no"] * 9 + [""])
    form.write_text("\n".join([lines[0], re.sub(r",,$", ",no,", lines[1])]) + "\n")
    with pytest.raises(InputError, match="9 of 10 shown pairs are not marked"):
        audit_sample(None, SampleRequest(NONCE, 10, marked=form), project=project, show_label="confidential")


def test_signs_that_nobody_sees_are_written_out() -> None:
    assert visible("a\u202eb\x1b[0m\u200b") == "a[U+202E]b[U+001B][0m[U+200B]"
    assert visible(f"{HEBREW}\n\tü") == f"{HEBREW}\n\tü"
    with pytest.raises(UsageError):
        clearance(("low", "high"), "middle")
    assert not clearance(("low", "high"), None).allows("high")
    assert not clearance(("low", "high"), "high").allows("other")
