"""Where in a photo its sounds come from: the maps, their weights, and the picture of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commandline import TIMEOUT_S, run_here
from PIL import Image
from standins import places365_state, vgg16_state

from deepmersion.errors import OutputError, RequestError
from deepmersion.heatmap import heatmap, spread
from deepmersion.matching.explain import Reason
from deepmersion.matching.rule import Match
from deepmersion.pipeline import Matcher
from deepmersion.request import Request
from deepmersion.shipped import DATA
from deepmersion.vision.class_maps import class_maps, gelu_slope, head_gradient, odds_gradient
from deepmersion.vision.grad_cam import grad_cam
from deepmersion.vision.lite import Lite
from deepmersion.vision.lite_network import (
    LiteNetwork,
    load_condition_head,
    load_scene_head,
    runner,
)
from deepmersion.vision.lite_session import HEADS, OUTPUTS
from deepmersion.vision.lite_views import CANVAS_SIDE, over_photo, prepare, views
from deepmersion.vision.overlay import COLOURS, MAX_SIDE, MIN_WIDTH, overlay, write_picture
from deepmersion.vision.paper import Paper
from deepmersion.vision.photo import load_photo

EXAMPLES = DATA / "examples"
HALF = CANVAS_SIDE // 2


@pytest.fixture(scope="module")
def lite() -> Lite:
    return Lite.load()


@pytest.fixture(scope="module")
def seen(lite: Lite, china_jpg: Path) -> dict[str, np.ndarray]:
    """What the embedded networks make of the views of a real photo."""
    found = lite._run(prepare(views(load_photo(china_jpg))), OUTPUTS)
    return dict(zip(OUTPUTS, found, strict=True))


def side_by_side(left: str, right: str) -> BytesIO:
    """Return a photo whose halves are two of the painted examples."""
    whole = Image.new("RGB", (960, 640))
    for name, start in ((left, 0), (right, 480)):
        with Image.open(EXAMPLES / f"{name}.jpg") as photo:
            whole.paste(photo.resize((480, 640)), (start, 0))
    file = BytesIO()
    whole.save(file, "PNG")
    file.seek(0)
    return file


def share_of_left(of_sound: np.ndarray) -> float:
    return float(of_sound[:, :HALF].sum() / of_sound.sum())


def mix_of(matcher: Matcher, *sounds: str) -> Match:
    """Return a mix of some sounds, however well it fits."""
    index = matcher._index
    wanted = [name in sounds for name in index.sounds]
    (entry,) = np.flatnonzero(((index.gains > 0) == wanted).all(axis=1))
    return Match(int(entry), index.gains[entry], 0.0, {}, 0.0)


@pytest.mark.parametrize(("left", "right"), [("fire", "waves"), ("waves", "fire")])
def test_each_sound_comes_from_the_half_that_shows_it(
    matcher: Matcher, monkeypatch: pytest.MonkeyPatch, left: str, right: str
) -> None:
    photos = {"fire": "campfire", "waves": "beach"}
    both = [[mix_of(matcher, left, right)]]
    monkeypatch.setattr(matcher, "_rank", lambda *_: (both, both))
    ambience = matcher.match(side_by_side(photos[left], photos[right]), heatmap=True)
    assert ambience.heatmap
    maps = ambience.heatmap.by_sound
    assert set(maps) == {left, right}
    assert share_of_left(maps[left]) > 0.75
    assert share_of_left(maps[right]) < 0.25
    for sound, half in ((left, 0), (right, 1)):
        _, column = np.unravel_index(maps[sound].argmax(), maps[sound].shape)
        assert column // HALF == half


def test_the_temple_is_where_it_stands(matcher: Matcher, china_jpg: Path) -> None:
    number = matcher.networks.scene_labels.index("temple/east_asia")
    image = matcher.networks.reduced(load_photo(china_jpg))
    (of_temple,) = matcher.networks.maps(image, {"scenes": [number]})["scenes"]
    # The pagoda fills a box from 0.13 to 0.53 of the width; trees and a lake are beside it.
    rows, columns = np.nonzero(of_temple >= of_temple.max() / 2)
    assert columns.min() / CANVAS_SIDE > 0.1
    assert columns.max() / CANVAS_SIDE < 0.6
    assert rows.max() / CANVAS_SIDE < 0.85


def test_the_maps_of_objects_add_up_to_their_logits(seen: Mapping[str, np.ndarray]) -> None:
    numbers = [int(i) for i in np.argsort(-seen["objects"][0])[:3]]
    gradient = odds_gradient(seen["objects"], numbers)
    maps = class_maps(seen["cells"], gradient @ seen["object weights"])
    bias = LiteNetwork.load().backbone._fc.bias.detach().numpy()
    # Log-probabilities are logits less what is common to all, which each row of the gradient drops.
    without_bias = np.log(seen["objects"]) - bias
    expected = np.einsum("vwc,vc->vw", gradient, without_bias)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("label_set", ["scenes", "conditions"])
def test_the_gradient_of_a_head_is_that_of_its_log_odds(
    seen: Mapping[str, np.ndarray], label_set: str
) -> None:
    head = {"scenes": load_scene_head, "conditions": load_condition_head}[label_set]()
    features = torch.from_numpy(seen["features"]).requires_grad_()
    log_probs = head(features).log_softmax(dim=1)
    for number in (3, 11):
        log_odds = log_probs[:, number] - torch.log1p(-log_probs[:, number].exp())
        (expected,) = torch.autograd.grad(log_odds.sum(), features, retain_graph=True)
        at_logits = odds_gradient(seen[label_set], [number])
        found = head_gradient(HEADS[label_set], label_set, seen["features"], at_logits)[:, 0]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-3 * np.abs(found).max())


def test_a_class_that_is_certain_still_has_rivals() -> None:
    gradient = odds_gradient(np.array([[1, 0, 0]], np.float32), [0])
    np.testing.assert_allclose(gradient, [[[1, -0.5, -0.5]]])


def test_the_slope_of_gelu() -> None:
    x = np.linspace(-4, 4, 81)
    gelu = torch.nn.functional.gelu
    above, below = (gelu(torch.from_numpy(x + step)).numpy() for step in (1e-5, -1e-5))
    np.testing.assert_allclose(gelu_slope(x), (above - below) / 2e-5, atol=1e-6)


@pytest.mark.parametrize(("row", "column"), [(40, 60), (40, 240), (260, 150), (250, 20)])
def test_what_views_show_is_put_back_where_it_is(row: int, column: int) -> None:
    photo = np.zeros((CANVAS_SIDE, CANVAS_SIDE, 3), np.uint8)
    photo[row - 15 : row + 15, column - 15 : column + 15] = 255
    cells = views(photo)[..., 0].reshape(6, 7, 32, 7, 32).mean(axis=(2, 4), dtype=np.float32)
    (found,) = over_photo(cells[:, None])
    y, x = np.unravel_index(found.argmax(), found.shape)
    cell = CANVAS_SIDE / 7
    assert abs(int(y) - row) < cell / 2
    assert abs(int(x) - column) < cell / 2


def test_what_views_agree_on_stays_as_it_is() -> None:
    np.testing.assert_allclose(over_photo(np.full((6, 2, 7, 7), 3, np.float32)), 3, rtol=1e-5)


def test_a_reason_is_spread_where_its_class_is_seen() -> None:
    found = spread(np.array([[-5.0, 1.0], [3.0, 0.0]]), nats=2.0)
    np.testing.assert_allclose(found, [[0, 2], [6, 0]])
    assert not spread(np.array([[-5.0, -1.0]]), nats=2.0).any()


def test_each_reason_has_a_map_of_its_nats(matcher: Matcher) -> None:
    ambience = matcher.match(EXAMPLES / "campfire.jpg", heatmap=True)
    assert ambience.explanation
    assert ambience.heatmap
    for sound, reasons in ambience.explanation.reasons.items():
        maps = ambience.heatmap.by_reason[sound]
        assert [of_one.mean() for of_one in maps] == pytest.approx([r.nats for r in reasons])
        assert ambience.heatmap.by_sound[sound] == pytest.approx(np.sum(maps, axis=0))


class UnaskedError(Exception):
    pass


def test_nothing_is_computed_unless_asked_for(
    matcher: Matcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def maps(*_: Any) -> None:
        raise UnaskedError

    monkeypatch.setattr(matcher.networks, "maps", maps)
    ambience = matcher.match(EXAMPLES / "beach.jpg", explain=True)
    assert ambience.heatmap is None
    with pytest.raises(RequestError, match="ask for one with heatmap=True"):
        ambience.write_heatmap(tmp_path / "a.png")
    with pytest.raises(UnaskedError):
        matcher.match(EXAMPLES / "beach.jpg", heatmap=True)


def test_a_heat_map_changes_nothing_else(matcher: Matcher) -> None:
    with (EXAMPLES / "beach.jpg").open("rb") as file:
        shown = matcher.match(file, heatmap=True)
    explained = matcher.match(EXAMPLES / "beach.jpg", explain=True)
    assert shown.record() == explained.record()


def test_the_rule_of_2018_has_none() -> None:
    with pytest.raises(RequestError, match="2018"):
        Request(rule="2018", heatmap=True)


def test_a_mix_without_reasons_has_a_picture_too(lite: Lite, tmp_path: Path) -> None:
    photo = load_photo(EXAMPLES / "beach.jpg")
    nothing: dict[str, Sequence[Reason]] = {"wind": ()}
    found = heatmap(lite, {}, lite.reduced(photo), photo, nothing)
    assert not found.by_sound["wind"].any()
    write_picture(tmp_path / "a.png", photo, [("Wind", found.by_sound["wind"])])
    assert (tmp_path / "a.png").stat().st_size


@pytest.fixture(scope="module")
def networks() -> dict[str, torch.nn.Module]:
    """The paper's networks with stand-in weights."""
    from torchvision.models import resnet18, vgg16

    with torch.device("meta"):
        objects = vgg16()
    objects.load_state_dict(vgg16_state(), assign=True)
    scenes = resnet18(num_classes=365)
    scenes.load_state_dict(places365_state(), strict=False)
    return {"objects": objects.eval(), "scenes": scenes.eval()}


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")
def test_grad_cam_of_vgg_is_a_slope_of_its_log_odds(
    networks: Mapping[str, torch.nn.Module], pixels: torch.Tensor
) -> None:
    """A cell's value is by how much the log-odds rise where all cells gain what that cell has.

    That is a derivative in one direction, which is taken forwards here, not backwards.
    """
    network: Any = networks["objects"]
    number = 7
    found = grad_cam(network, pixels, [3, number])[1]
    assert found.shape == (14, 14)
    with torch.no_grad():
        cells = network.features[:-1](pixels)

    def log_odds(x: torch.Tensor) -> torch.Tensor:
        logits = network.classifier(network.avgpool(network.features[-1](x)).flatten(1))[0]
        p = logits.softmax(dim=0)[number]
        return torch.log(p / (1 - p))

    for row, column in ((0, 0), (6, 9), (13, 2)):
        direction = cells[:, :, row, column][..., None, None].expand_as(cells).contiguous()
        slope: torch.Tensor = torch.func.jvp(log_odds, (cells,), (direction,))[1]
        assert found[row, column] == pytest.approx(slope.item(), rel=1e-2, abs=1e-4)


def test_grad_cam_of_resnet_is_its_class_activation_map(
    networks: Mapping[str, torch.nn.Module], pixels: torch.Tensor
) -> None:
    network: Any = networks["scenes"]
    with torch.no_grad():
        *layers, _, classes = network.children()
        cells = torch.nn.Sequential(*layers)(pixels).numpy()
        logits = network(pixels).numpy()
    probs = torch.from_numpy(logits).softmax(dim=1).numpy()
    gradient = odds_gradient(probs, [5, 300])
    expected = class_maps(cells, gradient @ classes.weight.detach().numpy())[0]
    found = grad_cam(network, pixels, [5, 300])
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_the_papers_networks_map_what_they_look_at(
    networks: Mapping[str, torch.nn.Module], lite: Lite
) -> None:
    paper = Paper(networks["objects"], networks["scenes"], lite, {}, torch.device("cpu"))
    photo = np.random.default_rng(2).integers(0, 256, (300, 600, 3), np.uint8)
    found = paper.maps(photo, {"objects": [1, 2], "scenes": [3], "conditions": [4]})
    assert {name: maps.shape for name, maps in found.items()} == {
        "objects": (2, CANVAS_SIDE, CANVAS_SIDE),
        "scenes": (1, CANVAS_SIDE, CANVAS_SIDE),
        "conditions": (1, CANVAS_SIDE, CANVAS_SIDE),
    }
    np.testing.assert_array_equal(
        found["conditions"], lite.maps(photo, {"conditions": [4]})["conditions"]
    )
    for name, height, width in (
        ("objects", 224 / 256, 224 / 512),
        ("scenes", 224 / 256, 224 / 256),
    ):
        shown = np.abs(found[name]).sum(axis=0) > 0
        assert shown.any(axis=1).mean() == pytest.approx(height, abs=0.01)
        assert shown.any(axis=0).mean() == pytest.approx(width, abs=0.01)


def test_pytorch_and_onnx_runtime_give_the_same_maps(lite: Lite) -> None:
    image = lite.reduced(load_photo(EXAMPLES / "campfire.jpg"))
    classes = {"objects": [5], "scenes": [6], "conditions": [6]}
    found = Lite(runner(LiteNetwork.load()), {}).maps(image, classes)
    for label_set, expected in lite.maps(image, classes).items():
        np.testing.assert_allclose(found[label_set], expected, atol=1e-3 * np.ptp(expected))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((4000, 3000), (MAX_SIDE, 1200)), ((600, 400), (600, 400)), ((100, 150), (MIN_WIDTH, 720))],
)
def test_the_picture_keeps_the_photos_proportions(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    photo = np.zeros((size[1], size[0], 3), np.uint8)
    picture = overlay(photo, [])
    assert picture.width == expected[0]
    assert 0 <= picture.height - expected[1] < picture.width / 10


def test_the_picture_is_coloured_where_a_sound_comes_from() -> None:
    photo = np.full((400, 600, 3), 180, np.uint8)
    left, right = np.zeros((2, 10, 10), np.float32)
    left[:, :3], right[:, 7:] = 1.0, 5.0
    pixels = np.asarray(overlay(photo, [("Rain", left), ("Wind", right)]), dtype=float)
    first, nowhere, second = pixels[200, 60], pixels[200, 300], pixels[200, 540]
    assert np.ptp(nowhere) < 3
    for found, colour in ((first, COLOURS[0]), (second, COLOURS[1])):
        assert np.corrcoef(found, colour)[0, 1] > 0.99
        assert found.max() > 1.5 * nowhere.max()


def test_titles_are_written_where_there_are_no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepmersion.vision.overlay.FONTS", ())
    photo, nowhere = np.zeros((400, 600, 3), np.uint8), np.zeros((1, 1), np.float32)
    accented, plain = (overlay(photo, [(title, nowhere)]) for title in ("Café", "Cafe"))
    assert accented == plain
    assert accented != overlay(photo, [("Caf", nowhere)])


def test_a_picture_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_text("older")

    def save(_image: Image.Image, file: Path, _format: str) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(OutputError, match="No space left"):
        write_picture(path, np.zeros((50, 50, 3), np.uint8), [])
    assert [p.read_text() for p in tmp_path.iterdir()] == ["older"]


def test_the_command_writes_a_picture_without_pytorch(tmp_path: Path) -> None:
    picture = tmp_path / "why.JPG"
    code = (
        "import sys\nfrom deepmersion.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\nassert 'torch' not in sys.modules"
    )
    photo = EXAMPLES / "campfire.jpg"
    arguments = ["match", str(photo), "--networks", "lite", "--json", "--heatmap", str(picture)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["why"]
    assert done.stderr.strip() == f"Wrote {picture}"
    with Image.open(picture) as shown, Image.open(photo) as original:
        assert shown.format == "JPEG"
        assert shown.width == original.width
        assert shown.height > original.height


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (
            ["{photo}", "--json", "--heatmap", "a.gif"],
            "a.gif has no suffix of a picture's format",
            1,
        ),
        (["{photo}", "--json", "--heatmap", "none/a.png"], "the folder none does not exist", 1),
        (["{photo}", "{photo}", "--heatmap", "a.png"], "--heatmap FILE shows one photo", 2),
        (["--watch", ".", "--heatmap", "a.png"], "--heatmap FILE shows one photo", 2),
        (["{photo}", "--rule", "2018", "--heatmap", "a.png"], "rule 2018", 2),
    ],
)
def test_what_cannot_be_shown_is_said_before_any_work(
    arguments: list[str], message: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = tmp_path / "not-opened.jpg"
    result = run_here("match", *(part.format(photo=photo) for part in arguments))
    assert result.returncode == code
    assert message in result.stderr.decode()
    assert b"not-opened" not in result.stderr
    assert not list(tmp_path.iterdir())
