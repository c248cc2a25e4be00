"""Planted defects: changes to the product, made in a process of its own, that an instrument has to find."""

from collections.abc import Callable

DEFECTS: dict[str, Callable[[], None]] = {}
"""Each defect by its name; calling it plants it in this process."""
