"""`audit prove`, `audit trace`, `audit export`: one pair out of many, and where it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hrmbuild.cli.audit_trace_lines import trace_lines
from hrmbuild.cli.options import ConfigOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit, visible
from hrmbuild.config.loading import Project, find_config
from hrmbuild.errors import UsageError

ManifestOption = Annotated[
    Path | None, typer.Option("--manifest", metavar="M", help="A manifest's folder; default: the current one.")
]
ShowLabelOption = Annotated[
    str | None, typer.Option("--show-label", metavar="L", help="Show texts up to this label; default: the lowest.")
]
RoleOption = Annotated[str | None, typer.Option("--role", metavar="R", help="Show what this role may read.")]


def register(group: typer.Typer) -> None:
    """Add these commands to the group."""
    group.command("trace", short_help="A pair, a source, a run or a package, and all it hangs together with.")(trace)
    group.command("export", short_help="The pairs of a manifest for other programs, with a data card.")(export)
    group.command("prove", short_help="Prove that a pair stands in a manifest; check such a proof.")(prove)


def _project(config: Path | None, work: Path | None) -> Project | None:
    has_project = config is not None or work is not None or find_config(Path.cwd()) is not None
    return project_of(config, None, work) if has_project else None


def prove(
    pair: Annotated[str | None, typer.Argument(metavar="PAIR", help="Its id, its salted leaf, or six digits.")] = None,
    check: Annotated[Path | None, typer.Option("--check", metavar="FILE", help="Check this proof.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the proof here.")] = None,
    with_row: Annotated[bool, typer.Option("--with-row", help="Put the row and its salt into it.")] = False,
    manifest: ManifestOption = None,
    show_label: ShowLabelOption = None,
    role: RoleOption = None,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print a proof that a pair stands in a manifest, as JSON; or check one."""
    from hrmbuild.pipelines.audit_prove import check_proof, prove_pair

    if (pair is None) == (check is None):
        raise UsageError("usage.arguments", "name a pair, or a proof with --check", where="hrmbuild audit prove",
                         fix="see: hrmbuild audit prove --help")  # fmt: skip
    project = _project(config, work)
    if check is not None:
        found = check_proof(project, check, manifest=manifest)
        emit(found, [f"{'ok  ' if found.ok else 'FAIL'}  {found.detail}", f"      leaf {found.proof.leaf}",
                     f"      root {found.proof.root} ({found.proof.split})"], as_json=as_json)  # fmt: skip
        raise typer.Exit(0 if found.ok else 1)
    made = prove_pair(
        project, pair or "", manifest=manifest, with_row=with_row, show_label=show_label, role=role, out=out
    )
    of = f" (of {made.base.name}, content root {made.base.included.content_root})" if made.base else ""
    lines = [f"proof         {out}{of}"] if out is not None else [json.dumps(made.as_dict(), ensure_ascii=False)]
    emit(made, lines, as_json=as_json)


def trace(
    thing: Annotated[str, typer.Argument(metavar="PAIR|SOURCE|RUN|PACKAGE", help="Id, leaf, path, SHA-256 or folder.")],
    step: Annotated[
        int | None, typer.Option("--step", min=1, max=10**9, metavar="N", help="Of a run: the pairs of this step.")
    ] = None,
    manifest: ManifestOption = None,
    show_label: ShowLabelOption = None,
    role: RoleOption = None,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """From a pair to its sources, manifests, runs and packages, and back; through included corpora too."""
    from hrmbuild.pipelines.audit_trace import trace as follow

    found = follow(project_of(config, None, work), thing, manifest=manifest, step=step, show_label=show_label,
                   role=role)  # fmt: skip
    emit(found, trace_lines(found.as_dict()), as_json=as_json)


def export(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    form: Annotated[str, typer.Option("--format", metavar="F", help="parquet, jsonl or csv.")] = "parquet",
    max_label: Annotated[
        str | None, typer.Option("--max-label", metavar="L", help="Pairs up to this label; default: the lowest.")
    ] = None,
    role: RoleOption = None,
    croissant: Annotated[bool, typer.Option("--croissant", help="Also croissant.json, for data catalogues.")] = False,
    with_bases: Annotated[
        bool, typer.Option("--with-bases", help="Also the pairs of included corpora that are trained on.")
    ] = False,
    manifest: ManifestOption = None,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the pairs of a manifest as Parquet, JSON lines or CSV, with a data card; nothing above a label."""
    from hrmbuild.pipelines.audit_export import export as run

    report = run(_project(config, work), out=out, form=form, manifest=manifest, max_label=max_label, role=role,
                 with_croissant=croissant, with_bases=with_bases)  # fmt: skip
    lines = [f"{one['name']:<14}{one['pairs']:,} pairs" for one in report.files]
    lines += [f"left out      {n:,} pairs that are {label}" for label, n in report.left_out.items()]
    lines += [f"not in it     {visible(one['name'])}: {one['pairs']:,} pairs are trained on too (--with-bases)"
              for one in report.includes if one["file"] is None]  # fmt: skip
    emit(report, [*lines, f"label         {report.label}", f"export        {out}"], as_json=as_json)
