"""Detection as a lab would run it without Onemark, for the same landmarks and films: the other side of `cargo xtask bench detect`.

    pip install -r tests/peers/requirements-detect.txt
    python tests/peers/detect.py export CHECKPOINT FOLDER    # torch's own ONNX export of the graphs used below
    python tests/peers/detect.py WAY CHECKPOINT FOLDER THREADS FILM…

separate: in ONNX Runtime, one self-contained graph per landmark, film to score
shared:   in ONNX Runtime, the trunk once, then one whole head per landmark, taps to score
eager:    in PyTorch, the same
trunk:    in ONNX Runtime, the trunk alone, which finds nothing: the cost shared by all

The network is that of cc2d.py with the checkpoint's numbers. Prints JSON: per film the seconds from its pixels to the cells (row,
column) of all landmarks, the seconds of opening before, and the process's peak memory in MB. The first film is run once before.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors import safe_open
from torch import nn

import cc2d


class Head(nn.Module):
    """Taps to one landmark's score."""

    def __init__(self, model, vectors):
        super().__init__()
        self.model, self.vectors = model, vectors

    def forward(self, *taps):
        return cc2d.score(self.model.decode(list(taps)), self.vectors)


class Whole(nn.Module):
    """Film to one landmark's score."""

    def __init__(self, model, vectors):
        super().__init__()
        self.trunk, self.head = model.trunk, Head(model, vectors)

    def forward(self, film):
        return self.head(*self.trunk(film))


# Tagged values of a recipe (`!linear`) concern training only.
yaml.SafeLoader.add_multi_constructor("!", lambda loader, tag, node: tag)


def recipe(checkpoint):
    with safe_open(checkpoint, "pt") as file:
        return yaml.safe_load(file.metadata()["recipe"])


def heads(checkpoint):
    """Each landmark's network and template vectors."""
    with safe_open(checkpoint, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    shape, variant = recipe(checkpoint)["network"], recipe(checkpoint)["network"]["adapter_variant"]
    config = dict(trunk=recipe(checkpoint)["trunk"]["widths"], adapter=shape["adapter_channels"], variant=variant)
    config |= {key: shape[key] for key in ("decoder", "rfb", "embedding")}
    landmarks = sum(name.endswith(".level5") for name in tensors if name.startswith("template."))
    made = []
    for landmark in range(1, landmarks + 1):
        model = cc2d.Cc2d(**config).eval()
        names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
        model.load_state_dict({name: tensors[cc2d.name_in_graph(name, variant, landmark)] for name in names}, strict=False)
        vectors = {level: tensors[f"template.{landmark:02}.level{level}"] for level in cc2d.LEVELS}
        made.append((model, vectors))
    return made


def grid(pixels, size):
    """Preprocessing, as in docs/BUNDLE.md."""
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.BILINEAR), np.float32)[None, None] / 255


def cell(score):
    return [int(index) for index in np.unravel_index(score.argmax(), score.shape[2:])]


def export(checkpoint, folder):
    made, size = heads(checkpoint), recipe(checkpoint)["network"]["size"]
    film = torch.zeros(1, 1, size, size)
    taps = tuple(made[0][0].trunk(film))
    names = [f"tap{level}" for level in range(1, 6)]
    to = lambda module, inputs, path, **names: torch.onnx.export(
        module.eval(), inputs, folder / path, opset_version=18, dynamo=False, **names
    )
    to(made[0][0].trunk, (film,), "trunk.onnx", input_names=["film"], output_names=names)
    for number, (model, vectors) in enumerate(made, start=1):
        to(Head(model, vectors), taps, f"head-{number:02}.onnx", input_names=names)
        to(Whole(model, vectors), (film,), f"separate-{number:02}.onnx", input_names=["film"])


def onnx_runtime(way, folder, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    open_ = lambda path: onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    if way == "separate":
        whole = [open_(path) for path in sorted(folder.glob("separate-*.onnx"))]
        return lambda film: [cell(session.run(None, {"film": film})[0]) for session in whole]
    trunk = open_(folder / "trunk.onnx")
    each = [] if way == "trunk" else [open_(path) for path in sorted(folder.glob("head-*.onnx"))]

    def run(film):
        taps = {f"tap{level}": tap for level, tap in enumerate(trunk.run(None, {"film": film}), start=1)}
        return [cell(session.run(None, taps)[0]) for session in each]

    return run


def eager(checkpoint, threads):
    torch.set_num_threads(threads)
    made = heads(checkpoint)
    each = [Head(model, vectors) for model, vectors in made]

    @torch.inference_mode()
    def run(film):
        taps = made[0][0].trunk(torch.from_numpy(film))
        return [cell(head(*taps).numpy()) for head in each]

    return run


def main(way, checkpoint, folder, threads, *films):
    folder, threads = Path(folder), int(threads)
    size = recipe(checkpoint)["network"]["size"]
    started = time.perf_counter()
    run = eager(checkpoint, threads) if way == "eager" else onnx_runtime(way, folder, threads)
    opening = time.perf_counter() - started
    pixels = [np.asarray(Image.open(film).convert("L")) for film in films]
    run(grid(pixels[0], size))
    seconds, cells = [], []
    for film in pixels:
        started = time.perf_counter()
        cells.append(run(grid(film, size)))
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"opening": opening, "seconds": seconds, "peak_mb": peak, "cells": cells}))


if __name__ == "__main__":
    if sys.argv[1] == "export":
        with torch.no_grad():
            export(sys.argv[2], Path(sys.argv[3]))
    else:
        main(*sys.argv[1:])
