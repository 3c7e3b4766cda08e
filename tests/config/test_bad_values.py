"""Values that a strict type would let through and that end later in a crash, or get lost without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrmbuild.config.loading import load_project
from hrmbuild.errors import ConfigError

PAIRS = "  - {path: a, kind: pairs, mapping: {response_pattern: '%s'}}\n"
BAD = {
    "a seed beyond canonical JSON": ("name: x\nseed: 99999999999999999\nsources: [{path: a, kind: memos}]\n", "seed"),
    "a cap beyond its column": ("name: x\nsources: [{path: a, kind: memos, max_pairs: 3000000000}]\n", "max_pairs"),
    "a broken pattern": ("name: x\nsources: [{path: a, kind: memos, group: '('}]\n", "no regular expression"),
    "a pattern that is broken": ("name: x\nsources:\n" + PAIRS % "(", "no regular expression"),
    "a pattern without a group": ("name: x\nsources:\n" + PAIRS % "d", "one group"),
    "cases without blocks": ("name: x\nsources: [{path: a, kind: rules, cases: {blocks: []}}]\n", "blocks"),
    "an infinite rate": ("name: x\ntrain: {learning_rate: .inf}\nsources: [{path: a, kind: memos}]\n", "finite"),
    "a label twice": ("name: x\nlabels: [internal, internal]\nsources: [{path: a, kind: memos}]\n", "twice"),
    "one key in two spellings": (
        "name: x\nsources: [{path: a, kind: memos, license: MIT, licence: internal}]\n", "one key"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_value_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    text, named = BAD[case]
    path = tmp_path / "hrmbuild.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    assert named in caught.value.what
    assert (caught.value.where or "").startswith("hrmbuild.yaml:") and caught.value.fix


def test_the_largest_seed_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "hrmbuild.yaml"
    path.write_text(f"name: x\nseed: {2**53 - 1}\nsources: [{{path: a, kind: memos}}]\n")
    assert load_project(path).config_sha256
