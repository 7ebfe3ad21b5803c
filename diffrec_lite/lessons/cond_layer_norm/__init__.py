"""Notebook 04: its figures, its explorer and its checks."""

from diffrec_lite.lessons.cond_layer_norm import checks, explorer, figures

__all__ = ["checks", "explorer", "figures"]
