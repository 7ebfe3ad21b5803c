"""Notebook 01: its figures, its explorer and its checks."""

from diffrec_lite.lessons.forward_noising import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
