"""Writes tiny-zip.pth and tiny-legacy.pth: one state dict in the two forms of torch.save, for the tests of vgg.rs.

Usage: python vgg.py     (made with torch 2.11.0)
The weight is a view that is neither contiguous nor at its storage's start, the bias is float16, as files in the wild may have it.
"""
from collections import OrderedDict
import torch

weight = torch.arange(1 + 3 * 3 * 3 * 2, dtype=torch.float32)[1:].reshape(3, 3, 3, 2).permute(3, 2, 1, 0)
state = OrderedDict([
    ("features.0.weight", torch.nn.Parameter(weight)),
    ("features.0.bias", torch.tensor([0.5, -0.25], dtype=torch.float16)),
    ("features.2.weight", torch.tensor([1.0, float("nan")])),
    ("classifier.0.weight", torch.ones(2, 4, dtype=torch.int64)),
])
torch.save(state, "tiny-zip.pth")
torch.save(state, "tiny-legacy.pth", _use_new_zipfile_serialization=False)
