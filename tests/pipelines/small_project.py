"""A project of a few small files, for tests of whole pipelines."""

from __future__ import annotations

from pathlib import Path

from hrmbuild.config.loading import Project, load_project

CONFIG = """\
name: small
seed: 3
sources:
  - path: policies/**/*.md
    kind: rules
    owner: compliance@small.example
    license: internal
  - path: memos
    kind: memos
    owner: records@small.example
    license: internal
    label: confidential
  - path: rules/*.yaml
    kind: rules
    owner: desk@small.example
    license: internal
    rules: {scenarios: 60, variants: 4, variant_scenarios: 4}
"""

TRAVEL = """\
# Travel policy

## 1. Booking

1.1 Every employee must book a train ticket within 10 days of the approval.

1.2 "Long trip" means a trip of more than 4 days.

1.3 A team lead may approve a trip up to 900 EUR.

## 2. Meals

2.1 The traveller must hand in the receipt for a meal above 25 EUR.

2.2 The finance desk must pay the claim within 14 days of its arrival.
"""

KEYS = """\
# Keys and badges

1.1 The porter must collect the badge of a visitor at 18:00.

1.2 An employee must report a lost badge within 2 days.

1.3 A visitor must not enter the archive, except with the archivist.
"""

STORM = """\
# Storm of January

From: Ida Brandt
To: All branches
Date: 2025-01-14
Subject: Storm damage desk

## Decisions

- The branch in Talheim stays open on Saturday.
- The storm desk answers calls until 20:00.

## Actions

- Jonas Weber sends the list of damaged roofs to the branches by 2025-01-20.
"""

FLOOD = """\
# Flood of May

From: Ida Brandt
To: All agencies
Date: 2026-05-09
Subject: Pumps and cellars

## Decisions

- Each agency lends one pump to a customer with a wet cellar.
- The hotline for pumps closes on 15 June 2026.

## Actions

- Mira Olsen orders twelve more pumps from the dealer by 2026-05-12.
"""
"""Another memo, for ingests that come later: no copy of the others, of which one would go."""

PRINTER = """\
From: Purchasing
To: All employees
Date: 3 March 2025
Subject: New printers

Dear all,

We decided to lease six printers from 1 May 2025. The old printers go back by 30 April 2025.
"""

RULESET = """\
ruleset: parking
title: Parking
question: Is the request granted or refused?
citation: PRK-1
facts:
  distance: {type: integer, text: distance, unit: km, min: 0, max: 50, step: 5}
  shift: {type: boolean, text: night shift, "yes": night shift, "no": day shift}
parameters:
  reach: {value: 20, unit: km, min: 10, max: 40, step: 5, text: distance above which a place is granted}
outcomes: [granted, refused]
rules:
  - {id: "1", when: shift, then: granted, text: "If night shift: granted.", because: night shift}
  - {id: "2", when: distance > reach, then: granted, text: "If distance over {reach}: granted.", because: far away}
  - {id: "3", then: refused, text: "Else: refused.", because: no other rule holds}
"""

FILES = {
    "hrmbuild.yaml": CONFIG,
    "policies/travel.md": TRAVEL,
    "policies/house/keys.md": KEYS,
    "memos/storm.md": STORM,
    "memos/printer.txt": PRINTER,
    "rules/parking.yaml": RULESET,
}


def write_project(folder: Path, files: dict[str, str] | None = None) -> Project:
    """Write the small project (or these files) into `folder` and load it."""
    for name, text in (FILES if files is None else files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load_project(folder / "hrmbuild.yaml")


def rewrite(project: Project, old: str, new: str) -> Project:
    """Change the settings' text and load them again."""
    text = project.config_path.read_text(encoding="utf-8")
    assert old in text
    project.config_path.write_text(text.replace(old, new), encoding="utf-8")
    return load_project(project.config_path)
