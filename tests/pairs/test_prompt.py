"""One template turns passages and a question into an instruction."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hrmbuild.assets import asset_folder
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.prompt import Passage, open_book_instruction

TEMPLATES = Templates([asset_folder("templates")])


def test_the_prompt_looks_like_this() -> None:
    text = open_book_instruction(
        TEMPLATES,
        passages=[Passage("Travel", "1. Rail first."), Passage(None, "2. Air needs approval.")],
        case="Ada flies.",
        question="May she?",
    )
    assert text == "Travel\n1. Rail first.\n\n2. Air needs approval.\n\nAda flies.\n\nMay she?"


def test_without_passage_and_case_the_question_stands_alone() -> None:
    assert open_book_instruction(TEMPLATES, passages=[], question="Why?") == "Why?"


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",)), min_size=1).filter(str.strip))
def test_a_passage_stands_verbatim_whatever_it_holds(text: str) -> None:
    import unicodedata

    instruction = open_book_instruction(TEMPLATES, passages=[Passage(None, text)], question="Q?")
    assert unicodedata.normalize("NFC", text) in instruction or text[-1] in "\n\r"
