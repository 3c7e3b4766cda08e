"""Two sets of masks as one: the exact text after the one set reads as it did after both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hrmbuild.pairs.spans import Mask, apply_masks, mask_over, merge_masks

_TEXTS = st.text(alphabet="ab \n@1", min_size=0, max_size=30)


@st.composite
def _masked(draw: st.DrawFn, text: str, *, empty: bool) -> tuple[Mask, ...]:
    found: list[Mask] = []
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, len(text)))
        if start < end:
            found.append(
                Mask(start, end, draw(st.sampled_from(["", " ", "[X_1]", "role"] if empty else ["[X_1]", "[Y_2]"])))
            )
    return merge_masks(found)


@given(data=st.data(), text=_TEXTS)
def test_masks_over_masks_are_one_set_of_masks(data: st.DataObject, text: str) -> None:
    first = data.draw(_masked(text, empty=True))
    shown = apply_masks(text, first)
    second = data.draw(_masked(shown, empty=False))
    assert apply_masks(text, mask_over(first, second)) == apply_masks(shown, second)


def test_a_mask_that_touches_a_joined_line_swallows_it() -> None:
    first = (Mask(11, 12, " "),)
    assert mask_over(first, [Mask(5, 19, "[PHONE_1]")]) == (Mask(5, 19, "[PHONE_1]"),)


def test_a_line_of_a_hundred_thousand_marks_is_merged_at_once() -> None:
    marks = [Mask(at, at + 1, "") for at in range(0, 200_000, 2)]
    merged = merge_masks(marks, [Mask(0, 2, "x"), Mask(1, 2, "y")])
    assert merged == (marks[0], Mask(1, 2, "y"), *marks[1:])
    assert apply_masks("*a" * 100_000, merged) == "y" + "a" * 99_999
