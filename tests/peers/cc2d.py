"""CC2D in PyTorch, written from METHOD.md sec. 1a to 1c only: the independent reference for the graph in onemark-models.

Adapters follow METHOD.md sec. 4, items 3 to 6. Run as a script, it first checks its own size against METHOD.md sec. 5,
then writes the goldens that tests/tests/peer_cc2d.rs reads: random narrow networks, a random film, the results.

    pip install torch==2.11.0 numpy safetensors
    python tests/peers/cc2d.py tests/tests/goldens

Numbers in a golden are named as in onemark-models; everything else here has names of its own. No trained weights and no
patient are involved.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

SEED = 20260
LANDMARK = 7
LEVELS = (5, 4, 3, 2, 1)
CONVOLUTIONS_PER_BLOCK = (2, 2, 4, 4, 4)

PAPER = dict(
    trunk=(64, 128, 256, 512, 512), decoder=(256, 128, 64, 128), rfb=(512, 256, 128), embedding=64, adapter=0, variant="block"
)
NARROW = dict(trunk=(3, 4, 5, 6, 7), decoder=(7, 6, 5, 4), rfb=(6, 5, 4), embedding=3)
GOLDENS = {
    "cc2d": dict(NARROW, size=96, adapter=0, variant="block"),
    "adapter-block": dict(NARROW, size=64, adapter=4, variant="block"),
    "adapter-convolution": dict(NARROW, size=64, adapter=4, variant="convolution"),
}


class Vgg19(nn.Module):
    """torchvision's config E without batch normalisation; returns the outputs of the five max-pools."""

    def __init__(self, widths):
        super().__init__()
        layers, channels = [], 3
        for width, count in zip(widths, CONVOLUTIONS_PER_BLOCK):
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)

    def forward(self, grey):
        x, taps = grey.expand(-1, 3, -1, -1), []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                taps.append(x)
        return taps


class ConvUnit(nn.Module):
    """conv3x3 with bias, batch normalisation, ReLU: half a DoubleConv."""

    def __init__(self, channels, out):
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def cb(channels, out, kernel, dilation=1):
    """Convolution without bias, batch normalisation, no ReLU, same size."""
    padding = tuple(side // 2 * dilation for side in kernel)
    conv = nn.Conv2d(channels, out, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out))


class Rfb(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.b0 = cb(channels, out, (1, 1))
        self.b1, self.b2, self.b3 = (
            nn.Sequential(
                cb(channels, out, (1, 1)), cb(out, out, (1, k)), cb(out, out, (k, 1)), cb(out, out, (3, 3), dilation=k)
            )
            for k in (3, 5, 7)
        )
        self.fuse = cb(4 * out, out, (3, 3))
        self.shortcut = cb(channels, out, (1, 1))

    def forward(self, x):
        branches = torch.cat([self.b0(x), self.b1(x), self.b2(x), self.b3(x)], dim=1)
        return F.relu(self.fuse(branches) + self.shortcut(x))


class Beside(nn.Module):
    """Paper Eq. 1: a shared part and, with adapters, one landmark's specific part, concatenated."""

    def __init__(self, part, channels, out, adapter):
        super().__init__()
        self.shared = part(channels, out)
        self.own = part(channels, adapter) if adapter else None

    def forward(self, x):
        return self.shared(x) if self.own is None else torch.cat([self.shared(x), self.own(x)], dim=1)


def double_conv(channels, out):
    return nn.Sequential(ConvUnit(channels, out), ConvUnit(out, out))


class Cc2d(nn.Module):
    """The network of one landmark; without adapters, base CC2D. Level 0 is left out: nothing uses it."""

    def __init__(self, trunk, decoder, rfb, embedding, adapter, variant, size=None):
        super().__init__()
        self.trunk = Vgg19(trunk)
        self.up, self.rfb, self.embed = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        deeper = trunk[4]
        for index, level in enumerate(LEVELS):
            if level < 5:
                channels, out = trunk[level - 1] + deeper, decoder[index - 1]
                deeper = out + adapter
                if variant == "block":
                    block = Beside(double_conv, channels, out, adapter)
                else:
                    block = nn.Sequential(
                        Beside(ConvUnit, channels, out, adapter), Beside(ConvUnit, out + adapter, out, adapter)
                    )
                self.up[str(level)] = block
            read = deeper
            if level >= 3:
                self.rfb[str(level)] = Beside(Rfb, deeper, rfb[index], adapter)
                read = rfb[index] + adapter
            self.embed[str(level)] = nn.Conv2d(read, embedding, 1)

    def forward(self, grey):
        """Film [n, 1, size, size] to embeddings by level."""
        return self.decode(self.trunk(grey))

    def decode(self, taps):
        deeper, embeddings = taps[4], {}
        for level in LEVELS:
            if level < 5:
                up = F.interpolate(deeper, scale_factor=2, mode="bilinear", align_corners=True)
                deeper = self.up[str(level)](torch.cat([taps[level - 1], up], dim=1))
            side = self.rfb[str(level)](deeper) if level >= 3 else deeper
            embeddings[level] = self.embed[str(level)](side)
        return embeddings


def template_vectors(embeddings, row, column):
    """The vectors of a template's point on the grid (sec. 1c)."""
    return {level: e[0, :, row // 2**level, column // 2**level] for level, e in embeddings.items()}


def score(embeddings, vectors):
    product = 1
    for level in LEVELS:
        e, v = embeddings[level], vectors[level]
        dot = torch.einsum("nchw,c->nhw", e, v)[:, None]
        cosine = dot / (e.norm(dim=1, keepdim=True) * v.norm() + 1e-3)
        product = product * F.interpolate(
            cosine.clamp(0, 1), scale_factor=2**level, mode="bilinear", align_corners=False
        )
    return product


def name_in_graph(name, variant, landmark=LANDMARK):
    """The name in onemark-models of this module's parameter."""
    parts = name.split(".")
    if parts[0] == "trunk":
        return name
    kind, level, rest = parts[0], parts[1], parts[2:]
    if kind == "embed":
        return f"decoder.embed{level}.{rest[0]}"
    if kind == "up":
        # block: Beside, number, ConvUnit's; convolution: number, Beside, ConvUnit's
        owner, number = (rest[0], rest[1]) if variant == "block" else (rest[1], rest[0])
        layer, value = rest[2], rest[3]
        place = f"level{level}.{layer}{int(number) + 1}.{value}"
    else:
        owner, branch, value = rest[0], rest[1], rest[-1]
        layer = ("conv", "bn")[int(rest[-2])]
        if branch in ("b1", "b2", "b3"):
            step = ("reduce", "row", "column", "dilated")[int(rest[2])]
            place = f"rfb{level}.branch{branch[1]}.{step}.{layer}.{value}"
        else:
            place = f"rfb{level}.{'branch0' if branch == 'b0' else branch}.{layer}.{value}"
    return ("decoder." if owner == "shared" else f"adapter.{landmark:02}.") + place


def randomise(model, generator):
    """Random numbers with which every part has an effect: activations keep their size, batch normalisation changes values."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -0.2, 0.2, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in [
                (module.weight, 0.7, 1.4), (module.bias, -0.3, 0.3), (module.running_mean, -0.3, 0.3), (module.running_var, 0.5, 2.0)
            ]:
                nn.init.uniform_(tensor, low, high, generator=generator)


@torch.no_grad()
def golden(config):
    generator = torch.Generator().manual_seed(SEED)
    size = config["size"]
    model = Cc2d(**config).eval()
    randomise(model, generator)
    template, film = (torch.rand(1, 1, size, size, generator=generator) for _ in range(2))
    vectors = template_vectors(model(template), size // 3, size // 2)
    embeddings = model(film)
    state = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    tensors = {name_in_graph(name, config["variant"]): value for name, value in state.items()}
    assert len(tensors) == len(state), "two parameters got one name"
    tensors |= {f"template.{LANDMARK:02}.level{level}": vector for level, vector in vectors.items()}
    tensors |= {f"embedding{level}": e for level, e in embeddings.items()}
    tensors |= {"film": film, "score": score(embeddings, vectors)}
    assert (tensors["score"] > 0.01).float().mean() > 0.05, "a score that is zero nearly everywhere tests nothing"
    metadata = {
        "made_by": f"tests/peers/cc2d.py, torch {torch.__version__}, seed {SEED}",
        "landmark": str(LANDMARK),
        "trunk": json.dumps({"weights": "random", "widths": config["trunk"]}),
        "network": json.dumps({
            "size": size, "decoder": config["decoder"], "rfb": config["rfb"], "embedding": config["embedding"],
            "adapter_channels": config["adapter"], "adapter_variant": config["variant"],
        }),
    }
    return {name: tensor.clone().contiguous() for name, tensor in tensors.items()}, metadata


def check_size():
    """METHOD.md sec. 5a and 5b: parameters of the trunk, the shared decoder and one adapter."""

    def counts(**change):
        with torch.device("meta"):
            parameters = dict(Cc2d(**PAPER | change).named_parameters())
        of = lambda wanted: sum(p.numel() for name, p in parameters.items() if wanted(name))
        trunk, own = of(lambda name: name.startswith("trunk.")), of(lambda name: ".own." in name)
        return trunk, of(lambda name: True) - trunk - own, own

    assert counts() == (20_024_384, 37_984_192, 0), counts()
    assert counts(adapter=16) == (20_024_384, 38_066_112, 440_096), counts(adapter=16)
    _, shared, own = counts(adapter=16, variant="convolution")
    assert (round(shared / 1000), round(own / 1000)) == (38_149, 523), (shared, own)


if __name__ == "__main__":
    check_size()
    for name, config in GOLDENS.items():
        tensors, metadata = golden(config)
        path = Path(sys.argv[1]) / f"{name}.safetensors"
        save_file(tensors, path, metadata)
        print(path, path.stat().st_size)
