"""Notebook 06: its figures, its explorer and its checks."""

from diffrec_lite.lessons.metrics import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
