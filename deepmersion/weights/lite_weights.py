"""The weights that come with the package."""

from __future__ import annotations

from pathlib import Path

from deepmersion.errors import WeightsError, why
from deepmersion.fetching.digests import identity_of
from deepmersion.shipped import DATA

PUBLISHED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Identity of ``efficientnet-lite0-57934424.pth``, whose name carries the first eight digits: the
published EfficientNet-Lite0."""

BACKBONE = DATA / "lite.onnx"
BACKBONE_SHA256 = "70adc841c264be5ce488969d849d53dc7bcfe86cb0cd86e6e7b3f680811af7e2"
"""The same network as ``tools/export_lite.py`` writes it, and the file's identity."""

SCENE_HEAD = DATA / "lite-scenes.safetensors"
CONDITION_HEAD = DATA / "lite-conditions.safetensors"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file of weights that comes with the package or a dependency.

    Raises
    ------
    WeightsError
        When it cannot be read.
    """
    try:
        return identity_of(path, "sha256").digest
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read {why(error)}, or reinstall deepmersion"
        ) from error
