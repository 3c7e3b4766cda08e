"""What one sentence of a rule says, where its form leaves no doubt.

Owns the patterns: duty, permission, prohibition, condition, deadline, exception, threshold, definition, reference. Each
is a pure function of a sentence and gives its parts in the sentence's own words, or None. In doubt: None. A pattern
that misses a duty costs one pair; one that invents a duty teaches a falsehood.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Force = Literal["required", "permitted", "forbidden"]
FORCES: tuple[Force, ...] = ("required", "permitted", "forbidden")


class Norm(NamedTuple):
    """`<subject> <modal> <action>`."""

    subject: str
    """As in running text: `the branch manager`."""
    modal: str
    force: Force
    action: str
    """Verb phrase without the modal and the full stop: `open a claim file within 2 working days`."""
    condition: str | None = None
    """`If <condition>, ...`, without the conjunction's capital: `if the loss exceeds 5000 EUR`."""


_MODALS: dict[str, Force] = {
    "must not": "forbidden",
    "shall not": "forbidden",
    "may not": "forbidden",
    "are not allowed to": "forbidden",
    "is not allowed to": "forbidden",
    "are required to": "required",
    "is required to": "required",
    "must": "required",
    "shall": "required",
    "may": "permitted",
    "is allowed to": "permitted",
    "are allowed to": "permitted",
}
_ANY_MODAL = re.compile(
    r"\b(" + "|".join(sorted(_MODALS, key=len, reverse=True)) + r"|should|can|cannot|could|might)\b"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOT_A_SUBJECT = _words(
    "it there this that these those they he she i if when where unless before after for in on at by to as what who "
    "how which while because although since with without under such however also note and or but so then once upon "
    "during not only both either neither example please note"
)
_EPISTEMIC = _words(
    "have cause result include vary contain require change differ occur already still become need apply appear wish "
    "want seem affect lead take even sometimes contact help find feel experience involve mean look arise never often "
    "additionally choose reserve give prevent"
)
"""`may` before these tells what is possible, not what is permitted."""
_PASSIVE = re.compile(
    r"(?!required|needed|limited|asked|entitled|affected|based|related|delayed)(?:\w+ed|paid|sent|made|"
    r"given|held|kept|taken|shown|lent|sold|written)$"
)
_HEDGES = re.compile(r"\b(unless|except|only|other than|provided that|subject to|otherwise|however)\b", re.I)
_BAD_ACTION = re.compile(r"[:;\"“”\[\]|*_`]|\b(which|e\.g|i\.e|etc)\b")
_IF = re.compile(r"^((?:If|When|Where|Once)\s[^,:;]{8,120}),\s+(?:then\s+)?(.+)$")


_ADVERB = re.compile(r"(?!(?:fly|apply|supply|reply|rely|comply|multiply)$)\w+ly$")
"""`may periodically revise`: what happens now and then, more often than what is permitted."""


def find_norm(sentence: str) -> Norm | None:
    """The duty, permission or prohibition that a whole sentence states."""
    condition = None
    conditional = _IF.match(sentence)
    if conditional:
        condition, sentence = lower_first(conditional.group(1)), conditional.group(2)
        if _ANY_MODAL.search(condition):
            return None
    found = _ANY_MODAL.search(sentence)
    if not found or found.group(1) not in _MODALS or not sentence.rstrip().endswith("."):
        return None
    subject, action = sentence[: found.start()].strip(), sentence[found.end() :].strip().rstrip(".")
    if not (is_subject(subject) and _is_action(action, modal=found.group(1))):
        return None
    return _norm(subject, found.group(1), action, condition)


def _norm(subject: str, modal: str, action: str, condition: str | None) -> Norm | None:
    force = _MODALS[modal]
    if subject.lower().startswith("no "):
        if force != "permitted":
            return None
        force, subject = "forbidden", "any " + subject[3:]
    return Norm(lower_first(subject), modal, force, action, condition)


def is_subject(text: str) -> bool:
    words = text.split()
    if not 1 <= len(words) <= 9 or words[0].lower() in _NOT_A_SUBJECT or not text[0].isalpha():
        return False
    return not re.search(r"[,:;()\"“”\[\]|*_`!?]", text) and words[-1].lower() not in ("who", "that", "and", "or")


def _is_action(text: str, *, modal: str) -> bool:
    words = text.split()
    if not 2 <= len(words) <= 26 or not words[0].islower() or words[0] in ("also", "not", "only", "either"):
        return False
    if (modal.startswith("may") and words[0] in _EPISTEMIC) or _ADVERB.match(words[0]):
        return False
    if words[0] == "be" and (modal == "may not" or not _PASSIVE.match(words[1])):
        return False  # "may not be supported" tells what is possible as often as what is forbidden
    if text.count("(") != text.count(")") or _BAD_ACTION.search(text):
        return False
    return not _ANY_MODAL.search(text)


def is_hedged(norm: Norm) -> bool:
    """Whether an exception or a limit stands in the sentence, so that its force alone would be a wrong answer."""
    return bool(_HEDGES.search(norm.action) or _HEDGES.search(norm.condition or ""))


_OBJECTS = {"we": "us", "i": "me", "they": "them"}


def objective(subject: str) -> str:
    """The subject as in `for us to ...`."""
    return _OBJECTS.get(subject.lower(), subject)


_OF_THINGS = _words("be carry contain include show have cost exceed state reach remain apply last bear stand name meet")


def is_duty_of_a_person(norm: Norm) -> bool:
    """Whether `who must ...?` makes sense: an article before the subject and a verb that people do."""
    return (
        norm.force == "required"
        and norm.subject.split()[0] in ("the", "a", "an", "each", "every")
        and norm.action.split()[0] not in _OF_THINGS
        and not norm.action.startswith(("take effect", "come into", "become effective", "terminate on", "expire"))
    )


_COUNT = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fourteen|fifteen|thirty|sixty|ninety)"
_TIME_UNIT = r"(?:(?:working|business|calendar) )?(?:hours?|days?|weeks?|months?|years?)"
_DEADLINE = re.compile(
    rf"\b(?:within {_COUNT} {_TIME_UNIT}(?: (?:of|after|from) [\w' -]+?)?|no later than [\w' -]+|"
    rf"at least {_COUNT} {_TIME_UNIT} before [\w' -]+|by the (?:end|last|first|\w+th) [\w' -]+)$"
)


class Deadline(NamedTuple):
    """An action and the time it is allowed."""

    action: str
    """Without the time."""
    time: str
    """`within 5 working days of the report`, as written."""


def find_deadline(norm: Norm) -> Deadline | None:
    """The time limit at the end of a duty, where cutting it off leaves the rest whole."""
    found = _DEADLINE.search(norm.action)
    if norm.force != "required" or not found or norm.action[: found.start()].rstrip().endswith((",", "and", "or")):
        return None
    action = norm.action[: found.start()].rstrip()
    return Deadline(action, found.group()) if action else None


_EXCEPTION = re.compile(
    r"^(?P<rule>[^:;]{15,160}?),?\s+(?P<exception>(?:unless|except (?:when|where|if|for|that))\s[^:;]{6,140})\.$"
)


class ExceptionTo(NamedTuple):
    """A rule and what lifts it, both as written."""

    rule: str
    exception: str


def find_exception(sentence: str) -> ExceptionTo | None:
    """`<rule> unless <exception>.`"""
    found = _EXCEPTION.match(sentence)
    if not found or _HEDGES.search(found["rule"]) or _HEDGES.search(found["exception"][8:]):
        return None
    first = found["rule"].split()[0].lower()
    return None if first in _NOT_A_SUBJECT - {"if", "when", "where"} else ExceptionTo(found["rule"], found["exception"])


_UNIT = (
    r"(?:EUR|USD|GBP|CHF|%|percent|km|kg|kWh|m²|"
    r"(?:working |business |calendar )?(?:days?|hours?|weeks?|months?|years?|minutes?)|"
    r"pages?|persons?|people|employees)"
)
_THRESHOLD = re.compile(
    r"\b(?:above|over|below|under|more than|less than|fewer than|at least|at most|up to|not exceed|exceeds?|exceeding|"
    r"no more than|no less than|maximum of|minimum of|within)\s+"
    rf"(?P<figure>(?P<currency>[$€£])?(?P<number>\d+(?:,\d{{3}})*(?:\.\d+)?)(?:\s(?P<scale>thousand|million|billion))?"
    rf"(?:\s?(?P<unit>{_UNIT})(?!\w))?)"
)
_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP"}


class Threshold(NamedTuple):
    """A limit and the sentence with a gap in its place."""

    figure: str
    """`5000 EUR`, as written."""
    number: str
    unit: str
    scale: str | None
    gap: str


def find_threshold(sentence: str) -> Threshold | None:
    """The only limit with a unit that a sentence sets."""
    found = [m for m in _THRESHOLD.finditer(sentence) if m["unit"] or m["currency"]]
    if len(found) != 1 or len(sentence) > 170 or _BAD_ACTION.search(sentence):
        return None
    match = found[0]
    unit = match["unit"] or _SYMBOLS[match["currency"]]
    gap = sentence[: match.start("figure")] + "[...]" + sentence[match.end("figure") :]
    return Threshold(match["figure"], match["number"].replace(",", ""), unit, match["scale"], gap)


_DEFINITION = re.compile(
    r"^(?:(?:An?|The|Our|Your) )?[\"“*_]{1,3}(?P<term>[\w][\w'’/ -]{1,50}?)[\"”*_]{1,3},?\s+"
    r"(?P<verb>means|refers to|is defined as|is)\s+(?P<meaning>[^\"“”*]{12,260})\.$"
)
_PLAIN_DEFINITION = re.compile(
    r"^(?P<term>(?:An? )?[A-Z][\w'’/ -]{1,40}?)\s+(?P<verb>means)\s+(?P<meaning>[^\"“”*]{12,260})\.$"
)


_A_MEANS_OF = re.compile(r"\b(?:an?|the|any|no|other|such|this|by|its|their)\s+means\b|\bmeans (?:by|of|to|through) ")
"""`Establish a means by which …`: the noun."""


class Definition(NamedTuple):
    """A term and its meaning, as written."""

    term: str
    meaning: str


def find_definition(sentence: str) -> Definition | None:
    """`"Term" means <meaning>.`: with marks around the term, or with the verb `means`."""
    found = _DEFINITION.match(sentence) or _PLAIN_DEFINITION.match(sentence)
    if not found or (found["verb"] == "is" and not re.match(r"(?:an?|the|any|one) ", found["meaning"])):
        return None
    term = re.sub(r"^An? ", "", found["term"])
    doubtful = term.split()[0].lower() in _NOT_A_SUBJECT or _ANY_MODAL.search(term) or _A_MEANS_OF.search(sentence)
    return None if doubtful else Definition(term, found["meaning"])


_REFERENCE = re.compile(r"\b(?:clause|section|rule|paragraph|§)\s*(\d+(?:\.\d+)*)\b", re.I)
_CITATION = re.compile(r"§\s*(\d+\.\d+(?:\([A-Za-z0-9]{1,4}\))+)")
"""A paragraph of a regulation, as the regulation numbers it: `§ 1030.4(b)(1)`."""


def find_references(sentence: str) -> list[str]:
    """Numbers of the clauses of this document that a sentence names."""
    if re.search(r"\b(?:Act|Regulation|Directive|U\.?S\.?C|Code|Title)\b", sentence):
        return []
    cited = [f"§ {match.group(1)}" for match in _CITATION.finditer(sentence)]
    return cited + [match.group(1) for match in _REFERENCE.finditer(sentence)]


_OPENERS = _words(
    "The A An Each Every Any All No You Your We Our Users User Employees Staff If When Where Once Branches Claims "
    "Members Customers Both Another Other Some Most Anyone Everyone Managers Adjusters Agents Policyholders"
)


def lower_first(text: str) -> str:
    """`The branch` -> `the branch`. A first word that is not known to be common keeps its capital: it may be a name."""
    return text[0].lower() + text[1:] if text.split()[0] in _OPENERS else text
