"""Notebook 10: its figures, its explorer and its checks."""

from diffrec_lite.lessons.hybrid import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
