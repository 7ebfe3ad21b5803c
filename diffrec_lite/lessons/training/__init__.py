"""Notebook 07: its figures, its explorer and its checks."""

from diffrec_lite.lessons.training import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
