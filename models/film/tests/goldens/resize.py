"""Goldens for Film::resized: Pillow's bilinear resize of small synthetic films.

Run: python resize.py > resize.json      (pip install numpy pillow==9.5.0)
Pillow up to that version, which the published methods used, always resizes rows first. Pillow 13 sometimes starts with
columns, which rounds differently; on a 2400x1935 film to 384x384 both give the same.
The films come from an integer recurrence, so that the test can rebuild them without storing pixels; the seeds are in
the cases. Tool versions are written into the output.
"""

import json
import platform
from fractions import Fraction

import numpy
import PIL
from PIL import Image

# (height, width) of film and grid: both axes reduced, by unequal factors; reduced by the factors of a real film
# (2400x1935 to 384x384, METHOD.md sec. 1e, in small); enlarged; one axis each way; one pixel.
CASES = [
    {"seed": 1, "film": [40, 31], "grid": [9, 12]},
    {"seed": 2, "film": [75, 60], "grid": [12, 12]},
    {"seed": 3, "film": [7, 5], "grid": [12, 16]},
    {"seed": 4, "film": [30, 6], "grid": [8, 10]},
    {"seed": 5, "film": [1, 1], "grid": [3, 2]},
]


def film(seed, height, width):
    """Grey noise over a ramp: pixel i is (top byte of a 32-bit LCG + i) mod 256, row by row."""
    state, pixels = seed, []
    for i in range(height * width):
        state = (1664525 * state + 1013904223) % 2**32
        pixels.append(((state >> 24) + i) % 256)
    return numpy.array(pixels, numpy.uint8).reshape(height, width)


def weights(before, after):
    """Exact bilinear weights, one {source: weight} per target: a triangle as wide as the reduction, cut at the border."""
    scale = Fraction(before, after)
    support = max(scale, 1)
    rows = []
    for target in range(after):
        centre = (target + Fraction(1, 2)) * scale
        first = max(int(centre - support + Fraction(1, 2)), 0)
        last = min(int(centre + support + Fraction(1, 2)), before)
        row = {i: max(0, 1 - abs(i + Fraction(1, 2) - centre) / support) for i in range(first, last)}
        total = sum(row.values())
        rows.append({i: weight / total for i, weight in row.items() if weight})
    return rows


def ties(pixels, height, width):
    """Cells where exact arithmetic lies between two grey levels, in the cell or in the half-resized row it is made of.

    There the rounding of a program's weights decides, and two right programs may differ.
    """
    columns, rows = weights(pixels.shape[1], width), weights(pixels.shape[0], height)
    half = [[sum(int(row[i]) * w for i, w in column.items()) for column in columns] for row in pixels]
    def is_tie(value):
        return value % 1 == Fraction(1, 2)
    def level(value):
        return int(value + Fraction(1, 2))
    return [
        [y, x]
        for y in range(height)
        for x in range(width)
        if any(is_tie(half[i][x]) for i in rows[y]) or is_tie(sum(level(half[i][x]) * w for i, w in rows[y].items()))
    ]


cases = []
for case in CASES:
    height, width = case["grid"]
    pixels = film(case["seed"], *case["film"])
    resized = Image.fromarray(pixels).resize((width, height), Image.BILINEAR)
    cases.append({**case, "expected": numpy.asarray(resized).tolist(), "ties": ties(pixels, height, width)})
tools = f"Python {platform.python_version()}, numpy {numpy.__version__}, Pillow {PIL.__version__}"
print(json.dumps({"made_by": "resize.py", "tools": tools, "cases": cases}))
