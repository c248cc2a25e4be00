"""The ratios as a picture: one bar for each operation, on a scale whose steps are factors."""

import math

from tests.benchmarks.beside import Row
from tests.benchmarks.report import faster, times

WIDTH, LABEL, BAR, GAP, TOP = 760, 250, 18, 8, 46
LARGEST = 100.0


def picture(rows: list[Row], base: str | None) -> str:
    """Return an SVG that shows how many times what this build needs the earlier commit needs, in CPU time."""
    shown = [
        (row.operation.name, faster(row.costs["base"].busy, row.costs["this"].busy))
        for row in rows
        if "base" in row.costs
    ]
    height = TOP + len(shown) * (BAR + GAP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif"',
        ' font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="20">CPU time of {base} as a multiple of this build\'s</text>',
    ]
    for factor in (1, 2, 5, 10, 20, 50, 100):
        at = _at(factor)
        parts.append(f'<line x1="{at:.0f}" y1="{TOP - 4}" x2="{at:.0f}" y2="{height - 8}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.0f}" y="{TOP - 8}" fill="#777" text-anchor="middle">{factor}</text>')
    for number, (name, ratio) in enumerate(shown):
        y = TOP + number * (BAR + GAP)
        colour = "#3574b5" if ratio >= 1 else "#b5553a"
        start, end = sorted((_at(1), _at(ratio)))
        parts.append(f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{_escaped(name)}</text>')
        parts.append(f'<rect x="{start:.0f}" y="{y}" width="{end - start:.0f}" height="{BAR}" fill="{colour}"/>')
        parts.append(f'<text x="{end + 6:.0f}" y="{y + 14}">{times(ratio)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _at(factor: float) -> float:
    room = WIDTH - LABEL - 90
    return LABEL + 20 + room * math.log(min(max(factor, 0.5), LARGEST)) / math.log(LARGEST)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
