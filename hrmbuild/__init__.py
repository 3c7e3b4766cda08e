"""hrmbuild: rules, memos and tables in; a verified HRM-Text model out."""

__version__ = "0.1.0"
