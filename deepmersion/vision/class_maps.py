"""Class activation maps in plain NumPy.

A network that ends in the means of a layer A over a picture's cells and a linear layer w gives
class c the logit Σ_k w_ck mean(A_k) + b_c. The share of cell x in it is Σ_k w_ck A_k(x): the class
activation map (Zhou et al. 2016, section 2), whose mean over the cells is the logit less b_c. If a
hidden layer follows the means, the gradient of the logit at the means replaces w_c, as in Grad-CAM
(Selvaraju et al. 2017, section 3).

A logit alone means little: a cell may speak for one class, but more for another. So the map is that
of the class's odds against its rivals, weighted by their probabilities,

    M_c(x) = Σ_k (w_ck - Σ_j r_j w_jk) A_k(x),    r_j = p_j / (1 - p_c) for j ≠ c,

because the gradient of log(p_c / (1 - p_c)) at the logits is 1 for c and -r_j for its rivals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def class_maps(cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return M, in nats: float32 [pictures, classes, rows, columns].

    Parameters
    ----------
    cells : ndarray, shape = (pictures, channels, rows, columns), float32
        The last layer.
    weights : ndarray, shape = (pictures, classes, channels)
        Weights from its means to the log-odds of the requested classes.
    """
    maps = np.matmul(weights, cells.reshape(*cells.shape[:2], -1))
    return np.asarray(maps.reshape(*maps.shape[:2], *cells.shape[2:]), dtype=np.float32)


def odds_gradient(probs: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Return the gradient of classes' log-odds at the logits of all classes.

    Parameters
    ----------
    probs : ndarray, shape = (pictures, classes), float32
    numbers : sequence of int
        The requested classes.

    Returns
    -------
    ndarray, shape = (pictures, wanted, classes), float32
        1 for the class itself, -r for its rivals; each row sums to 0.
    """
    rivals = np.repeat(probs[:, None], len(numbers), axis=1)
    wanted = np.arange(len(numbers))
    # If a class is so certain that no probability is left for its rivals, they count equally.
    rivals = np.maximum(rivals, np.finfo(np.float32).tiny)
    rivals[:, wanted, list(numbers)] = 0
    gradient = -rivals / rivals.sum(axis=2, keepdims=True)
    gradient[:, wanted, list(numbers)] = 1
    return np.asarray(gradient, dtype=np.float32)


def head_gradient(
    path: Path, label_set: str, features: np.ndarray, at_logits: np.ndarray
) -> np.ndarray:
    """Return a gradient at a head's inputs: float32 [pictures, wanted, inputs].

    Parameters
    ----------
    path : Path
        The parameters of a `lite_network.Head`.
    label_set : str
        The last layer's name in the file.
    features : ndarray, shape = (pictures, inputs), float32
        The inputs.
    at_logits : ndarray, shape = (pictures, wanted, classes), float32
        The gradient at its logits, from `odds_gradient`.
    """
    from safetensors.numpy import load_file

    head = load_file(path)
    inputs = (features - head["centre"]) * head["scale"]
    slopes = gelu_slope(inputs @ head["hidden.weight"].T + head["hidden.bias"])
    at_units = at_logits @ head[f"{label_set}.weight"] * slopes[:, None]
    return np.asarray(at_units @ head["hidden.weight"] * head["scale"], dtype=np.float32)


def gelu_slope(x: np.ndarray) -> np.ndarray:
    """Return the derivative of x Φ(x), Φ being the normal distribution function; as `x`."""
    below = np.vectorize(lambda value: (1 + math.erf(value / math.sqrt(2))) / 2)(x)
    density = np.exp(-np.square(x) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(below + x * density, dtype=x.dtype)
