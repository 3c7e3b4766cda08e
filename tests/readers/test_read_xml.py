"""XML: statutes and regulations with numbers and headings, other texts with paths, repeated elements as rows."""

from __future__ import annotations

import pytest

from hrmbuild.errors import InputError

REGULATION = """<regulation xmlns="eregs"><fdsys><title>LEFT</title></fdsys><part label="9"><content>
<section sectionNum="1"><subject>§ 9.1 Purpose.</subject>
<paragraph marker="(a)"><title type="keyterm">Scope.</title>
<content>This <def term="part">part</def> binds banks.</content>
<paragraph marker="(1)"><content>Small banks too.</content></paragraph></paragraph></section></content></part>
</regulation>"""
STATUTE = """<pLaw xmlns="http://schemas.gpo.gov/xml/uslm"><main><section><num value="2">SEC. 2. </num>
<heading>Terms<ref class="footnoteRef">1</ref></heading><chapeau>In this Act—</chapeau>
<footnote><p>Left out.</p></footnote>
<subsection><num value="a">(a) </num><content>“<term>lease</term>” means a lease;</content></subsection>
</section></main></pLaw>"""


def seen(result) -> list[tuple[str, str | None, str, tuple[str, ...] | None]]:
    return [(b.kind, b.number, b.text, b.locator.heading_path) for b in result.records[0].blocks]


def test_a_regulation_keeps_sections_markers_and_key_terms(read_file):
    result = read_file("reg.xml", REGULATION)
    under = ("§ 9.1 Purpose.",)
    assert seen(result) == [
        ("heading", "§ 9.1", "Purpose.", None),
        ("paragraph", "(a)", "Scope. This part binds banks.", under),
        ("paragraph", "(1)", "Small banks too.", under),
    ]
    assert result.records[0].blocks[2].locator.pointer == "/regulation/part/content/section/paragraph/paragraph/content"
    assert [skip.code for skip in result.skips] == ["read.xml_notes"]


LABELLED = """<regulation xmlns="eregs"><fdsys><title>TRUTH IN SAVINGS</title></fdsys><part label="9"><content>
<section label="9-2" sectionNum="2"><subject>§ 9.2 Definitions.</subject>
<paragraph label="9-2-p1" marker="none"><content>In this part:</content>
<paragraph label="9-2-a" marker="(a)"><title type="keyterm">Fee.</title><content>Fee. A fee is a charge.</content>
<paragraph label="9-2-a-1" marker=""><content>It is paid.</content></paragraph></paragraph></paragraph></section>
<interpretations label="9-Interp"><title>Supplement I</title><interpSection label="9-2-Interp"><title>9.2</title>
<interpParagraph label="9-2-a-Interp" target="9-2-a"><title>(a) Fee.</title><content/>
<interpParagraph label="9-2-a-Interp-1" marker="1."><title>Covered.</title><content>Some are:</content>
<interpParagraph label="9-2-a-Interp-1-i" marker="i."><content>A late fee.</content></interpParagraph></interpParagraph>
</interpParagraph></interpSection></interpretations></content></part></regulation>"""


def test_paragraphs_and_interpretations_of_a_regulation_have_the_names_that_they_are_cited_by(read_file):
    result = read_file("reg.xml", LABELLED)
    assert result.records[0].title == "TRUTH IN SAVINGS"
    assert [(b.number, b.text) for b in result.records[0].blocks if b.kind == "paragraph"] == [
        (None, "In this part:"), ("§ 9.2(a)", "Fee. A fee is a charge."), (None, "It is paid."),
        ("Comment 9.2(a)-1", "Some are:"), ("Comment 9.2(a)-1.i", "A late fee."),
    ]  # fmt: skip


def test_a_statute_keeps_numbers_and_leaves_footnotes_out(read_file):
    result = read_file("law.xml", STATUTE)
    assert seen(result) == [
        ("heading", None, "SEC. 2. Terms", None),
        ("paragraph", None, "In this Act—", ("SEC. 2. Terms",)),
        ("paragraph", "(a)", "“lease” means a lease;", ("SEC. 2. Terms",)),
    ]
    assert [skip.detail for skip in result.skips] == ["footnotes are not read: 1"]


def test_another_text_is_headings_and_paragraphs_with_paths(read_file):
    result = read_file("a.xml", "<doc><title>Rules</title><p>Be <b>kind</b>.</p><p>Be brief.</p></doc>")
    assert [(b.kind, b.text, b.locator.pointer) for b in result.records[0].blocks] == [
        ("heading", "Rules", "/doc/title"),
        ("paragraph", "Be kind.", "/doc/p[1]"),
        ("paragraph", "Be brief.", "/doc/p[2]"),
    ]


CATALOGUE = """<shop><item id="7"><name>Tea</name><price cur="EUR">1.10</price><tag>a</tag><tag>b</tag></item>
<item id="8"><name>Milk</name></item></shop>"""


def test_repeated_elements_are_a_table_or_pairs(read_file):
    table = read_file("shop.xml", CATALOGUE, kind="tables").records[0]
    assert (table.name, table.locator.pointer) == ("shop", "/shop")
    assert [(c.name, c.cells) for c in table.columns] == [
        ("id", ("7", "8")), ("name", ("Tea", "Milk")), ("price", ("1.10", None)), ("tag", ("a", None)),
        ("tag/2", ("b", None)),
    ]  # fmt: skip
    rows = read_file("shop.xml", CATALOGUE, kind="pairs").records
    assert (rows[1].fields, rows[1].locator.pointer) == ({"id": "8", "name": "Milk"}, "/shop/item[2]")


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (BOMB, "rules", "read.xml_entities"),
        (BOMB.encode("utf-16"), "rules", "read.xml_entities"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a>&b;</a>', "rules", "read.xml_entities"),
        ("<a>&undefined;</a>", "rules", "read.broken_xml"),
        ("<a><b></a>", "rules", "read.broken_xml"),
        ("<a>" * 5000, "rules", "read.broken_xml"),
        ("", "rules", "read.broken_xml"),
        ("<a/>", "rules", "read.no_text"),
        ("<a>words</a>", "tables", "read.no_rows"),
    ],
)
def test_bombs_and_broken_files_are_refused(read_file, content, kind, code):
    with pytest.raises(InputError) as caught:
        read_file("a.xml", content, kind=kind)
    assert caught.value.code == code


@pytest.mark.parametrize(("folder", "n_files"), [("rules/usgpo-uslm", 26), ("rules/cfpb-regulations-xml", 9)])
def test_every_statute_and_regulation_is_read_and_each_quote_stands(shared_data, read_file, folder, n_files):
    n_read = 0
    for path in sorted((shared_data / folder / "files").rglob("*")):
        if path.is_file():
            n_read += any(b.kind == "paragraph" for b in read_file(path.name, path.read_bytes()).records[0].blocks)
    assert n_read == n_files
