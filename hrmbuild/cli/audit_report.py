"""`audit report`, `audit sample` and `audit diff`: what a person reads before signing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hrmbuild.cli.options import ConfigOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit, table, visible
from hrmbuild.config.loading import find_config

if TYPE_CHECKING:
    from hrmbuild.config.loading import Project
    from hrmbuild.pipelines.audit_diff import DiffReport
    from hrmbuild.pipelines.audit_report import AuditReport
    from hrmbuild.pipelines.audit_sample import SampleReport

ManifestArgument = Annotated[
    Path | None, typer.Argument(metavar="[MANIFEST]", help="A manifest's folder, or a package; default: the current.")
]
NonceOption = Annotated[
    str | None,
    typer.Option("--nonce", metavar="N", help="Words that nobody could foresee at the freeze: draws a sample."),
]
SizeOption = Annotated[int, typer.Option("--n", min=1, max=10_000, help="Pairs to draw.")]
ErrorsOption = Annotated[
    int | None, typer.Option("--errors", min=0, max=10_000, metavar="K", help="Pairs that you found to be wrong.")
]
MarkedOption = Annotated[
    Path | None, typer.Option("--marked", metavar="FILE.csv", help="The form of audit sample --form, filled in.")
]
ShowLabelOption = Annotated[
    str | None, typer.Option("--show-label", metavar="L", help="Show texts up to this label; default: the lowest.")
]
TrustOption = Annotated[
    Path | None,
    typer.Option("--trust", metavar="T", help="Whose keys count; default: the project's trust.yaml, if any."),
]


def register(group: typer.Typer) -> None:
    """Add these commands to `audit`."""
    group.command("report", short_help="One page that says what went in, what was kept out, who decided.")(report)
    group.command("sample", short_help="Pairs drawn by your nonce, with their evidence; a bound on errors.")(sample)
    group.command("diff", short_help="What changed between two manifests.")(diff)


def _project(config: Path | None, work: Path | None) -> Project | None:
    has_project = config is not None or find_config(Path.cwd()) is not None
    return project_of(config, None, work) if has_project else None


def report(
    path: ManifestArgument = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.html", help="Default: reports/.")] = None,
    nonce: NonceOption = None,
    n: SizeOption = 50,
    errors: ErrorsOption = None,
    marked: MarkedOption = None,
    since: Annotated[
        Path | None, typer.Option("--since", metavar="M", help="Compare with it; default: the one frozen before.")
    ] = None,
    show_label: ShowLabelOption = None,
    trust: TrustOption = None,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """One HTML page without network or script, and with --json the same as an object (a page then with --out)."""
    from hrmbuild.errors import UsageError
    from hrmbuild.pipelines.audit_report import ReportRequest, audit_report
    from hrmbuild.pipelines.audit_sample import SampleRequest

    if nonce is None and (errors is not None or marked is not None):
        raise UsageError("audit.no_nonce", "errors are of a sample, and no sample is drawn", where="--errors, --marked",
                         fix="add --nonce with the words that drew it")  # fmt: skip
    drawn = SampleRequest(nonce, n, errors, marked) if nonce is not None else None
    request = ReportRequest(sample=drawn, since=since, show_label=show_label, trust=trust)
    made = audit_report(path, request, project=_project(config, work), out=out, page=not as_json)
    emit(made, report_lines(made), as_json=as_json)


def sample(
    nonce: Annotated[str, typer.Option("--nonce", metavar="N", help="Words that nobody could foresee at the freeze.")],
    path: ManifestArgument = None,
    n: SizeOption = 50,
    errors: ErrorsOption = None,
    marked: MarkedOption = None,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="B", help="Draw from the rows of this included corpus: its name, or root."),
    ] = None,
    form: Annotated[
        Path | None, typer.Option("--form", metavar="FILE.csv", help="Write a form to mark errors in.")
    ] = None,
    show_label: ShowLabelOption = None,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Pairs drawn by a hash of the signed roots and your nonce, each with its evidence, and the digest of all."""
    from hrmbuild.pipelines.audit_sample import SampleRequest, audit_sample

    request = SampleRequest(nonce, n, errors, marked, base)
    made = audit_sample(path, request, project=_project(config, work), show_label=show_label, form=form)
    emit(made, sample_lines(made), as_json=as_json)


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A manifest's folder, or a package.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another one.")],
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Sources, pairs, settings, gates, counts and labels that differ."""
    from hrmbuild.pipelines.audit_diff import audit_diff

    made = audit_diff(old, new, project=_project(config, work))
    emit(made, diff_lines(made), as_json=as_json)


def report_lines(made: AuditReport) -> list[str]:
    """Where the page is, and what to look at before signing."""
    value = made.value
    about = value["about"]
    lines = [
        f"manifest      {about['manifest_sha256']}",
        f"label         {value['label']} ({_shown(value)})",
        f"pairs         {about['pairs']:,} of {value['funnel']['files']['read']:,} files; "
        f"{value['rejections']['total']:,} rejections",
    ]
    lines += [f"includes      {visible(one['name'])} {one['content_root'][:12]}: {one['taken']:,} pairs more; not in "
              "funnel, gates and sample" for one in (value["included"] or {"corpora": ()})["corpora"]]  # fmt: skip
    lines += [f"to look at    {visible(one['text'])}" for one in value["attention"]]
    lines += _bound_lines(value["sample"]) if value["sample"] else []
    return [*lines, f"report        {made.written}"] if made.written else lines


def _shown(value: dict[str, Any]) -> str:
    if value["no_text_shown"]:
        return f"no text is shown: all sources are above {value['texts_up_to']}; --show-label L shows more"
    return f"texts up to {value['texts_up_to']}"


def sample_lines(made: SampleReport) -> list[str]:
    """The pairs with their evidence, then the digest and the bound."""
    lines: list[str] = []
    for pair in made.value["pairs"]:
        lines.append(f"--- {pair['n']}  {pair['kind']} · {pair['split']} · {pair['label']} · {pair['leaf'][:16]}")
        if not pair["shown"]:
            lines.append("    not shown: its label is above what is shown (--show-label)")
            continue
        lines += [visible(line) for line in pair["instruction"].splitlines()]
        lines += [f"=> {visible(line)}" for line in pair["response"].splitlines()]
        lines += [f"   stands in {visible(one['source'] or '?')}, {visible(one['place'])}: "
                  f"{visible(' '.join(one['text'].split())[:160])}" for one in pair["evidence"]]  # fmt: skip
        lines += [f"   ERROR {visible(pair['note'])}".rstrip()] if pair["error"] else []
    lines += ["", *_bound_lines(made.value)]
    base = made.value["base"]
    lines += [f"drawn from    {visible(base['name'])}, content root {base['content_root']}"] if base else []
    lines += [f"not from      {visible(name)}: {pairs:,} pairs are trained on too (--base {visible(name)})"
              for name, pairs in made.value["not_drawn_from"].items()]  # fmt: skip
    return [*lines, f"form          {made.form}"] if made.form else lines


def _bound_lines(value: dict[str, Any]) -> list[str]:
    shown = f"; {value['n_withheld']:,} not shown (--show-label)" if value["n_withheld"] else ""
    lines = [f"drawn         {value['n']:,} of {value['of']:,} pairs{shown}", f"sample        {value['digest']}"]
    if value["upper_bound"] is not None:
        share = float(value["upper_bound"])
        lines.append(f"errors        {value['errors']} of {value['n_shown']}: with 95 % confidence at most {share:.1%}")
    elif value["upper_bound_if_none"] is not None:
        share = float(value["upper_bound_if_none"])
        lines.append(f"errors        not recorded; if none were found: with 95 % confidence at most {share:.1%}")
    return lines


def diff_lines(made: DiffReport) -> list[str]:
    """What differs, heading by heading; nothing where nothing does."""
    value = made.value
    if value["same_manifest"]:
        return ["the same manifest"]
    rows = value["rows"]
    moved = f"; {rows['added']:,} added, {rows['removed']:,} removed" if rows else "; a pack is not at hand"
    lines = [f"pairs         {value['pairs'][0]:,} -> {value['pairs'][1]:,}{moved}",
             f"tokens        {value['tokens'][0]:,} -> {value['tokens'][1]:,}",
             *([f"included      {value['included_pairs'][0]:,} -> {value['included_pairs'][1]:,} pairs of bases"]
               if any(value["included_pairs"]) else ()),
             f"label         {value['old']['label']} -> {value['new']['label']}"]  # fmt: skip
    lines += ["same rows     both have the same content root"] if value["same_corpus"] else []
    lines += [*_source_lines(value["sources"]), *_source_lines(value["included"])]
    for name in ("settings", "includes", "gates", "rejections"):
        lines += [f"{name[:-1]:<13} {visible(key)}: {_told(before)} -> {_told(now)}"
                  for key, (before, now) in value[name].items()]  # fmt: skip
    lines += [f"{heading:<13} {visible(key)}: {_told(before)} -> {_told(now)}"
              for heading, changed in value["counts"].items() for key, (before, now) in changed.items()]  # fmt: skip
    for name in ("added", "removed") if rows else ():
        if rows[f"{name}_by"]:
            counted = [(visible(one["source"]), one["kind"], one["pairs"]) for one in rows[f"{name}_by"]]
            lines += ["", *table([f"pairs {name}: source", "kind", "pairs"], counted)]
    return lines


def _source_lines(sources: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = [
        f"source added   {visible(one['path'])} ({one['label']}, {one['pairs']:,} pairs)" for one in sources["added"]
    ]
    lines += [f"source removed {visible(one['path'])} ({one['pairs']:,} pairs)" for one in sources["removed"]]
    for one in sources["changed"]:
        told = ["other bytes"] if one["sha256"] else []
        told += [
            f"{key} {_told(before)} -> {_told(now)}"
            for key, (before, now) in {**one["declared"], **one["counts"]}.items()
        ]
        lines.append(f"source changed {visible(one['path'])}: {'; '.join(told)}")
    return lines


def _told(value: object) -> str:
    text = "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return visible(f"{text[:16]}…" if len(text) == 64 else text)
