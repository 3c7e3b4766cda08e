"""Pair -> a verdict: one gate a file, each refusal with a stable code and one sentence."""

from hrmbuild.gates.finding import Finding, Gate
from hrmbuild.gates.registry import GATES, run

__all__ = ["GATES", "Finding", "Gate", "run"]
