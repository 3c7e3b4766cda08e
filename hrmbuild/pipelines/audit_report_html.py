"""The audit report as one HTML file that needs nothing beside it and lets nothing in.

Owns the rendering. Every figure and every text comes from the report's value; the page's own policy allows its one
style sheet by hash and nothing else, so that even a mark that slipped through could load and run nothing. It must not
compute.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from hrmbuild.assets import asset_folder
from hrmbuild.audit.shown_text import visible
from hrmbuild.files import write_atomic

FOLDER = "audit_report"
"""Its files do not end in `.j2`: what ends so compiles pairs, and enters the hash of all templates."""
SECTIONS = (
    ("about", "What is in it"),
    ("sources", "Sources"),
    ("included", "Included corpora"),
    ("rejections", "What was kept out, and why"),
    ("personal", "Personal data and secrets"),
    ("conflicts", "Conflicts"),
    ("duplicates", "Duplicates and leaks"),
    ("decisions", "Decisions and approvals"),
    ("changes", "Changes since the manifest before"),
    ("sample", "Sample"),
    ("lineage", "Lineage"),
    ("limits", "What this report cannot tell"),
    ("funnel", "From records to pairs"),
    ("tokens", "Tokens"),
    ("splits", "Splits and axes"),
    ("gates", "Gates"),
    ("public-summary", "Summary of training content"),
    ("datasheet", "Datasheet"),
    ("recompute", "Hashes, and how to recompute them"),
)
"""Anchor and title, in the order in which who has to sign asks; included corpora only where there are any."""


def render(value: dict[str, Any], path: Path) -> None:
    """Write the page, readable by its owner alone."""
    write_atomic(path, page(value).encode("utf-8"))
    path.chmod(0o600)


def page(value: dict[str, Any]) -> str:
    """The page's text; equal values give equal bytes."""
    folder = asset_folder("templates") / FOLDER
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_visible
    )
    environment.filters |= {"cut": _cut, "percent": _percent, "ticks": _ticks}
    css = (folder / "report.css").read_text("utf-8") + _footer(value)
    sections = [one for one in SECTIONS if one[0] != "included" or value["included"]]
    template = environment.from_string((folder / "report.html.jinja").read_text("utf-8"))
    return template.render(
        r=value,
        css=Markup(css),
        css_sha256=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        sections=sections,
        titles=dict(sections),
        numbers={anchor: number for number, (anchor, _) in enumerate(sections, start=1)},
        attention=value["attention"],
        strip=_strip(value),
    ).lstrip()


def _visible(value: Any) -> Any:
    """Signs that nobody sees are written out in whatever is put into the page."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _cut(text: str, most: int) -> str:
    left = len(text) - most
    return text if left <= 0 else f"{text[:most]} … ({left:,} more characters stand in the pack)"


def _ticks(text: str) -> Markup:
    """Words between backticks as code; everything else is escaped as always."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )


def _percent(share: str) -> str:
    return f"{100 * float(share):.1f} %"


def _strip(value: dict[str, Any]) -> list[dict[str, str]]:
    """Splits as parts of one bar, 1,000 wide."""
    rows, whole, x = value["splits"]["rows"], value["about"]["pairs"], 0.0
    found: list[dict[str, str]] = []
    for row in rows:
        width = 1000 * row["pairs"] / whole if whole else 0.0
        found.append({"x": f"{x:.1f}", "width": f"{width:.1f}"})
        x += width
    return found


def _footer(value: dict[str, Any]) -> str:
    """Label, root and page number on every printed page; only plain letters, as it stands in a style sheet."""
    label = re.sub(r"[^A-Za-z0-9 _-]", "-", value["label"])
    name = re.sub(r"[^A-Za-z0-9 ._-]", "-", value["about"]["name"])
    root = value["about"]["content_root"][:12]
    small = "font: 7.5pt system-ui, 'Liberation Sans', sans-serif; color: #545c66"
    return (
        f"\n@page {{ size: A4; margin: 17mm 15mm 18mm;"
        f' @bottom-left {{ content: "{label} · {name} · {root}"; {small}; }}'
        f' @bottom-right {{ content: counter(page) " / " counter(pages); {small}; }} }}\n'
    )
