"""Roles: who may ask a package, and what a role may be shown.

Owns the judgement. A package carries its roles and labels, so that it is judged the same without the project. It must
not read a corpus.
"""

from __future__ import annotations

from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, UsageError
from hrmbuild.records.package import PackageManifest
from hrmbuild.records.passage import Access


def declared_access(project: Project) -> Access | None:
    """The roles of `hrmbuild.yaml` as a package records them; None where none are declared."""
    config = project.config
    if not config.roles:
        return None
    return Access(labels=config.labels, roles=dict(sorted(config.roles.items())), default_role=config.default_role)


def check_role(manifest: PackageManifest, role: str | None) -> str | None:
    """The role that asks: the one named, else the package's default; None where nobody is named and nothing is checked.

    Raises:
        UsageError: `ask.unknown_role`: the package does not know it.
        AnswerIsNoError: `ask.role_below_label`: the package was trained on more than the role may read.
    """
    access = manifest.access
    if access is None:
        if role is not None:
            raise _no_roles(manifest.name)
        return None
    asking = role or access.default_role
    if asking is None:
        return None
    if asking not in access.roles:
        raise UsageError("ask.unknown_role", f"the package knows no role {asking!r}", where="--role",
                         why="what is not declared may read nothing",
                         fix=f"its roles are: {', '.join(access.roles)}")  # fmt: skip
    if manifest.label not in access.readable(asking):
        raise AnswerIsNoError(
            "ask.role_below_label",
            f"{asking} may not ask this package: it was trained on {manifest.label} material",
            where=f"{manifest.name} {manifest.version}",
            why=f"{asking} reads up to {access.roles[asking]}, and an answer may hold what the model was trained on",
            fix="ask as a role that may read it, or package a model of a corpus frozen with --max-label",
        )
    return asking


def readable_labels(manifest: PackageManifest, role: str | None) -> tuple[str, ...]:
    """The labels of passages that may be shown to the role that `check_role` gave.

    Raises:
        UsageError: `ask.role_needed`, `ask.no_roles`: without a role nothing of a corpus is shown.
    """
    if manifest.access is None:
        raise _no_roles(manifest.name)
    if role is None:
        raise UsageError("ask.role_needed", "nothing of a corpus is shown without a role", where="--corpus",
                         fix=f"name who asks with --role: {', '.join(manifest.access.roles)}")  # fmt: skip
    return manifest.access.readable(role)


def _no_roles(name: str) -> UsageError:
    return UsageError("ask.no_roles", f"the package {name} declares no roles", where="--role",
                      why="what is not declared may read nothing",
                      fix="declare roles in hrmbuild.yaml (roles: {clerk: internal}) and package again")  # fmt: skip
