"""One training step in PyTorch, written from METHOD.md sec. 1b and 4 (items 9 and 19) only: the reference for the trainer's step.

It is a straightforward script: eager, autograd, torch.optim.Adam, the frozen trunk computed for every image of every step, and
whole cosine maps for every point. The network is that of cc2d.py.

    pip install torch==2.11.0 numpy safetensors
    python tests/peers/training.py goldens trainer/tests/goldens    # for trainer/tests/peer_training.rs
    python tests/peers/training.py bench STEPS                      # films per second of each step in a file of steps

A file of steps is a safetensors file. For each step n it holds
    step{n}.film     [films, 1, size, size]      the target images
    step{n}.patch    [patches, 1, side, side]    the source images; missing if those are the films
    step{n}.matches  [points, 7]                 source image, row, column; target image, row, column; weight
and its metadata are the parts of a recipe that a step needs, with the landmark of each step (1-based, null for all).
A golden also holds step{n}.losses (level 5 first) and each parameter and statistic, by its name in the graph, stacked along a new
first axis: the value before all steps, the value after them, and, if there is one, the gradient of the first step. The numbers are
random; no patient data and no trained weights are used.
"""

import copy
import json
import re
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import cc2d

NARROW = dict(trunk=(3, 3, 4, 4, 4), decoder=(4, 4, 4, 3), rfb=(4, 4, 3), embedding=3, variant="block")
# Film pairs use the same places many times, so small grids test as much.
GOLDENS = {
    "patches": dict(NARROW, size=96, adapter=0),
    "patches-adapters": dict(NARROW, size=96, adapter=2),
    "films": dict(NARROW, size=64, adapter=0),
    "films-adapters-frozen": dict(NARROW, size=64, adapter=2),
}
PATCH, PATCH_PAIRS, FILM_POINTS = 64, 2, 12
LOSS = dict(temperature=10.0, slope=0.07, cap=0.8, window=11)
LEARNING_RATE = 1e-3
# The gradient of a bias before batch normalisation is rounding error only. With Adam's usual epsilon of 1e-8, this causes whole
# steps in a random direction; with this epsilon, steps depend on the size of the gradient and on weight decay.
OPTIMISER = dict(betas=(0.9, 0.999), epsilon=0.1, weight_decay=0.1)
# The first adapter takes no part in a step, though its moments could move it, and then takes its own second step.
TURNS = (1, 2, 1)


class Adapters(nn.ModuleList):
    """One adapter per landmark; only the selected one computes."""

    turn = 0

    def forward(self, x):
        return self[self.turn](x)


def network(config, landmarks):
    """Cc2d with an adapter per landmark, ready to be trained: the trunk is frozen."""
    model = cc2d.Cc2d(**config)
    for module in list(model.modules()):
        if isinstance(module, cc2d.Beside) and module.own is not None:
            module.own = Adapters(copy.deepcopy(module.own) for _ in range(landmarks))
    model.trunk.requires_grad_(False)
    return model


def set_mode(model, freeze_statistics):
    """Batch normalisation follows the batch; frozen, only the adapters' does."""
    model.train()
    for name, module in model.named_modules():
        if freeze_statistics and isinstance(module, nn.BatchNorm2d) and ".own." not in name:
            module.eval()


def optimiser(model, options, learning_rate):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    betas, epsilon, decay = (options[key] for key in ("betas", "epsilon", "weight_decay"))
    return torch.optim.Adam(trained, learning_rate, betas, epsilon, decay)


def level_loss(source, target, matches, level, options):
    """C2's loss: embeddings [images, channels, rows, columns] of both sides; the weighted sum over the points."""
    temperature, slope, cap, window = (options[key] for key in ("temperature", "slope", "cap", "window"))
    height, width = target.shape[2:]
    total = 0
    for image, e in enumerate(target):
        here = matches[matches[:, 3] == image]
        from_image, i, j, _, row, column = here[:, :6].long().T
        i, j, row, column = (cell // 2**level for cell in (i, j, row, column))
        v = source[from_image, :, i, j]
        norms = e.norm(dim=0) * v.norm(dim=1)[:, None, None]
        cosine = torch.einsum("pc,chw->phw", v, e) / (norms + 1e-3)
        down = torch.arange(height)[:, None] - row[:, None, None]
        right = torch.arange(width) - column[:, None, None]
        distance = (down**2 + right**2).to(e.dtype).sqrt()
        logits = temperature * cosine + (temperature * slope * distance).clamp(max=temperature * cap)
        if level < 5:
            near = (-window <= down) & (down < window) & (-window <= right) & (right < window)
            logits = logits.masked_fill(~near, -torch.inf)
        losses = F.cross_entropy(logits.flatten(1), row * width + column, reduction="none")
        total = total + (here[:, 6] * losses).sum()
    return total


def step(model, adam, loss, film, patch, matches, landmark):
    """One step; the loss of each level. The gradients stay in the parameters."""
    for module in model.modules():
        if isinstance(module, Adapters):
            module.turn = landmark - 1
    adam.zero_grad()
    targets = model(film)
    sources = targets if patch is None else model(patch)
    losses = [level_loss(sources[level], targets[level], matches, level, loss) for level in cc2d.LEVELS]
    sum(losses).backward()
    adam.step()
    return torch.stack(losses).detach()


def random_matches(config, patches, generator):
    """Points as in the two recipes: one per patch, or many per pair of films."""
    size, pairs = config["size"], range(PATCH_PAIRS)
    if patches:
        # source image, its side, target image, points, weight of all
        groups = [(image, PATCH, image, 1, 1 / PATCH_PAIRS) for image in pairs]
    else:
        # Copies of the template; a film and its copy; the template's landmarks on the film.
        groups = [(0, size, 1, FILM_POINTS, 1), (3, size, 2, FILM_POINTS, 1), (0, size, 2, 1, 0.5)]
    cells = lambda side, count: torch.randint(side, (count, 2), generator=generator)
    rows = [
        torch.cat([torch.full((n, 1), s), cells(side, n), torch.full((n, 1), t), cells(size, n), torch.full((n, 1), w / n)], 1)
        for s, side, t, n, w in groups
    ]
    return torch.cat(rows)


def name_in_graph(name, variant):
    """As in cc2d.py; an adapter's number is that of its landmark."""
    own = re.fullmatch(r"(.*\.own)\.(\d+)(\..*)", name)
    if own is None:
        return cc2d.name_in_graph(name, variant)
    return cc2d.name_in_graph(own[1] + own[3], variant, int(own[2]) + 1)


def state(model, variant):
    values = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    named = {name_in_graph(name, variant): value.clone() for name, value in values.items()}
    assert len(named) == len(values), "two parameters got one name"
    return named


def golden(name, config):
    generator = torch.Generator().manual_seed(cc2d.SEED)
    patches, freeze, variant = name.startswith("patches"), name.endswith("frozen"), config["variant"]
    model = network(config, max(TURNS))
    cc2d.randomise(model, generator)
    model.double()  # so that only the trainer rounds
    set_mode(model, freeze)
    adam = optimiser(model, OPTIMISER, LEARNING_RATE)
    before, gradients, tensors = state(model, variant), {}, {}
    for number, landmark in enumerate(TURNS, start=1):
        films = PATCH_PAIRS if patches else 4
        # f16 makes a small file whose numbers both sides read exactly.
        image = lambda count, side: torch.rand(count, 1, side, side, generator=generator).half()
        film = image(films, config["size"])
        patch = image(PATCH_PAIRS, PATCH) if patches else None
        matches = random_matches(config, patches, generator)
        losses = step(
            model, adam, LOSS, film.double(), None if patch is None else patch.double(), matches.double(), landmark
        )
        tensors |= {f"step{number}.film": film, f"step{number}.matches": matches, f"step{number}.losses": losses}
        if patches:
            tensors[f"step{number}.patch"] = patch
        if number == 1:
            gradients = {
                name_in_graph(name, variant): value.grad.clone()
                for name, value in model.named_parameters()
                if value.grad is not None
            }
    after = {name: value for name, value in state(model, variant).items() if not name.startswith("trunk.")}
    for name in before:
        tensors[name] = torch.stack([values[name] for values in (before, after, gradients) if name in values])
    network_keys = {"size": "size", "decoder": "decoder", "rfb": "rfb", "embedding": "embedding"}
    network_keys |= {"adapter_channels": "adapter", "adapter_variant": "variant"}
    metadata = {
        "made_by": f"tests/peers/training.py, torch {torch.__version__}, seed {cc2d.SEED}",
        "trunk": {"weights": "random", "widths": config["trunk"]},
        "network": {key: config[own] for key, own in network_keys.items()},
        "loss": LOSS,
        "optimiser": OPTIMISER,
        "learning_rate": LEARNING_RATE,
        "freeze_statistics": freeze,
        "landmarks": TURNS if config["adapter"] else [None] * len(TURNS),
    }
    as_stored = lambda value: value.contiguous() if value.dtype == torch.half else value.float().contiguous()
    return {name: as_stored(value) for name, value in tensors.items()}, metadata


def write_goldens(folder):
    for name, config in GOLDENS.items():
        tensors, metadata = golden(name, config)
        path = Path(folder) / f"training-{name}.safetensors"
        save_file(tensors, path, {key: value if key == "made_by" else json.dumps(value) for key, value in metadata.items()})
        print(path, path.stat().st_size)


def bench(path):
    """Prints the films per second of each step. The weights are torch's initial ones; the time does not depend on them."""
    with safe_open(path, "pt") as file:
        options = {key: json.loads(value) for key, value in file.metadata().items()}
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    shape = options["network"]
    config = dict(trunk=options["trunk"]["widths"], adapter=shape["adapter_channels"], variant=shape["adapter_variant"])
    config |= {key: shape[key] for key in ("decoder", "rfb", "embedding")}
    landmarks = options["landmarks"]
    model = network(config, max(landmark or 1 for landmark in landmarks))
    set_mode(model, options["freeze_statistics"])
    adam = optimiser(model, options["optimiser"], options["learning_rate"])
    for number, landmark in enumerate(landmarks, start=1):
        film, patch, matches = (tensors.get(f"step{number}.{part}") for part in ("film", "patch", "matches"))
        started = time.perf_counter()
        step(model, adam, options["loss"], film, patch, matches, landmark or 1)
        print(len(film) / (time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    {"goldens": write_goldens, "bench": bench}[sys.argv[1]](sys.argv[2])
