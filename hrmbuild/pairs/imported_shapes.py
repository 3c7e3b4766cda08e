"""Which fields of a row of an existing pair hold instruction, response and condition.

Owns the usual shapes (HRM-Text's own, Alpaca, messages and ShareGPT, prompt/completion, question/answer, nested
instances) and a declared mapping. It must not change a text: cleaning is `imported`'s work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hrmbuild.config.project import PairsMapping


@dataclass(frozen=True)
class Shaped:
    """A pair as its fields say it."""

    shape: str
    """`declared`, `alpaca`, `messages`, ... ; shown to the user."""
    instruction: str
    response: str
    condition: str | None = None
    question: str | None = None
    """The last declared field of the instruction: what a context is chosen by."""


class ShapeError(ValueError):
    """No pair in these fields: `code` and `detail` of the rejection."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


SHAPES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("alpaca", ("instruction", "input"), "output"),
    ("alpaca", ("instruction", "context"), "response"),
    ("instruction", ("instruction", "input"), "response"),
    ("prompt", ("prompt",), "completion"),
    ("prompt", ("prompt",), "response"),
    ("question", ("context", "question"), "answer"),
    ("question", ("passage", "question"), "answer"),
    ("question", ("question",), "response"),
    ("query", ("query",), "response"),
    ("problem", ("problem",), "solution"),
    ("input", ("input",), "output"),
)
"""Name, fields of the instruction (the last, or `instruction`, must be there), field of the response. First match."""
LIST_END = "/*"
"""End of a declared field that is a list: its members are joined, in their order."""
OPTIONAL_END = "?"
"""End of a declared field that a row may lack, or have empty."""
ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}


def shape_rows(fields: Mapping[str, str], mapping: PairsMapping | None) -> Iterator[Shaped]:
    """All pairs of a row (one, but for nested instances).

    Raises:
        ShapeError: no shape fits, a declared field is missing, or the conversation has several turns.
    """
    if mapping and (mapping.instruction or mapping.response):
        yield _declared(fields, mapping)
        return
    lower = {name.lower(): text for name, text in fields.items()}
    if "messages/0/content" in lower or "conversations/0/value" in lower:
        yield _conversation(lower)
        return
    if "instances/0/output" in lower:
        yield from _instances(lower)
        return
    for shape, asked, answered in SHAPES:
        first = "instruction" if "instruction" in asked else asked[-1]
        if first in lower and answered in lower:
            words = [lower[name] for name in asked if lower.get(name, "").strip()]
            yield Shaped(shape, "\n\n".join(words), lower[answered], lower.get("condition"))
            return
    raise ShapeError(
        "compile.no_mapping",
        f"none of the usual shapes fits the fields {', '.join(sorted(fields))[:200]}; declare them under 'mapping'",
    )


def _declared(fields: Mapping[str, str], mapping: PairsMapping) -> Shaped:
    asked, answered = mapping.instruction or (), mapping.response or ""
    texts = {name: text for name in asked if (text := _field(fields, name)) is not None}
    missing = [name for name in asked if name not in texts] + ([] if answered in fields else [answered])
    if missing or not asked:
        what = f"the mapped field {missing[0]!r}" if missing else "'mapping.instruction'"
        raise ShapeError("compile.no_mapping", f"{what} is missing; the row has {', '.join(sorted(fields))[:200]}")
    response = fields[answered]
    if mapping.response_pattern:
        found = re.search(mapping.response_pattern, response)
        if not found:
            raise ShapeError("compile.no_answer", f"'mapping.response_pattern' finds nothing in field {answered!r}")
        if answered in texts:
            texts[answered] = response[: found.start()].rstrip()
        response = found.group(1)
    words = [texts[name] for name in asked if texts[name].strip()]
    return Shaped("declared", "\n\n".join(words), response, _condition(fields, mapping), texts[asked[-1]])


def _field(fields: Mapping[str, str], name: str) -> str | None:
    """A field's text; `options/*` is the whole list `options`, one member a line, and `note?` may be missing."""
    if name.endswith(OPTIONAL_END) and name not in fields:
        return fields.get(name.removesuffix(OPTIONAL_END), "")
    if name in fields or not name.endswith(LIST_END):
        return fields.get(name)
    listed = name.removesuffix(LIST_END)
    members: list[str] = []
    while (member := fields.get(f"{listed}/{len(members)}")) is not None:
        members.append(member)
    return "\n".join(members) if members else None


def _condition(fields: Mapping[str, str], mapping: PairsMapping) -> str | None:
    if mapping.condition is None or not mapping.condition.startswith("="):
        return fields.get(mapping.condition) if mapping.condition else None
    return mapping.condition[1:]


def _conversation(lower: Mapping[str, str]) -> Shaped:
    turns = list(_turns(lower))
    roles = [role for role, _ in turns]
    if roles not in (["user", "assistant"], ["system", "user", "assistant"]):
        raise ShapeError(
            "compile.several_turns",
            f"a conversation of {' '.join(roles) or 'nobody known'}; one question and one answer are read",
        )
    return Shaped("messages", "\n\n".join(text for _, text in turns[:-1] if text.strip()), turns[-1][1])


def _turns(lower: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    family, role_name, text_name = (
        ("messages", "role", "content") if "messages/0/content" in lower else ("conversations", "from", "value")
    )
    number = 0
    while f"{family}/{number}/{text_name}" in lower:
        role = ROLES.get(lower.get(f"{family}/{number}/{role_name}", "").lower(), "unknown")
        yield role, lower[f"{family}/{number}/{text_name}"]
        number += 1


def _instances(lower: Mapping[str, str]) -> Iterator[Shaped]:
    number = 0
    while f"instances/{number}/output" in lower:
        words = [lower.get("instruction", ""), lower.get(f"instances/{number}/input", "")]
        yield Shaped("instances", "\n\n".join(w for w in words if w.strip()), lower[f"instances/{number}/output"])
        number += 1
