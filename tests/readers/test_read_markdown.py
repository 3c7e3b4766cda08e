"""Markdown: structure, exact spans, nothing dropped in silence."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from reader_spans import check_spans

from hrmbuild import readers
from hrmbuild.config.project import SourceConfig
from hrmbuild.fingerprint import sha256_hex

POLICY = """---
title: "Travel policy"
owner: Finance
tags: [travel, money]
---
# Travel policy

## 3. Meals

3.1 A meal above 40 EUR needs
a receipt.
3.2 Drinks are not paid.

**3.3** Tips are paid up to 5 EUR.

- first item
  goes on
  - nested item
1. one
2) two

| Grade | Limit |
|-------|-------|
| A     | 100   |

```sql
SELECT 1
```

{% include note.html %} Text with {{ variable }} stays.

<!-- hidden -->

[ref]: https://example.org
"""


def test_a_policy_becomes_blocks_with_numbers_levels_and_heading_paths(read_file):
    result = read_file("policy.md", POLICY)
    document = result.records[0]
    rows = [(block.kind, block.number, block.level, block.text) for block in document.blocks]
    assert rows == [
        ("heading", None, 1, "Travel policy"),
        ("heading", "3", 2, "Meals"),
        ("paragraph", "3.1", None, "A meal above 40 EUR needs\na receipt."),
        ("paragraph", "3.2", None, "Drinks are not paid."),
        ("paragraph", "3.3", None, "Tips are paid up to 5 EUR."),
        ("list_item", None, 1, "first item\n  goes on"),
        ("list_item", None, 2, "nested item"),
        ("list_item", "1", 1, "one"),
        ("list_item", "2)", 1, "two"),
        ("table_row", None, None, "| Grade | Limit |"),
        ("table_row", None, None, "| A     | 100   |"),
        ("code", None, None, "SELECT 1"),
        ("paragraph", None, None, "{% include note.html %} Text with {{ variable }} stays."),
    ]
    assert document.blocks[2].locator.heading_path == ("Travel policy", "3. Meals")
    assert (document.blocks[2].locator.line_from, document.blocks[2].locator.line_to) == (10, 11)


def test_front_matter_becomes_headers_and_skips_name_what_is_not_shown(read_file):
    result = read_file("policy.md", POLICY)
    document = result.records[0]
    assert document.title == "Travel policy"
    assert document.headers == {"title": "Travel policy", "owner": "Finance", "tags": "travel, money"}
    assert document.header_locators["tags"].char_from is None
    assert [skip.code for skip in result.skips] == ["read.comment", "read.link_definition"]


def test_front_matter_that_is_no_yaml_is_a_skip_and_the_rest_is_read(read_file):
    result = read_file("a.md", "---\ntitle: [unclosed\n---\n\nWords.\n")
    assert [skip.code for skip in result.skips] == ["read.front_matter"]
    assert [block.text for block in result.records[0].blocks] == ["Words."]


def test_memo_header_lines_become_headers_and_not_blocks(read_file):
    memo = "# Memo\n\n**From:** Ada  \n**To:** Board | **Date:** 3 May 2026\n**Subject:** New limits\n\nNote: well.\n"
    document = read_file("memo.md", memo, kind="memos").records[0]
    assert document.headers == {"from": "Ada", "to": "Board", "date": "3 May 2026", "subject": "New limits"}
    assert document.title == "New limits"
    assert [block.text for block in document.blocks] == ["Memo", "Note: well."]


def test_an_opening_sentence_with_a_colon_is_no_header(read_file):
    document = read_file("a.md", "Note: the office is closed.\n\nWarning: wet floor.\n").records[0]
    assert not document.headers
    assert len(document.blocks) == 2


def test_text_is_composed_while_offsets_count_in_the_file(read_file):
    document = read_file("a.md", "Cafe\u0301 open.\n\nNext.\n").records[0]
    assert [block.text for block in document.blocks] == ["Café open.", "Next."]
    assert document.blocks[1].locator.char_from == 13


def test_windows_newlines_and_a_byte_order_mark_change_no_word(read_file):
    plain = read_file("a.md", "# A\n\n- b\n- c\n").records[0]
    windows = read_file("b.md", b"\xef\xbb\xbf# A\r\n\r\n- b\r\n- c\r\n").records[0]
    assert plain.blocks == windows.blocks


def test_nesting_without_end_is_read_or_skipped_and_never_lost(read_file):
    result = read_file("deep.md", "> " * 3000 + "hello\n\n" + "- " * 500 + "bottom\n")
    words = " ".join(block.text for block in result.records[0].blocks)
    skipped = {skip.locator.line_from for skip in result.skips}
    assert ("hello" in words or 1 in skipped) and ("bottom" in words or 3 in skipped)


MARKDOWN = st.lists(
    st.sampled_from(
        ["# A b", "## 1. C", "para", "  indented", "- item", "  - deep", "1. one", "> quote", "| a | b |", "|---|---|",
         "```", "---", "", "", "<div>", "<!-- x", "-->", "[x]: y", "===", "(a) clause", "3.2 Clause",
         "e\u0301\u200b", "    code",
                  "**From:** x", "\tTab", "* * *", "\\", "{% raw %}"]
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(MARKDOWN)
def test_every_word_of_any_markdown_is_in_a_block_a_header_or_a_skip(lines):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.md"
        path.write_text("\n".join(lines), encoding="utf-8")
        source = SourceConfig(path="any.md", kind="rules")
        sha256 = sha256_hex(path.read_bytes())
        result = readers.read(path, relative="any.md", sha256=sha256, source=source, format="markdown")
        check_spans(path, "markdown", result)
    seen: set[int] = set()
    document = result.records[0]
    places = (
        [b.locator for b in document.blocks]
        + [s.locator for s in result.skips]
        + list(document.header_locators.values())
    )
    for place in places:
        seen.update(range(place.line_from or 0, (place.line_to or 0) + 1))
    marks = re.compile(r"[\s>*+\-\d.)=_#|`~\\]*$")
    assert not [line for number, line in enumerate(lines, 1) if number not in seen and not marks.match(line)]
