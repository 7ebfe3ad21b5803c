"""Notebook 00: its figures, its explorer and its checks."""

from diffrec_lite.lessons.start_here import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
