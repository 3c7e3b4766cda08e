"""A trace as lines for a person. Owns wording and layout; words of documents are made visible."""

from __future__ import annotations

from typing import Any

from hrmbuild.cli.output import table, visible

_STANDS = {True: "stands there", False: "DOES NOT STAND THERE", None: "no words are quoted from there"}


def trace_lines(found: dict[str, Any]) -> list[str]:
    """The trace of a pair, a source, a run or a package."""
    if found["kind"] == "run":
        return [*map(visible, _run_lines(found))]
    lines = {"pair": _pair_lines, "source": _source_lines, "package": _package_lines}[found["kind"]](found)
    return [*map(visible, lines), "", *_descendants(found)]


def _base_lines(base: dict[str, Any]) -> list[str]:
    """The included corpus that a pair or a source is of."""
    told = base["fate"] if "fate" in base else f"{base['trained_on']:,} pairs of this file are trained on here"
    return [
        f"of            {base['name']}, content root {base['content_root']}",
        f"frozen in     {base['folder']} (manifest sha256 {base['manifest_sha256'][:12]})",
        f"here          {told}",
    ]


def _also_lines(also_in: list[dict[str, Any]]) -> list[str]:
    return [f"stands too    in {one['name']}, content root {one['content_root']}: {one['fate']}" for one in also_in]


def _run_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"run           {found['run']}: {found['preset']}, {found['steps']:,} steps",
        f"manifest      {found['manifest']} (sha256 {found['manifest_sha256'][:12]})",
        f"training_root {found['training_root']}",
    ]
    lines += [f"includes      {one['name']}, content root {one['content_root']}: {one['taken']:,} pairs"
              + ("" if one["at_hand"] else f"; not at hand, {one['why']}") for one in found["includes"]]  # fmt: skip
    step = found["step"]
    if step is None:
        return [*lines, "", "--step N names the pairs of a step"]
    same = "is that of its plan" if step["as_planned"] else "IS NOT THAT OF ITS PLAN"
    lines += [
        f"step          {step['number']:,} (epoch {step['epoch']}): the recorded batch {step['batch'][:12]} {same}",
        f"pairs         {len(step['pairs']):,} ({_facts(step['from'])})",
        "",
    ]
    rows = [(one["id"][:16], one["base"] or "own", one["source"] or "NOT FOUND", one["place"] or "")
            for one in step["pairs"]]  # fmt: skip
    return [*lines, *table(["pair", "of", "source", "place"], rows)]


def _pair_lines(found: dict[str, Any]) -> list[str]:
    held_out = f" (held out as {found['axis']})" if found["axis"] else ""
    lines = [
        f"pair          {found['id']}",
        f"leaf          {found['leaf']}",
        *(_base_lines(found["base"]) if found["base"] else ()),
        *_also_lines(found["also_in"]),
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
        *(_base_lines(found["base"]) if found["base"] else ()),
        f"declared      {_facts(found['declared'])}",
        f"came of it    {found['records']:,} records, {found['made']:,} pairs made, {found['kept']:,} kept, "
        f"{found['rejected']:,} rejected" + (f"; quarantined: {found['reason']}" if found["reason"] else ""),
        f"reasons       {_facts(found['reasons']) or 'none'}",
        f"pairs         {found['n_pairs']:,} ({_facts(found['splits'])}); {found['also_from_others']:,} of them from "
        "other sources too",
    ]
    if not found["pairs"]:
        return lines
    lines += [f"questions     {_facts(found['questions'])}", ""]
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
    lines += [f"includes      {one['name']}, content root {one['content_root']}: {one['taken']:,} pairs"
              for one in found["includes"]]  # fmt: skip
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
