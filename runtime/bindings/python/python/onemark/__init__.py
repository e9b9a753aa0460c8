"""Landmark detection for radiographs: opens an Onemark bundle and finds its landmarks on films.

    detector = onemark.Detector("head19.onemark")
    found = detector.detect(pixels, spacing=(0.1, 0.1))
    found.status, found.positions, found.positions_mm  # where the status is "not-found", the position is a guess
"""

from ._onemark import Detections, Detector, OnemarkError, __version__

__all__ = ["Detections", "Detector", "OnemarkError", "__version__"]
