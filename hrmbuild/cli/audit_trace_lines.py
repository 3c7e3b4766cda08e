"""A trace as lines for a person. Owns wording and layout; words of documents are made visible."""

from __future__ import annotations

from typing import Any

from hrmbuild.cli.output import table, visible

_STANDS = {True: "stands there", False: "DOES NOT STAND THERE", None: "no words are quoted from there"}


def trace_lines(found: dict[str, Any]) -> list[str]:
    """The trace of a pair, a source or a package."""
    lines = {"pair": _pair_lines, "source": _source_lines, "package": _package_lines}[found["kind"]](found)
    return [*map(visible, lines), "", *_descendants(found)]


def _pair_lines(found: dict[str, Any]) -> list[str]:
    held_out = f" (held out as {found['axis']})" if found["axis"] else ""
    lines = [
        f"pair          {found['id']}",
        f"leaf          {found['leaf']}",
        f"is            {found['question']}, {found['derivation']}, {found['book']} book, {found['condition']}, "
        f"{found['stratum']}",
        f"split         {found['split']}{held_out}",
        f"label         {found['label']}",
        f"tokens        {found['tokens'][0]} + {found['tokens'][1]}",
        f"gates passed  {'; '.join(found['gates'])}",
    ]
    if found["shown"]:
        lines += ["", *_indented("instruction", found["instruction"]), *_indented("response", found["response"])]
    else:
        lines += ["", f"its texts are {found['label']}: --show-label {found['label']} shows them to who may read them"]
    for number, one in enumerate(found["occurrences"], start=1):
        lines += ["", f"occurrence {number} of {len(found['occurrences'])}", *_occurrence_lines(one)]
    return lines


def _occurrence_lines(one: dict[str, Any]) -> list[str]:
    lines = [f"  source      {path}: {_facts(told)}" for path, told in zip(one["paths"], one["declared"], strict=True)]
    lines += [f"  bytes       {one['source_sha256']} ({one['file']})"]
    lines += [f"  place       {one.get('place') or _facts(one['locator'])}: {_STANDS[one['stands']]}"]
    lines += [f"  template    {one['template'] or 'of another release'} {one['template_sha256'][:12]}"]
    if one.get("query"):
        lines += _indented("query", one["query"])
    lines += [f"  input       {name} = {value}" for name, value in sorted((one.get("inputs") or {}).items())]
    if one.get("text_again") is not None:
        lines += _indented("read again", one["text_again"])
    elif one.get("text") is not None:
        lines += _indented("shown rows or rules", one["text"])
    return lines


def _source_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"source        {found['path']}",
        f"bytes         {found['sha256']}",
        f"declared      {_facts(found['declared'])}",
        f"came of it    {found['records']:,} records, {found['made']:,} pairs made, {found['kept']:,} kept, "
        f"{found['rejected']:,} rejected" + (f"; quarantined: {found['reason']}" if found["reason"] else ""),
        f"reasons       {_facts(found['reasons']) or 'none'}",
        f"pairs         {found['n_pairs']:,} ({_facts(found['splits'])}); {found['also_from_others']:,} of them from "
        "other sources too",
        f"questions     {_facts(found['questions'])}",
        "",
    ]
    rows = [(one["id"][:16], one["leaf"][:16], one["split"], one["question"]) for one in found["pairs"]]
    lines += table(["pair", "leaf", "split", "question"], rows)
    more = found["n_pairs"] - len(rows)
    return [*lines, f"and {more:,} more"] if more else lines


def _package_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"package       {found['name']} {found['version']} ({found['package']})",
        f"label         {found['label']}",
        f"content_root  {found['content_root']}",
        f"corpus        {found['corpus_content_root']}",
        f"manifest      {found['corpus_manifest_sha256']}",
    ]
    if found["splits"] is None:
        return [*lines, "", "that manifest is not at hand here: not followed to the sources"]
    rows = [(one["path"], one.get("owner", ""), one.get("license", ""), one["label"], one["pairs"])
            for one in found["sources"]]  # fmt: skip
    return [*lines, f"pairs         {_facts(found['splits'])}", "",
            *table(["source", "owner", "licence", "label", "pairs"], rows)]  # fmt: skip


def _descendants(found: dict[str, Any]) -> list[str]:
    manifests = [f"{one['folder']} (sha256 {one['sha256'][:12]})" for one in found["manifests"]]
    told = (("manifests", manifests), ("runs", found["runs"]), ("packages", found["packages"]))
    return [f"{name:<14}{', '.join(values) or 'none'}" for name, values in told]


def _indented(name: str, text: str) -> list[str]:
    return [f"  {name}:", *(f"    | {line}" for line in text.splitlines())]


def _facts(told: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in told.items())
