"""Writes augment.json: what Pillow, SciPy and OpenCV make of small films, for goldens_augment.rs.

Usage: python augment.py > augment.json     (made with numpy 2.4.6, scipy 1.17.1, pillow 13.0.0, opencv 5.0.0; seed 0)
Jitter is torchvision's ColorJitter on a grey picture, whose two steps are Pillow enhancers. Rotation is batchgenerators'
(METHOD.md sec. 1b): map_coordinates of order 3. Warps take OpenCV's matrix (ShiftScaleRotate) and SciPy's interpolation.
"""
import json
import cv2
import numpy as np
from PIL import Image, ImageEnhance
from scipy.ndimage import affine_transform, map_coordinates

rng = np.random.default_rng(0)


def jitter(film, brightness, contrast, contrast_first):
    steps = [(ImageEnhance.Brightness, brightness), (ImageEnhance.Contrast, contrast)]
    image = Image.fromarray(film)
    for enhancer, factor in steps[::-1] if contrast_first else steps:
        image = enhancer(image).enhance(factor)
    return np.asarray(image).tolist()


def rotate(patch, angle):
    n = len(patch)
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    source = [y * np.cos(angle) + x * np.sin(angle) + n / 2, -y * np.sin(angle) + x * np.cos(angle) + n / 2]
    return map_coordinates(patch, source, order=3, mode="constant").clip(0, 1).round(7).tolist()


def warp(film, degrees, scale, shift, mode):
    (h, w), (down, right) = film.shape, shift
    forth = cv2.getRotationMatrix2D((w / 2 - 0.5, h / 2 - 0.5), degrees, scale) + [[0, 0, right], [0, 0, down]]
    back = cv2.invertAffineTransform(forth)[::-1]  # rows: y, x; columns: x, y, 1
    return affine_transform(film, back[:, [1, 0]], back[:, 2], order=1, mode=mode).round(7).tolist()


grey, patch, film = rng.integers(0, 256, (8, 8), np.uint8), rng.random((12, 12)), rng.random((9, 13))
print(json.dumps({
    "jitter": {"film": grey.tolist(), "cases": [
        {"brightness": b, "contrast": c, "contrast_first": f, "expected": jitter(grey, b, c, f)}
        for b, c, f in [(0.85, 1.25, False), (1.15, 0.75, False), (1.13, 1.21, True), (0.9, 0.8, True), (1, 1, False)]]},
    "rotate": {"patch": patch.tolist(), "cases": [
        {"angle": a, "expected": rotate(patch, a)} for a in (0.0, 0.3, -0.17)]},
    "warp": {"film": film.tolist(), "cases": [
        {"degrees": d, "scale": k, "shift": t, "border": b, "expected": warp(film, d, k, t, m)}
        for d, k, t in [(20.0, 1.1, [0.7, -1.2]), (-35.0, 0.8, [0.0, 0.4])]
        for b, m in [("zero", "grid-constant"), ("nearest", "nearest")]]},
}))
