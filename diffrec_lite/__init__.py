"""Diffusion models for sequential recommendation: full models, readable code and a course."""

__version__ = "0.1.0"
