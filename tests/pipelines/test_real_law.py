"""Regulations and tax cases that nobody here wrote: what is asked and answered stands verbatim in the file.

The files are read here by the standard library alone; nothing of a reader or compiler is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import pytest

from hrmbuild.assets import asset_folder
from hrmbuild.config.loading import load_project
from hrmbuild.pipelines.ingest import ingest

pytestmark = pytest.mark.slow
CFPB, SARA = "rules/cfpb-regulations-xml/files", "rules/sara-tax-statutes/files"
STATUTES = 9
_PROLOG = re.compile(r":-|% Facts|% Test|\b[a-z]+_\(|\bs\d+\w*_?\(")


@pytest.fixture(scope="module")
def corpus(shared_data: Path, make_once: Callable[..., Path]) -> Path:
    """The two folders under their entries of the example's settings."""

    def build(folder: Path) -> None:
        folder.mkdir()
        text = (Path(asset_folder("examples")) / "all-real-data.yaml").read_text("utf-8")
        head, *entries = re.split(r"(?m)^(?=  - path: )", text)
        kept = [one for one in entries if CFPB in one.split("\n")[0] or "sara-tax" in one.split("\n")[0]]
        (folder / "law.yaml").write_text(head + "".join(kept))
        ingest(load_project(folder / "law.yaml", sources=shared_data, work=folder))

    return make_once("law", build) / "corpus.duckdb"


def rows(corpus: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query over the corpus finds."""
    with duckdb.connect(str(corpus), read_only=True) as connection:
        return connection.execute(query).fetchall()


def squeezed(text: str) -> str:
    """Letters and signs without what a line break or a mark of emphasis does to spaces."""
    return re.sub(r"\s+", "", text)


def test_definitions_and_sections_of_regulations_stand_verbatim_in_the_xml(corpus: Path, shared_data: Path) -> None:
    words = {path: squeezed("".join(ElementTree.parse(path).getroot().itertext()))
             for path in (shared_data / CFPB).rglob("*.xml")}  # fmt: skip
    n_definitions = 0
    for path, kind, response, answer, occurrence in rows(
        corpus, "SELECT path, kind, response, answer, occurrence FROM candidate "
        f"WHERE path LIKE '{CFPB}%' AND derivation = 'quoted'"
    ):  # fmt: skip
        told = words[shared_data / path]
        assert squeezed(json.loads(occurrence)["text"]) in told, (path, response)
        if kind == "prose.definition":
            n_definitions += 1
            assert squeezed(json.loads(answer)["value"]) in told, (path, response)
    assert n_definitions > 50


_CITED = re.compile(r"(?P<comment>Comment |§ )(?P<part>\d+)\.(?P<place>\d+(?:\(\w+\))*)(?:-(?P<below>[\w.]+?))?\.?$")


def test_paragraphs_and_official_interpretations_are_named_as_cited_and_hold_the_words(
    corpus: Path, shared_data: Path
) -> None:
    words = {one.get("label"): squeezed("".join(one.itertext()))
             for path in (shared_data / CFPB).rglob("*.xml") for one in ElementTree.parse(path).getroot().iter()
             if one.get("label")}  # fmt: skip
    named = {"Comment ": 0, "§ ": 0}
    for response, occurrence in rows(
        corpus, "SELECT response, occurrence FROM candidate "
        f"WHERE path LIKE '{CFPB}%' AND derivation = 'quoted' AND kind NOT LIKE 'texts.%'"
    ):  # fmt: skip
        cited = _CITED.search(response)
        if cited is None or (cited["comment"] == "§ " and "(" not in cited["place"]):
            continue
        label = "-".join([cited["part"], *re.findall(r"\w+", cited["place"])])
        label += f"-Interp-{cited['below'].replace('.', '-')}" if cited["below"] else ""
        assert squeezed(json.loads(occurrence)["text"]) in words[label], response
        named[cited["comment"]] += 1
    assert named["Comment "] > 200 and named["§ "] > 300, named


def test_whatever_is_answered_from_the_interpretation_of_a_section_names_its_paragraph(corpus: Path) -> None:
    answered = rows(
        corpus, "SELECT kind, response FROM candidate WHERE derivation = 'quoted' AND kind LIKE 'prose.%' "
        f"AND path LIKE '{CFPB}%' AND json_extract_string(occurrence, '$.locator.pointer') LIKE '%/interpParagraph%' "
        "AND json_extract_string(occurrence, '$.locator.heading_path[1]') LIKE 'Section %'"  # not of an appendix
    )  # fmt: skip
    unnamed = [one for one in answered if not re.search(r"Comment \d+\.\d+(?:\(\w+\))*-\d", one[1])]
    assert len(answered) > 200 and not unnamed, unnamed


def test_no_program_of_a_tax_case_is_shown_and_sums_show_all_sections_or_are_counted(
    corpus: Path, shared_data: Path
) -> None:
    cases = rows(corpus, f"SELECT path, instruction FROM candidate WHERE path LIKE '{SARA}%'")
    assert len(cases) > 100 and not [path for path, shown in cases if _PROLOG.search(shown)]
    refused = {path for (path,) in rows(corpus, "SELECT path FROM rejection WHERE code = 'compile.too_long'")}
    sums = {path.relative_to(shared_data).as_posix() for path in (shared_data / SARA).glob("tax_case*.pl")}
    whole = {path for path, shown in cases if len(re.findall(r"(?m)^\W*§\s?\d+", shown)) >= STATUTES}
    assert sums and sums <= refused | whole
