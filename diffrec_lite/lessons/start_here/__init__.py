"""Notebook 00: its figures, its explorer and its checks, and the look at the environment that all begin with."""

from diffrec_lite.lessons.start_here import checks, explorer, figures
from diffrec_lite.lessons.start_here.environment import environment

__all__ = ["checks", "environment", "explorer", "figures"]
