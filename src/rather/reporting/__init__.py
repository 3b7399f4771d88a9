"""Figures and one self-contained page."""

from rather.reporting.page import report

__all__ = ["report"]
