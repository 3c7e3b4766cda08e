"""The head of the audit report: "what is in it?", answered in a minute by sentences that lead to their sections.

Owns which facts are told first, and their words. Every figure is taken from the report's own sections; it must not
count anything, and it holds no text of a pair or a source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_ANSWERS = {
    "quoted": "quoted from a source", "queried": "found by a query over the rows shown",
    "evaluated": "computed by the rules shown", "absent": "saying what the text shown does not say",
    "imported": "taken from files of pairs", "written_by_person": "written by a person",
    "written_by_model": "written by a language model",
}  # fmt: skip
_MOST = 3
"""Names of one sort that are told before the rest is counted."""


def in_short(value: Mapping[str, Any]) -> list[dict[str, str]]:
    """Sentences in the order in which somebody who has to sign asks, each with its section.

    Args:
        value: the report with all its sections.
    """
    return [{"section": section, "text": text} for section, text in _sentences(value)]


def _sentences(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "splits", _size(value)
    yield "sources", _from_whom(value)
    shares = [f"{one['name']} {one['share']} %" for one in value["tokens"]["by_stratum"]]
    beside = ", included corpora among it" if value["included"] else ""
    yield "tokens", f"By share of its text{beside}: {_told(shares)}."
    if value["included"]:
        one = value["included"]
        names = _told([base["name"] for base in one["corpora"]])
        yield "included", f"Trained on beside it: {one['pairs']:,} pairs of included corpora ({names})."
    yield "lineage", _who_wrote(value["lineage"])
    yield "rejections", _kept_out(value["rejections"])
    yield "personal", _personal(value)
    yield "conflicts", _conflicts(value["conflicts"]["pairs"]) + _contradicted(value["included"])
    yield "changes", _changes(value["changes"])
    yield "decisions", _decided(value["decisions"])


def _size(value: Mapping[str, Any]) -> str:
    n = {one["split"]: one["pairs"] for one in value["splits"]["rows"]}
    return (f"{value['about']['pairs']:,} pairs of a question and its answer: {n['train']:,} to train on, {n['dev']:,} "
            f"to look at on the way, {n['test']:,} kept apart for the test.")  # fmt: skip


def _from_whom(value: Mapping[str, Any]) -> str:
    sources, files = value["sources"], value["funnel"]["files"]
    owners, licenses = ([one["value"] for one in sources[name]] for name in ("owners", "licenses"))
    read = f"{files['read']:,}" if files["read"] == files["found"] else f"{files['read']:,} of {files['found']:,}"
    read += f" (and {len(value['included']['files']):,} of included corpora)" if value["included"] else ""
    return (f"From {read} files owned by {_told(owners)}; licence: {_told(licenses)}; the most sensitive label is "
            f"{value['about']['label']}.")  # fmt: skip


def _who_wrote(lineage: Mapping[str, Any]) -> str:
    by = sorted(lineage["derivations"], key=lambda one: -one["pairs"])
    parts = [f"{one['pairs']:,} {_ANSWERS.get(one['derivation'], one['derivation'])}" for one in by]
    told = f"Answers: {', '.join(parts)}. " if parts else ""
    if lineage["files_by_model"]:
        return f"{told}In files whose declared maker is a language model: {lineage['files_by_model']:,} pairs."
    return told + ("" if lineage["written_by_model"] else "None is said to be written by a language model.")


def _kept_out(rejections: Mapping[str, Any]) -> str:
    not_read = f"Parts of files that were seen and not read: {rejections['n_skipped']:,}."
    if not rejections["total"]:
        return f"Nothing was turned down. {not_read}"
    most = rejections["reasons"][0]
    reason = (most["meaning"] or most["code"]).rstrip(".")
    told = f"{rejections['total']:,} things were turned down; the most frequent reason ({most['n']:,}): {reason}."
    return f"{told} {not_read}"


def _personal(value: Mapping[str, Any]) -> str:
    found, secrets = value["personal_data"], value["secrets"]["pairs"]
    masked = "masks not known" if found["masked_words"] is None else f"{found['masked_words']:,} words masked"
    return (f"Personal data: {masked}, {found['pairs_rejected']:,} pairs refused. Secrets: {secrets:,} pairs refused. "
            "Names in running text are not found.")  # fmt: skip


def _conflicts(n_pairs: int) -> str:
    if not n_pairs:
        return "No two sources were found to contradict one another."
    return f"{n_pairs:,} pairs contradicted another source and were taken out."


def _contradicted(included: Mapping[str, Any] | None) -> str:
    n = included["contradictions"] if included else 0
    return f" {n:,} pairs of included corpora contradicted others and are not trained on." if n else ""


def _changes(changes: Mapping[str, Any] | None) -> str:
    if changes is None:
        return "No manifest before this one is at hand to compare with."
    sources = changes["sources"]
    counts = ", ".join(f"{len(sources[name])} {name}" for name in ("added", "removed", "changed"))
    before, now = changes["pairs"]
    return f"Since the manifest before: {before:,} pairs then, {now:,} now; sources: {counts}."


def _decided(decisions: Mapping[str, Any]) -> str:
    if not decisions["at_hand"]:
        return "Who decided what is not at hand."
    approval: Mapping[str, Any] = decisions["approval"] or {}
    reviews = sum(decisions["reviews"].values())
    reviewed = f"; persons reviewed pairs {reviews:,} times" if reviews else "; no pair was reviewed by a person"
    if approval.get("rejected_by"):
        return f"Rejected by {_told(approval['rejected_by'])}{reviewed}."
    if approval.get("approved_by") or approval.get("awaited"):
        return f"Approved by {_told(approval['approved_by']) or 'nobody yet'}{reviewed}."
    return f"No setting demands an approval{reviewed}."


def _told(names: Sequence[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
