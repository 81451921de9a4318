"""The embedded networks, run for real on real photos."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_lite import export
from PIL import Image

from deepmersion.errors import WeightsError
from deepmersion.labels import miniplaces_labels, object_labels
from deepmersion.shipped import EXAMPLES
from deepmersion.vision.choose import load_networks
from deepmersion.vision.lite import BATCH_SIZE, Lite
from deepmersion.vision.lite_network import (
    LiteNetwork,
    load_backbone,
    load_condition_head,
    load_scene_head,
    runner,
)
from deepmersion.vision.lite_session import (
    HEADS,
    LAST_LAYER,
    OUTPUTS,
    PROBABILITIES,
    open_session,
)
from deepmersion.vision.lite_views import VIEW_WEIGHTS, prepare, views
from deepmersion.vision.networks import Distributions
from deepmersion.vision.photo import load_photo
from deepmersion.weights.lite_weights import BACKBONE, CONDITION_HEAD, SCENE_HEAD


@pytest.fixture(scope="module")
def lite() -> Lite:
    return Lite.load()


@pytest.fixture(scope="module")
def china(china_jpg: Path) -> np.ndarray:
    return load_photo(china_jpg)


@pytest.fixture(scope="module")
def flower(flower_jpg: Path) -> np.ndarray:
    return load_photo(flower_jpg)


def resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def top(probabilities: np.ndarray, names: tuple[str, ...], k: int) -> set[str]:
    return {names[i] for i in np.argsort(probabilities)[::-1][:k]}


def distances(one: Distributions, other: Distributions) -> tuple[float, float]:
    """Return the greatest total variation distance of two photos' objects, and of their scenes."""
    pairs = ((one.objects, other.objects), (one.scenes, other.scenes))
    objects, scenes = (float(np.abs(p - q).sum(axis=1).max() / 2) for p, q in pairs)
    return objects, scenes


def test_rows_are_distributions(lite: Lite, china: np.ndarray, flower: np.ndarray) -> None:
    seen = lite.classify([china, flower])
    assert seen.objects.shape == (2, 1000)
    assert seen.scenes.shape == (2, 100)
    assert seen.conditions.shape == (2, 14)
    for rows in (seen.objects, seen.scenes, seen.conditions):
        assert rows.dtype == np.float32
        assert (rows >= 0).all()
        assert np.allclose(rows.sum(axis=1), 1, atol=1e-5)


def test_a_palace_in_china_is_seen_as_one(lite: Lite, china: np.ndarray) -> None:
    seen = lite.classify([china])
    scenes = top(seen.scenes[0], lite.scene_labels, 3)
    assert {"temple/east_asia", "monastery/outdoor", "palace"} & scenes
    assert seen.scenes[0, lite.scene_labels.index("temple/east_asia")] > 0.2
    assert {"palace", "bell cote", "stupa", "boathouse"} & top(seen.objects[0], object_labels(), 5)


def test_a_flower_is_seen_as_one(lite: Lite, flower: np.ndarray) -> None:
    seen = lite.classify([flower])
    assert top(seen.scenes[0], lite.scene_labels, 1) == {"botanical_garden"}
    assert {"daisy", "bee", "pot"} & top(seen.objects[0], object_labels(), 5)


def test_the_scene_labels_are_miniplaces(lite: Lite) -> None:
    assert lite.scene_labels == miniplaces_labels()
    assert lite.name == "lite"


def test_nothing_is_printed(china_jpg: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_networks("lite").classify([load_photo(china_jpg)])
    assert capfd.readouterr() == ("", "")


def test_slow_libraries_stay_out() -> None:
    """Loading the networks and a photo needs neither torchvision nor librosa."""
    code = (
        "import sys; from deepmersion.vision import choose, photo; "
        "assert not {'torch', 'PIL'} & set(sys.modules); choose.load_networks('lite'); "
        "assert not {'torchvision', 'librosa'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_photo_and_its_mirror_image_are_the_same_place(lite: Lite, china: np.ndarray) -> None:
    mirrored = np.ascontiguousarray(china[:, ::-1])
    assert max(distances(lite.classify([china]), lite.classify([mirrored]))) < 1e-3


def test_a_photo_and_its_mirror_image_have_the_same_views(china: np.ndarray) -> None:
    mirrored = np.ascontiguousarray(china[:, ::-1])
    one, other = (sorted(view.tobytes() for view in views(image)) for image in (china, mirrored))
    assert one == other
    assert len(set(one)) == len(one) == len(VIEW_WEIGHTS)


def test_each_corner_has_a_view_and_the_right_ones_are_mirrored() -> None:
    """Marks in the corners of a photo lie in the left corners of the corners' views."""
    photo = np.zeros((600, 800, 3), dtype=np.uint8)
    marks = {(0, 0): 50, (-1, 0): 100, (0, -1): 150, (-1, -1): 200}
    for (row, column), mark in marks.items():
        photo[row * 100 : row * 100 + 100 or None, column * 100 : column * 100 + 100 or None] = mark
    for view, ((row, _), mark) in zip(views(photo)[2:], marks.items(), strict=True):
        assert (view[row, 0] == mark).all()
        assert view[row, -1].max() == 0, "the other corner lies outside"


def test_photos_do_not_influence_each_other(
    lite: Lite, china: np.ndarray, flower: np.ndarray
) -> None:
    alone = lite.classify([china])
    among = lite.classify([flower] * BATCH_SIZE + [china])
    assert np.allclose(among.scenes[-1], alone.scenes[0], atol=1e-4)
    assert np.allclose(among.objects[-1], alone.objects[0], atol=1e-4)
    assert np.allclose(among.conditions[-1], alone.conditions[0], atol=1e-4)


def test_more_pixels_change_nothing(lite: Lite, china: np.ndarray, flower: np.ndarray) -> None:
    photos = [china, flower]
    enlarged = [resized(photo, 4000, 2669) for photo in photos]
    assert max(distances(lite.classify(photos), lite.classify(enlarged))) < 0.03


def test_few_pixels_are_enough_for_the_scene(
    lite: Lite, china: np.ndarray, flower: np.ndarray
) -> None:
    """The head was trained on photos of 128 pixels; the objects lose the detail they live off."""
    photos = [china, flower]
    large = lite.classify([resized(photo, 4000, 2669) for photo in photos])
    small = lite.classify([resized(photo, 128, 128) for photo in photos])
    objects, scenes = distances(large, small)
    assert scenes < 0.15
    assert objects < 0.5
    assert (large.scenes.argmax(axis=1) == small.scenes.argmax(axis=1)).all()


def test_a_reduced_jpeg_gives_the_same_distributions(lite: Lite, china: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(resized(china, 4000, 2669)).save(file, "JPEG", quality=90)
    whole = load_photo(io.BytesIO(file.getvalue()))
    reduced = load_photo(io.BytesIO(file.getvalue()), min_side=lite.min_side)
    assert whole.shape == (2669, 4000, 3)
    assert reduced.shape[0] < 1000
    assert max(distances(lite.classify([whole]), lite.classify([reduced]))) < 0.05


def test_a_turned_photo_gives_the_same_as_the_upright_one(
    lite: Lite, china: np.ndarray, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(china).transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.png", exif=exif)
    seen = lite.classify([load_photo(tmp_path / "turned.png")])
    assert max(distances(lite.classify([china]), seen)) == 0
    unturned = lite.classify([np.asarray(turned)])
    assert max(distances(lite.classify([china]), unturned)) > 0.1, "turning would not matter"


@pytest.mark.parametrize("shape", [(32, 32), (32, 3000), (3000, 32), (500, 501)])
def test_every_shape_is_taken(lite: Lite, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    seen = lite.classify([noise])
    assert np.isfinite(seen.objects).all()
    assert np.isfinite(seen.scenes).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.float32),
    ],
)
def test_what_is_no_rgb_image_is_refused(lite: Lite, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        lite.classify([image])


def test_no_image_at_all_is_refused(lite: Lite) -> None:
    with pytest.raises(ValueError, match="no image"):
        lite.classify([])


def test_the_weights_are_named_by_their_sha256(lite: Lite) -> None:
    assert len(lite.weights) == 3
    assert all(len(digest) == 64 and int(digest, 16) for digest in lite.weights.values())


def test_onnx_runtime_and_pytorch_see_the_same(lite: Lite) -> None:
    """Each view of each example by itself, as the mean over the views would hide differences."""
    photos = [load_photo(path) for path in sorted(EXAMPLES.glob("*.jpg"))]
    pictures = prepare(np.concatenate([views(photo) for photo in photos]))
    assert len(pictures) == 6 * 5
    found, expected = (
        dict(zip(OUTPUTS, run(pictures, OUTPUTS), strict=True))
        for run in (lite._run, runner(LiteNetwork.load()))
    )
    for name in PROBABILITIES:
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected[name], atol=1e-3)
    for name in LAST_LAYER:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-2)


def test_the_tool_writes_the_shipped_network() -> None:
    assert export(LiteNetwork.load()) == BACKBONE.read_bytes()


@pytest.mark.parametrize("damage", ["missing", "cut off", "flipped"])
def test_a_damaged_network_is_refused(damage: str, tmp_path: Path) -> None:
    content = bytearray(BACKBONE.read_bytes())
    content[len(content) // 3] ^= damage == "flipped"
    path = tmp_path / "lite.onnx"
    if damage != "missing":
        path.write_bytes(content[: len(content) // (2 if damage == "cut off" else 1)])
    with pytest.raises(WeightsError, match=r"lite\.onnx.* reinstall deepmersion"):
        open_session(path)


def test_a_backbone_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    fake = tmp_path / "efficientnet-lite0-57934424.pth"
    with pytest.raises(WeightsError, match="cannot be read"):
        load_backbone(fake)
    fake.write_bytes(b"cos\nsystem\n(S'echo hacked'\ntR.")
    with pytest.raises(WeightsError, match="is not the published"):
        load_backbone(fake)


def session_with(label_set: str) -> Callable[[Path], Any]:
    """Return what opens a session with another file of a head."""
    return lambda path: open_session(heads={**HEADS, label_set: path})


LOADERS = [
    (load_scene_head, SCENE_HEAD, CONDITION_HEAD),
    (load_condition_head, CONDITION_HEAD, SCENE_HEAD),
    (session_with("scenes"), SCENE_HEAD, CONDITION_HEAD),
    (session_with("conditions"), CONDITION_HEAD, SCENE_HEAD),
]


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize(("load", "file", "_other"), LOADERS)
def test_a_damaged_head_is_refused(
    load: Callable[[Path], Any], file: Path, _other: Path, share: float, tmp_path: Path
) -> None:
    damaged = tmp_path / "head.safetensors"
    whole = file.read_bytes()
    damaged.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WeightsError, match="reinstall"):
        load(damaged)


@pytest.mark.parametrize(("load", "_file", "other"), LOADERS)
def test_what_is_not_this_head_is_refused(
    load: Callable[[Path], Any], _file: Path, other: Path, tmp_path: Path
) -> None:
    for path in (tmp_path / "none.safetensors", other):
        with pytest.raises(WeightsError, match="reinstall"):
            load(path)


def test_the_heads_are_small() -> None:
    assert SCENE_HEAD.stat().st_size < 1_500_000
    assert CONDITION_HEAD.stat().st_size < 1_000_000
