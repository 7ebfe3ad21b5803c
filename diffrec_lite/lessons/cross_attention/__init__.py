"""Notebook 03: its figures, its explorer and its checks."""

from diffrec_lite.lessons.cross_attention import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
