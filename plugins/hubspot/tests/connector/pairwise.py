"""Covering arrays: few rows in which every pair of readings of any two switches occurs together."""

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Pair = tuple[tuple[str, Any], tuple[str, Any]]
CANDIDATES = 12


def pairs_of(row: Mapping[str, Any]) -> set[Pair]:
    """Return all pairs of readings that a row has."""
    return set(itertools.combinations(sorted(row.items()), 2))


def covering_array(factors: Mapping[str, Sequence[Any]], seed: int = 20261123) -> list[Row]:
    """Return rows that have every pair of readings, built greedily; the same for the same seed.

    Each row starts from a pair that no row has yet, so the end is reached; of several random fillings the one that has
    most new pairs is taken.
    """
    chance = random.Random(seed)
    names = sorted(factors)
    open_pairs = {
        ((one, left), (other, right))
        for one, other in itertools.combinations(names, 2)
        for left in factors[one]
        for right in factors[other]
    }
    rows: list[Row] = []
    while open_pairs:
        start = min(open_pairs, key=repr)
        best: Row = {}
        gained: set[Pair] = set()
        for _ in range(CANDIDATES):
            row = _filled(dict(start), factors, names, open_pairs, chance)
            new = pairs_of(row) & open_pairs
            if len(new) > len(gained):
                best, gained = row, new
        rows.append({name: best[name] for name in names})
        open_pairs -= gained
    return rows


def _filled(
    row: Row, factors: Mapping[str, Sequence[Any]], names: Sequence[str], open_pairs: set[Pair], chance: random.Random
) -> Row:
    """Fill a row up, each time with the reading that has most new pairs with those chosen before."""
    for name in chance.sample(list(names), len(names)):
        if name in row:
            continue
        readings = chance.sample(list(factors[name]), len(factors[name]))

        def gain(reading: Any, name: str = name) -> int:
            return sum(
                ((name, reading), other) in open_pairs or (other, (name, reading)) in open_pairs
                for other in row.items()
            )

        row[name] = max(readings, key=gain)
    return row
