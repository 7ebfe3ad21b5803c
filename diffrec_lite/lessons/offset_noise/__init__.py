"""Notebook 02: its figures, its explorer and its checks."""

from diffrec_lite.lessons.offset_noise import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
