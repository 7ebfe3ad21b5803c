"""Notebook 09: its figures, its explorer and its checks."""

from diffrec_lite.lessons.comparison import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
