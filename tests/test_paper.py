"""VGG-16 and Places365's ResNet-18, from fetching to distributions.

The weights are stand-ins (see `standins`): the published files' structure with random values.
What the networks say with them means nothing; that they say what torchvision's own networks
say is what is tested.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from commandline import TIMEOUT_S
from loopback import Misbehaviour, serve
from material import noise, write, write_random_index
from PIL import Image
from soundserver import WAIT_S
from standins import (
    places365_state,
    save_places365,
    save_vgg16,
    spec_for,
    vgg16_state,
)
from torch import Tensor

from deepmersion.cli import main
from deepmersion.errors import WeightsError
from deepmersion.fetching.digests import identity_of
from deepmersion.fetching.download import Patience
from deepmersion.labels import object_labels, places365_labels
from deepmersion.sound.bank import open_bank
from deepmersion.vision.checkpoints import fill, read_state_dict
from deepmersion.vision.lite import Lite
from deepmersion.vision.networks import Distributions
from deepmersion.vision.paper import BATCH_SIZE, Paper
from deepmersion.weights.lite_weights import CONDITION_HEAD, PUBLISHED_SHA256
from deepmersion.weights.store import SPECS, WeightsSpec, fetch

HASTE = Patience(timeout_s=WAIT_S, pauses_s=(0.01, 0.02))

MAX_MEMORY_BYTES = 2_000_000_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty cache folder for the stand-ins, emptied again: they are large."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPMERSION_CACHE", str(folder))
        patch.delenv("DEEPMERSION_MIRROR", raising=False)
        yield folder
    for path in folder.iterdir():
        path.unlink()


@pytest.fixture(scope="module")
def specs(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, WeightsSpec]:
    """The stand-ins, fetched into the cache from a server that breaks off and fails at first.

    They are as large as the published weights, and so are only made where `CI` is set.
    """
    if not os.environ.get("CI"):
        pytest.skip("553 MB of stand-ins; set CI=1 to test them")
    assert list(cache.iterdir()) == []
    folder = tmp_path_factory.mktemp("served")
    vgg, places = folder / "vgg16-397923af.pth", folder / "resnet18_places365.pth.tar"
    save_vgg16(vgg, vgg16_state())
    save_places365(places, places365_state())
    with serve(folder) as server:
        specs = {
            "vgg16": spec_for("vgg16", vgg, server.url(vgg.name)),
            "places365": spec_for("places365", places, server.url(places.name)),
        }
        server.script = [Misbehaviour(cut_at=200_000_000), Misbehaviour(status=503)]
        fetch(specs["vgg16"], patience=HASTE)
        vgg.unlink()
        fetch(specs["places365"], patience=HASTE)
        places.unlink()
    assert server.ranges == [None, "bytes=200000000-", "bytes=200000000-", None]
    return specs


@pytest.fixture(scope="module")
def paper(specs: dict[str, WeightsSpec]) -> Paper:
    return Paper.load(specs=specs)


@pytest.fixture(scope="module")
def photos(china_jpg: Path, flower_jpg: Path) -> list[np.ndarray]:
    """Two real photos, one of them upright as well, in more than one batch."""
    china, flower = (np.asarray(Image.open(path)) for path in (china_jpg, flower_jpg))
    return [china, flower, np.ascontiguousarray(china.transpose(1, 0, 2)), china[:250], flower]


@pytest.fixture(scope="module")
def seen(paper: Paper, photos: list[np.ndarray]) -> Distributions:
    return paper.classify(photos)


@torch.inference_mode()
def reference(
    network: torch.nn.Module,
    state: Mapping[str, Tensor],
    prepare: Callable[[Image.Image], Tensor],
    photos: list[np.ndarray],
) -> np.ndarray:
    """Return torchvision's own answer, photo by photo."""
    network.load_state_dict(state, strict=False, assign=True)
    network.eval()
    pixels = [prepare(Image.fromarray(photo))[None] for photo in photos]
    return torch.cat([network(x).softmax(dim=1) for x in pixels]).numpy()


def weights_of(specs: Mapping[str, WeightsSpec]) -> dict[str, str]:
    """Return the identities that a record names: the stand-ins', and what sees conditions."""
    lite = {
        "EfficientNet-Lite0": PUBLISHED_SHA256,
        "lite conditions": identity_of(CONDITION_HEAD, "sha256").digest,
    }
    return {name: str(spec.identity) for name, spec in specs.items()} | lite


MORE_MEMORY_BYTES = 350_000_000
"""What photos may take beyond loading: batches take 240 MB, and twelve photos at once 480 MB."""

CLASSIFY_TWELVE = """
import json, sys
from pathlib import Path
import numpy as np
from deepmersion.fetching.digests import Identity
from deepmersion.vision.paper import Paper
from deepmersion.weights.store import SPECS, WeightsSpec

told = json.loads(sys.argv[1])
specs = {n: WeightsSpec(**{**s, "identity": Identity(**s["identity"])}) for n, s in told.items()}
photos = [np.random.default_rng(i).integers(0, 256, (427, 640, 3), np.uint8) for i in range(12)]

def peak_kib():
    status = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(line.split()[1] for line in status if line.startswith("VmHWM"))

paper = Paper.load(specs=specs)
print(peak_kib())
seen = paper.classify(photos)
assert seen.objects.shape == (12, 1000) and seen.scenes.shape == (12, 365)
print(peak_kib())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_many_photos_fit_into_two_gigabytes(specs: dict[str, WeightsSpec]) -> None:
    # The first test, so that this process has not loaded the networks as well.
    told = json.dumps({name: asdict(spec) for name, spec in specs.items()})
    command = [sys.executable, "-c", CLASSIFY_TWELVE, told]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    loaded, classified = (1024 * int(peak_kib) for peak_kib in answer.stdout.split())
    assert classified < MAX_MEMORY_BYTES
    assert classified - loaded < MORE_MEMORY_BYTES


def test_objects_are_those_of_torchvision(seen: Distributions, photos: list[np.ndarray]) -> None:
    from torchvision.models import VGG16_Weights, vgg16

    prepare = VGG16_Weights.IMAGENET1K_V1.transforms()
    with torch.device("meta"):
        network = vgg16()
    expected = reference(network, vgg16_state(), prepare, photos)
    np.testing.assert_allclose(seen.objects, expected, atol=1e-5)
    assert expected.max() > 1.5 / 1000  # not a flat answer that anything would equal
    assert np.abs(expected[0] - expected[1]).max() > 1e-4


def test_scenes_are_those_of_the_published_script(
    seen: Distributions, photos: list[np.ndarray]
) -> None:
    from torchvision import transforms
    from torchvision.models import resnet18

    prepare = transforms.Compose(
        [
            transforms.Resize((256, 256)),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    expected = reference(resnet18(num_classes=365), places365_state(), prepare, photos)
    np.testing.assert_allclose(seen.scenes, expected, atol=1e-5)
    assert expected.max() > 1.5 / 365
    assert np.abs(expected[0] - expected[1]).max() > 1e-4


def test_distributions_sum_to_one_and_do_not_depend_on_the_batch(
    paper: Paper, seen: Distributions, photos: list[np.ndarray]
) -> None:
    assert len(photos) > BATCH_SIZE
    assert seen.objects.shape == (5, 1000)
    assert seen.scenes.shape == (5, 365)
    assert seen.conditions.shape == (5, 14)
    assert seen.objects.dtype == seen.scenes.dtype == seen.conditions.dtype == np.float32
    np.testing.assert_allclose(seen.objects.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(seen.scenes.sum(axis=1), 1, atol=1e-5)
    alone = paper.classify(photos[2:3])
    np.testing.assert_allclose(alone.objects[0], seen.objects[2], atol=1e-5)
    np.testing.assert_allclose(alone.scenes[0], seen.scenes[2], atol=1e-5)


def test_no_photos_give_no_rows(paper: Paper) -> None:
    nothing = paper.classify([])
    assert nothing.objects.shape == (0, 1000)
    assert nothing.scenes.shape == (0, 365)
    assert nothing.conditions.shape == (0, 14)


def test_conditions_are_those_of_the_embedded_network(
    seen: Distributions, photos: list[np.ndarray]
) -> None:
    np.testing.assert_array_equal(seen.conditions, Lite.load().classify(photos).conditions)


def test_networks_say_what_they_are(paper: Paper, specs: dict[str, WeightsSpec]) -> None:
    assert paper.name == "paper"
    assert len(paper.scene_labels) == 365
    assert paper.weights == weights_of(specs)


@pytest.fixture
def small_index(tmp_path: Path) -> tuple[Path, Path]:
    """A bank of two noises and an index of it with random predictions: folder and file."""
    folder = tmp_path / "bank"
    folder.mkdir()
    write(folder / "hiss.wav", noise(3.0, seed=1))
    write(folder / "rumble.wav", noise(3.0, slope=2.0, seed=2))
    write_random_index(tmp_path / "index.h5", open_bank(folder))
    return folder, tmp_path / "index.h5"


def test_match_loads_once_for_many_photos(
    specs: dict[str, WeightsSpec],
    paper: Paper,
    seen: Distributions,
    small_index: tuple[Path, Path],
    china_jpg: Path,
    flower_jpg: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[str] = []

    def load_networks(choice: str, device: str, _on_choice: object) -> Paper:
        assert device == "cpu"
        loads.append(choice)
        return paper

    monkeypatch.setattr("deepmersion.pipeline.load_networks", load_networks)
    bank, index = small_index
    photos = [str(china_jpg), str(flower_jpg), str(china_jpg)]
    options = ["--networks", "paper", "--json", "--soundbank", str(bank), "--index", str(index)]
    result = CliRunner().invoke(main, ["match", *options, *photos])
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert loads == ["paper"]
    assert [record["photo"] for record in records] == photos
    for record, row in zip(records, (0, 1, 0), strict=True):
        assert record["networks"] == "paper"
        assert record["weights"] == weights_of(specs)
        assert record["objects"][0]["label"] == object_labels()[seen.objects[row].argmax()]
        assert record["scenes"][0]["label"] == places365_labels()[seen.scenes[row].argmax()]
        assert np.isfinite(record["matches"][0]["kl"])


def test_published_identities_refuse_the_stand_ins(specs: dict[str, WeightsSpec]) -> None:
    assert specs["vgg16"].filename == "vgg16-397923af.pth"
    with pytest.raises(WeightsError, match="not the published file"):
        Paper.load()


def test_vgg16_is_what_torchvision_publishes() -> None:
    from torchvision.models import VGG16_Weights

    published, spec = VGG16_Weights.IMAGENET1K_V1, SPECS["vgg16"]
    assert spec.url == published.url
    assert published.url.endswith(spec.filename)
    prefix = spec.filename.removeprefix("vgg16-").removesuffix(".pth")
    assert spec.identity.kind == "sha256"
    assert spec.identity.digest.startswith(prefix)
    # torchvision calls a mebibyte MB.
    assert spec.size / 2**20 == pytest.approx(published.meta["_file_size"], abs=1e-3)


def test_missing_weights_say_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DEEPMERSION_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as error:
        Paper.load()
    message = str(error.value)
    assert "deepmersion weights fetch paper" in message
    assert "deepmersion weights import" in message
    assert "vgg16-397923af.pth" in message
    assert "resnet18_places365.pth.tar" in message


def test_damaged_weights_are_not_loaded(specs: dict[str, WeightsSpec]) -> None:
    path = specs["places365"].path
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    path.write_bytes(damaged)
    try:
        with pytest.raises(WeightsError, match=r"damaged.*fetch places365"):
            Paper.load(specs=specs)
    finally:
        path.write_bytes(whole)


def _altered(change: Callable[[OrderedDict[str, Tensor]], object]) -> OrderedDict[str, Tensor]:
    state = places365_state()
    change(state)
    return state


def _set(key: str, value: Tensor) -> Callable[[OrderedDict[str, Tensor]], object]:
    return lambda state: state.update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("fc.bias"), "lack: fc.bias;"),
        (_set("fc.extra", torch.zeros(1)), "have too much: fc.extra;"),
        (_set("fc.bias", torch.zeros(401)), r"fc\.bias: float32 \[401\] where float32 \[365\]"),
        (_set("fc.bias", torch.zeros(365).double()), "float64"),
        (_set("fc.bias", torch.full((365,), torch.nan)), r"fc\.bias: holds values that are not"),
        (_set("bn1.weight", torch.tensor([torch.inf, *[1.0] * 63])), r"bn1\.weight: holds values"),
    ],
)
def test_weights_that_do_not_fit_are_one_clear_line(
    change: Callable[[OrderedDict[str, Tensor]], object], message: str
) -> None:
    from torchvision.models import resnet18

    with torch.device("meta"):
        network = resnet18(num_classes=365)
    with pytest.raises(WeightsError, match=message) as error:
        fill(network, _altered(change), "places365")
    assert "\n" not in str(error.value)


def test_names_outside_the_prefix_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save({"state_dict": {"module.a": torch.zeros(1), "b": torch.zeros(1)}}, path)
    with pytest.raises(WeightsError, match=r"module\.: b"):
        read_state_dict(path, "state_dict", "module.")


@pytest.mark.parametrize("checkpoint", [{"epoch": 1}, [torch.zeros(1)], {"state_dict": {"a": 1}}])
def test_other_checkpoints_are_refused(tmp_path: Path, checkpoint: object) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save(checkpoint, path)
    with pytest.raises(WeightsError, match="holds no network's weights"):
        read_state_dict(path, "state_dict")


class Hostile:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("pwned"),)  # type: ignore[return-value]


@pytest.mark.parametrize("is_zip", [True, False])
def test_nothing_in_a_checkpoint_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_zip: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pth"
    torch.save({"a": Hostile()}, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_state_dict(path)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("n_bytes", [0, 3, 1000, 100_000])
@pytest.mark.parametrize("is_zip", [True, False])
def test_cut_checkpoint_is_one_clear_line(tmp_path: Path, n_bytes: int, is_zip: bool) -> None:
    path = tmp_path / "cut.pth"
    torch.save({"a": torch.ones(100_000)}, path, _use_new_zipfile_serialization=is_zip)
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(WeightsError, match="cannot be read") as error:
        read_state_dict(path)
    assert "\n" not in str(error.value)


def test_zip_checkpoint_is_mapped_not_read(tmp_path: Path) -> None:
    path, state = tmp_path / "places365.pth", places365_state()
    torch.save(state, path)
    mapped = read_state_dict(path)
    assert mapped.keys() == state.keys()
    assert all(torch.equal(mapped[name], value) for name, value in state.items())
    if sys.platform == "linux":
        assert str(path) in Path("/proc/self/maps").read_text("utf-8")
    path.unlink()
