"""Grad-CAM (Selvaraju et al. 2017) for the paper's networks.

The maps of the last convolutions are weighted by the gradient of the class's log-odds at them,
summed over the cells. For ResNet-18, which ends in a mean and a linear layer, the result is exactly
the maps of `class_maps`; for VGG-16, which has hidden layers after them, it is a first-order
estimate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import VGG

from deepmersion.vision.lite_views import CANVAS_SIDE, enlarged


def grad_cam(network: nn.Module, pixels: Tensor, classes: Sequence[int]) -> np.ndarray:
    """Return maps of where in a picture classes are seen.

    Parameters
    ----------
    network : VGG or ResNet
        In evaluation mode.
    pixels : Tensor, shape = (1, 3, 224, 224), float32
    classes : sequence of int

    Returns
    -------
    ndarray, shape = (classes, rows, columns), float32
        14 × 14 cells of VGG-16, 7 × 7 of ResNet-18, in nats.
    """
    convolutions, rest = _split(network)
    with torch.no_grad():
        cells = convolutions(pixels)
    with torch.enable_grad():
        cells.requires_grad_()
        logits = rest(cells)[0]
        maps = [_map(_log_odds(logits, number), cells) for number in classes]
    found: np.ndarray = torch.cat(maps).cpu().numpy()
    return found


def _split(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return a network's convolutions and the layers after them."""
    if isinstance(network, VGG):
        # Before the last pooling, which would halve the number of cells.
        *convolutions, pooling = network.features
        after = [pooling, network.avgpool, nn.Flatten(), network.classifier]
    else:
        *convolutions, mean, classes = network.children()
        after = [mean, nn.Flatten(), classes]
    return nn.Sequential(*convolutions), nn.Sequential(*after)


def _log_odds(logits: Tensor, number: int) -> Tensor:
    rivals = torch.cat([logits[:number], logits[number + 1 :]])
    return logits[number] - rivals.logsumexp(dim=0)


def _map(value: Tensor, cells: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(value, cells, retain_graph=True)
    return (gradient.sum(dim=(2, 3), keepdim=True) * cells).sum(dim=1).detach()


def over_photo(maps: np.ndarray, height_share: float, width_share: float) -> np.ndarray:
    """Extend maps of the middle of a photo to the whole photo, with 0 outside.

    Parameters
    ----------
    maps : ndarray, shape = (classes, rows, columns), float32
    height_share, width_share : float
        Share of the photo that they cover, from 0 to 1.

    Returns
    -------
    ndarray, shape = (classes, 298, 298), float32
        Maps of the photo squashed to a square, like those of `lite_views.over_photo`.
    """
    whole = np.zeros((len(maps), CANVAS_SIDE, CANVAS_SIDE), np.float32)
    height, width = (round(CANVAS_SIDE * share) for share in (height_share, width_share))
    top, left = (CANVAS_SIDE - height) // 2, (CANVAS_SIDE - width) // 2
    for number, cells in enumerate(maps):
        middle = whole[number, top : top + height, left : left + width]
        middle[:] = enlarged(cells, height, width)
    return whole
