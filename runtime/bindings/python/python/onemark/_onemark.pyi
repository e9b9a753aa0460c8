from os import PathLike
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

__version__: str

class OnemarkError(RuntimeError):
    """A bundle, a backend or a film that can't be used."""

@final
class Detector:
    """An opened bundle. Any number of threads may use one at the same time."""

    def __new__(
        cls,
        path: str | PathLike[str],
        *,
        backend: Literal["auto", "onnxruntime", "onnxruntime-cuda", "tract"] = "auto",
        threads: int | None = None,
        decoding: Literal["shape-prior", "subpixel", "argmax"] = "shape-prior",
    ) -> Detector: ...
    @property
    def backend(self) -> str: ...
    @property
    def bundle(self) -> tuple[str, str]: ...
    def detect(
        self,
        image: NDArray[np.uint8] | NDArray[np.uint16],
        *,
        spacing: tuple[float, float] | None = None,
        bits: int | None = None,
        inverted: bool = False,
        window: tuple[float, float] | None = None,
    ) -> Detections: ...
    def detect_file(
        self, path: str | PathLike[str], *, spacing: tuple[float, float] | None = None
    ) -> Detections: ...

@final
class Detections:
    """The landmarks of one film, in the order of their numbers."""

    @property
    def numbers(self) -> list[int]: ...
    @property
    def warnings(self) -> list[str]: ...
    @property
    def refusal(self) -> str | None: ...
    @property
    def spacing(self) -> str | None: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def titles(self) -> list[str]: ...
    @property
    def status(self) -> list[Literal["found", "not-found", "edited-by-hand"]]: ...
    @property
    def positions(self) -> NDArray[np.float64]: ...
    @property
    def positions_mm(self) -> NDArray[np.float64] | None: ...
    @property
    def scores(self) -> NDArray[np.float32]: ...
    @property
    def confidence(self) -> NDArray[np.float64] | None: ...
    @property
    def radius_mm(self) -> NDArray[np.float64] | None: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __len__(self) -> int: ...
