"""Planted defects: changes to the product, made in a process of its own, that an instrument has to find."""

from collections.abc import Callable

from scim_bridge.store import sqlite

DEFECTS: dict[str, Callable[[], None]] = {}
"""Each defect by its name; calling it plants it in this process."""


def defect(plant: Callable[[], None]) -> Callable[[], None]:
    """Put a defect on the list."""
    DEFECTS[plant.__name__] = plant
    return plant


@defect
def synchronous_normal() -> None:
    """P4: commits are not synced."""
    sqlite.WRITER_PRAGMAS["synchronous"] = 1
