"""Notebook 08: its figures, its explorer and its checks."""

from diffrec_lite.lessons.dcrec import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
