"""`rules` and `templates`: what a rule owner and a writer of wordings should look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hrmbuild.cli.options import ConfigOption, SourcesOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit, table, visible
from hrmbuild.config.loading import Project, find_config

if TYPE_CHECKING:
    from hrmbuild.pipelines.rules import ReviewedRules, RulesReport
    from hrmbuild.pipelines.templates_check import TemplatesReport


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command(short_help="Overlaps, rules that decide nothing and gaps of each rule set.")(rules)
    group = typer.Typer(help="Wordings of questions: which there are, what they make.")
    group.command("list", short_help="Kinds of question with their wordings.")(templates_list)
    group.command("test", short_help="What each wording makes of three records; exit 1 when one fails.")(templates_test)
    app.add_typer(group, name="templates")


def rules(
    source: Annotated[
        str | None, typer.Option("--source", metavar="P", help="A file, folder or glob; default: all rules.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when there is something to mend.")] = False,
    show_label: Annotated[
        str | None, typer.Option("--show-label", metavar="L", help="Highest label to show; default: the lowest.")
    ] = None,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """For rule owners: overlaps that disagree, rules that decide nothing, gaps; a case for each."""
    from hrmbuild.pipelines.rules import rules as run

    report = run(project_of(config, sources, work), source=source, show_label=show_label)
    emit(report, list(_lines(report)), as_json=as_json)
    if strict and report.n_faults:
        raise typer.Exit(1)


def _lines(report: RulesReport) -> Iterator[str]:
    for one in report.rulesets:
        yield from (visible(line) for line in _ruleset_lines(one))
        yield ""
    for path, where, what in report.unreadable:
        yield visible(f"{path}: cannot be read: {what} ({where})")
    if report.n_hidden:
        told = f"{report.n_hidden} files have a higher label and are not shown (--show-label)"
        yield f"{told}; in them {report.n_hidden_faults} things to mend"
    yield f"{len(report.rulesets)} rule sets; {report.n_faults} things to mend"


def _ruleset_lines(one: ReviewedRules) -> Iterator[str]:
    review, settled = one.review, one.hit_policy in ("first", "priority")
    yield f"{one.title} ({one.path}): {one.n_rules} rules, {review.n_cells:,} kinds of case looked at"
    yield from (f"  assumed      {note}" for note in one.assumed)
    for overlap in review.overlaps:
        said = ", ".join(f"{rule} says {one.outcomes[rule]}" for rule in (overlap.deciding, overlap.other))
        how = f"{overlap.deciding} stands first and decides" if settled else "MEND: nothing says which decides"
        yield f"  both hold    {said}, for {_case(one, overlap.example)}; {how}"
    for dead in review.dead_rules:
        why = "it holds in no case" if dead.never_holds else "rules before it decide every case in which it holds"
        yield f"  MEND: unused {dead.rule} never decides: {why}"
    if review.gap_example is not None:
        yield f"  MEND: gap    no rule says what happens for {_case(one, review.gap_example)}"
    if review.unread_facts:
        yield f"  not asked    no rule reads {', '.join(one.words[name] for name in review.unread_facts)}"
    if not review.is_exact:
        yield "  note         a threshold hangs on another fact: only one case of each kind was looked at"
    if not one.n_faults:
        yield "  nothing to mend"


def _case(one: ReviewedRules, facts: Mapping[str, str]) -> str:
    return ", ".join(f"{one.words.get(name, name)} {_said(value)}" for name, value in facts.items())


def _said(value: str) -> str:
    return {"true": "yes", "false": "no"}.get(value, value)


def templates_list(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """The kinds of question, each with its number of wordings and their registers."""
    from hrmbuild.pipelines.templates_check import list_templates

    report = list_templates(_project_or_none(config))
    rows = [[one.kind, len(one.wordings), ", ".join(one.registers)] for one in report.kinds]
    emit(report, table(["kind", "wordings", "registers"], rows), as_json=as_json)


def templates_test(
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="As tables/sum, or tables; default: all.")] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="P", help="A file of the project; default: the examples.")
    ] = None,
    show_label: Annotated[
        str | None, typer.Option("--show-label", metavar="L", help="Highest label to show; default: the lowest.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What each wording makes of three records; what fails is named with its file and line."""
    from hrmbuild.pipelines.templates_check import try_templates

    report = try_templates(_project_or_none(config), kind=kind, source=source, show_label=show_label)
    emit(report, list(_template_lines(report)), as_json=as_json)
    if report.n_problems:
        raise typer.Exit(1)


def _project_or_none(config: Path | None) -> Project | None:
    return project_of(config, None, None) if config is not None or find_config(Path.cwd()) is not None else None


def _template_lines(report: TemplatesReport) -> Iterator[str]:
    for one in report.rendered:
        yield one.name
        if one.problem is not None:
            yield visible(f"  FAILS {one.problem}")
        for text in one.texts:
            yield from (f"  {'|' if i else '-'} {visible(line)}" for i, line in enumerate(text.splitlines()))
    for kind in report.untried:
        yield f"{kind}: not tried, the records give no such question"
    yield f"{len(report.kinds)} kinds, {len(report.rendered)} wordings tried, {report.n_problems} fail"
