"""Trains, calibrates and measures a head on the features of the embedded backbone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from features import SEED
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from deepmersion.vision.lite_network import Head
from deepmersion.vision.lite_session import N_FEATURES

TRAINING_BATCH = 256
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
DROPOUT = (0.2, 0.5)
LABEL_SMOOTHING = 0.1
MIXUP = 0.2
"""Parameter of the beta distribution for mixing the features of two photos (mixup)."""

TEXTURE_DEVIATION = 0.4
"""Standard deviation to which textures are scaled: about that of the last layer's features. Those
are left as they are, since standardising them overweights rare channels (51.8 % against 53.3 % of
the scenes with a linear head)."""

HINT_WEIGHT = 0.3
"""Weight of a photo with only its possible classes known, relative to one with a known class."""

N_BINS = 15
"""Bins of the expected calibration error (Guo et al. 2017)."""


@dataclass(frozen=True)
class Recipe:
    """The shape of a head and its training.

    Attributes
    ----------
    n_classes, n_hidden : int
    epochs : int
    balanced : bool
        True to draw photos of every class equally often, however many it has.
    """

    n_classes: int
    n_hidden: int
    epochs: int
    balanced: bool = False

    def order(self, classes: Tensor) -> Tensor:
        """Return the positions of an epoch's photos, as many as there are photos in all."""
        if not self.balanced:
            return torch.randperm(len(classes))
        counts = torch.bincount(classes, minlength=self.n_classes)
        return torch.multinomial(1 / counts[classes], len(classes), replacement=True)


@dataclass(frozen=True)
class Hints:
    """Photos with only their possible classes known.

    Attributes
    ----------
    features : Tensor, shape = (photos, 2128), float16
    possible : Tensor, shape = (photos, classes), bool
    """

    features: Tensor
    possible: Tensor

    def loss(self, head: Head) -> Tensor:
        """Return the negative mean log of a head's total probability of the possible classes.

        Over a random batch: the likelihood of what is known (Jin and Ghahramani 2002).
        """
        chosen = torch.randint(len(self.features), (TRAINING_BATCH,))
        shares = head(self.features[chosen].float()).log_softmax(dim=1)
        possible = shares.masked_fill(~self.possible[chosen], -torch.inf)
        cost: Tensor = -possible.logsumexp(dim=1).mean()
        return cost


def new_head(recipe: Recipe, textures: Tensor) -> Head:
    """Return an untrained head, scaled for textures [photos, 848]."""
    head = Head(recipe.n_classes, recipe.n_hidden, DROPOUT)
    head.centre[N_FEATURES:] = textures.mean(dim=0)
    head.scale[N_FEATURES:] = TEXTURE_DEVIATION / textures.std(dim=0)
    return head


def train(recipe: Recipe, views: Tensor, classes: Tensor, hints: Hints | None = None) -> Head:
    """Return a head trained on features [views, photos, 2128] of float16, and on hints."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    head = new_head(recipe, views[0, :, N_FEATURES:].float())
    optimiser = torch.optim.AdamW(head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    n_steps = recipe.epochs * (len(classes) // TRAINING_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=n_steps, pct_start=0.15
    )
    targets = torch.nn.functional.one_hot(classes, recipe.n_classes).float()
    for step in tqdm(range(n_steps), "training", unit="step"):
        if step % (n_steps // recipe.epochs) == 0:
            order = recipe.order(classes)
        at = step % (n_steps // recipe.epochs) * TRAINING_BATCH
        chosen = order[at : at + TRAINING_BATCH]
        x = views[torch.randint(len(views), chosen.shape), chosen].float()
        y, share, other = targets[chosen], float(rng.beta(MIXUP, MIXUP)), torch.randperm(len(x))
        loss = torch.nn.functional.cross_entropy(
            head(share * x + (1 - share) * x[other]),
            share * y + (1 - share) * y[other],
            label_smoothing=LABEL_SMOOTHING,
        )
        if hints is not None:
            loss = loss + HINT_WEIGHT * hints.loss(head)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.eval()


@torch.inference_mode()
def predict(head: Head, plain: Tensor, mirrored: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the probabilities of photos, averaged with those of their mirror images."""
    return (
        sum(
            ((head(x.float()) / temperature).softmax(dim=1) for x in (plain, mirrored)),
            start=torch.zeros(()),
        )
        / 2
    )


def find_temperature(predicted: Callable[[float], Tensor], classes: Tensor) -> float:
    """Return the temperature with the lowest negative log-likelihood, to a hundredth.

    Parameters
    ----------
    predicted : callable
        Maps a temperature to probabilities [photos, classes].
    classes : Tensor, shape = (photos,), int64
    """

    def loss(temperature: float) -> float:
        return float(torch.nn.functional.nll_loss(predicted(temperature).log(), classes))

    return float(min(np.arange(0.5, 2.0, 0.01).round(2), key=loss))


def measure(probabilities: Tensor, classes: Tensor) -> dict[str, float]:
    """Return top-1 and top-5 accuracy, expected calibration error and log-loss in nats."""
    best = probabilities.topk(5, dim=1)
    right = best.indices == classes[:, None]
    bins = (best.values[:, 0] * N_BINS).long().clamp(max=N_BINS - 1)
    gaps = [
        float((best.values[bins == b, 0] - right[bins == b, 0].float()).sum().abs())
        for b in range(N_BINS)
    ]
    return {
        "top-1": round(float(right[:, 0].float().mean()), 4),
        "top-5": round(float(right.any(dim=1).float().mean()), 4),
        "ece": round(sum(gaps) / len(classes), 4),
        "log-loss": round(float(torch.nn.functional.nll_loss(probabilities.log(), classes)), 4),
    }


def save(
    head: Head, label_set: str, temperature: float, about: dict[str, object], path: Path
) -> None:
    """Write the parameters in float16, with the temperature folded into the last layer.

    In the file, the last layer is named after its label set.
    """
    parameters = {name: tensor.detach().clone() for name, tensor in head.state_dict().items()}
    for name in ("classes.weight", "classes.bias"):
        parameters[name] /= temperature
    halves = {
        name.replace("classes.", f"{label_set}."): tensor.half().contiguous()
        for name, tensor in parameters.items()
    }
    # A single entry: safetensors writes several in an order that varies between runs.
    save_file(halves, path, metadata={"about": json.dumps(about, sort_keys=True)})
    path.chmod(0o644)  # safetensors makes it readable by its owner only
