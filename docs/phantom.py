"""Draws docs/phantom.jpg: the annotated film, and an unseen film with what a bundle found on it.

    onemark-train phantom --out films --count 75 --seed 11
    onemark-train phantom --out others --count 90 --seed 12
    onemark-train run --recipe RECIPE --data films --out run
    onemark-export run/checkpoint.safetensors --out plain.onemark
    onemark calibrate plain.onemark --data others --split test1 --out sure.onemark
    onemark detect UNSEEN.png --bundle sure.onemark --spacing 0.1 --json found.json
    python docs/phantom.py films/RawImage/TrainingData/001.png films/AnnotationsByMD/400_senior/001.txt UNSEEN.png found.json

UNSEEN.png is films/RawImage/Test1Data/158.png. RECIPE is based on `phantom`, with VGG19's weights at full width and 8 epochs of 80
steps; its bundle has a mean radial error of 1.24 mm on the 25 test films. Made with Pillow 13.0.
"""

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH = 700
# Planes of models/landmarks/isbi19.yaml, by landmark numbers.
PLANES = [(1, 2), (4, 3), (17, 18), (10, 8), (2, 7), (2, 5), (2, 6), (15, 16)]
LINE, POINT, RING = (120, 200, 255), (255, 70, 60), (255, 215, 90)


def picture(film, points, radii):
    """The film, `WIDTH` px wide, with points {number: (x, y)} and circles of radii {number: r}, all in film px."""
    image = Image.open(film).convert("RGB")
    scale = WIDTH / image.width
    image = image.resize((2 * WIDTH, round(2 * image.height * scale)), Image.LANCZOS)
    draw = ImageDraw.Draw(image)
    at = {number: (2 * scale * x, 2 * scale * y) for number, (x, y) in points.items()}
    for one, other in PLANES if radii else []:
        if one in at and other in at:
            draw.line([at[one], at[other]], fill=LINE, width=3)
    for number, (x, y) in at.items():
        if number in radii:
            r = 2 * scale * radii[number]
            draw.ellipse([x - r, y - r, x + r, y + r], outline=RING, width=3)
        draw.ellipse([x - 6, y - 6, x + 6, y + 6], fill=POINT)
    return image.resize((WIDTH, image.height // 2), Image.LANCZOS)


def main(template, annotation, unseen, found):
    lines = Path(annotation).read_text().split()[:19]
    marked = {number: tuple(map(float, line.split(","))) for number, line in enumerate(lines, 1)}
    film = json.loads(Path(found).read_text())["films"][0]
    landmarks = [one for one in film["landmarks"] if one["status"] != "not-found"]
    mm = film["spacing"]["mm_per_px"][0]
    points = {one["number"]: (one["position"]["x"], one["position"]["y"]) for one in landmarks}
    radii = {one["number"]: one["radius_mm"] / mm for one in landmarks if one["radius_mm"]}
    left, right = picture(template, marked, {}), picture(unseen, points, radii)
    both = Image.new("RGB", (left.width + right.width + 6, left.height), (255, 255, 255))
    both.paste(left, (0, 0))
    both.paste(right, (left.width + 6, 0))
    both.save(Path(__file__).with_suffix(".jpg"), quality=88, subsampling=0)


main(*sys.argv[1:])
