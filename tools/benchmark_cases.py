"""Run one case of `tools/benchmark.py` in its own process.

    python tools/benchmark_cases.py CASE [ARGUMENT...]

prints the measurements as one JSON object. Every case exists in deepmersion's way and in a plain
way, which takes the few obvious lines.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

PHOTO_SIZE = (4000, 3000)
"""Twelve megapixels, as from a phone."""

N_INDEX_SOUNDS = 20
"""Twenty sounds have 1,048,575 mixes: the generated indexes hold the first of these."""

N_BATCHED = 64
"""Mixes in a batch of plain PyTorch on a device."""

N_DEVICE_LAYERS = 4
"""The most sounds in those mixes: eighteen sounds have 4,047."""

MATRIX_SIDE = 2048
"""Size of the matrix product that measures the processor."""

Measured = dict[str, Any]


def make_photo(path: str) -> Measured:
    """Write a large JPEG of a photo that scikit-learn includes."""
    from PIL import Image

    # Not from scikit-learn itself, which takes a second to import.
    path_there = distribution("scikit-learn").locate_file("sklearn/datasets/images/china.jpg")
    with Image.open(str(path_there)) as photo:
        photo.resize(PHOTO_SIZE, Image.Resampling.BICUBIC).save(path, quality=90)
    return {}


def match_plain(device: str, n_together: str, *photos: str) -> Measured:
    """Match photos with PyTorch alone, each decoded in full, so many at a time."""
    from deepmersion.index.file import open_index
    from deepmersion.labels import shared_objects, shared_scenes
    from deepmersion.matching.rule import Evidence, search
    from deepmersion.shipped import shipped_index
    from deepmersion.vision.lite import Lite
    from deepmersion.vision.lite_network import LiteNetwork, runner
    from deepmersion.vision.lite_views import VIEWS
    from deepmersion.vision.photo import load_photo

    step = int(n_together)
    networks = Lite(runner(LiteNetwork.load(), device), {}, len(VIEWS) * step)
    scenes = shared_scenes(networks.scene_labels)
    with open_index(shipped_index()) as index:
        start = time.perf_counter()
        for i in range(0, len(photos), step):
            seen = networks.classify([load_photo(Path(photo)) for photo in photos[i : i + step]])
            evidence = {
                "objects": Evidence.of(seen.objects, shared_objects()),
                "scenes": Evidence.of(seen.scenes, scenes),
            }
            search(index, evidence)
    return {"photos_per_s": len(photos) / (time.perf_counter() - start)}


def make_index(n_entries: str, path: str) -> Measured:
    """Write an index of random log-probabilities with about the spread of SoundNet's."""
    from deepmersion.index.file import Header, write_index
    from deepmersion.labels import CLASSES

    n = int(n_entries)
    rng = np.random.default_rng(0)

    def some(n_rows: int, n_classes: int) -> np.ndarray:
        logits = 2 * rng.standard_normal((n_rows, n_classes), dtype=np.float32)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        objects, scenes = (some(1000, n_classes) for n_classes in CLASSES.values())
        for start in range(0, n, 1000):
            # The same numbers, permuted over classes: drawing new ones would take most of the time.
            part = slice(min(1000, n - start))
            shift = start // 1000
            yield np.roll(objects[part], shift, axis=1), np.roll(scenes[part], shift, axis=1)

    # The number of sounds that has this many mixes.
    n_sounds = min(N_INDEX_SOUNDS, n.bit_length())
    numbers = np.arange(1, n + 1)[:, None] >> np.arange(n_sounds)
    header = Header("0" * 64, "0" * 64, 22_050, 60.0, 0.015, "2025-01-01T00:00:00+00:00")
    names = tuple(f"sound-{i}" for i in range(n_sounds))
    write_index(Path(path), header, names, (numbers & 1).astype(np.float32), blocks())
    return {}


def _search(path: str, find: Callable[..., list[int]]) -> Measured:
    from deepmersion.index.file import open_index
    from deepmersion.labels import miniplaces_labels, shared_objects, shared_scenes
    from deepmersion.matching.rule import Evidence

    rng = np.random.default_rng(1)
    objects, scenes = (rng.dirichlet(np.full(n, 5 / n), 1) for n in (1000, 100))
    evidence = {
        "objects": Evidence.of(objects, shared_objects()),
        "scenes": Evidence.of(scenes, shared_scenes(miniplaces_labels())),
    }
    with open_index(Path(path)) as index:
        start = time.process_time()
        found = find(index, evidence)
        return {"cpu_s": time.process_time() - start, "found": found}


def search(path: str, n_best: str) -> Measured:
    """Find the best mixes for one photo in the way of `match`."""
    from deepmersion.matching import rule as matching

    def find(index: Any, evidence: Any) -> list[int]:
        found = matching.search(index, evidence, int(n_best))[0]
        return [match.entry for match in found if match.entry is not None]

    return _search(path, find)


def search_plain(path: str, n_best: str) -> Measured:
    """Find them by the definition, a few thousand entries at a time."""
    from deepmersion.matching import rule as matching

    def find(index: Any, evidence: Any) -> list[int]:
        singles = matching.single_entries(index)
        alone = matching.centred_divergences(index, evidence, singles)[:, 0]
        shares = matching.power_shares(index.gains)
        scores = matching.SOUNDS_SHARE * shares @ alone
        scores -= matching.CHOICE_TEMPERATURE_NATS * matching.choice_entropy(shares)
        for start in range(0, len(index), 4096):
            part = slice(start, start + 4096)
            for head, seen in evidence.items():
                log_probs = index.log_probs(head, part.start, part.stop)
                log_q = matching.log_project(log_probs, seen.classes)
                centred = matching.centred_kl_divergence(seen.probs, log_q)[:, 0]
                scores[part] += (1 - matching.SOUNDS_SHARE) * centred
        scores[np.count_nonzero(index.gains, axis=1) > matching.MAX_SOUNDS] = np.inf
        candidates = np.argsort(scores)[: matching.N_CANDIDATES]
        gains = np.stack([matching.levels(index.gains[i], alone) for i in candidates])
        found = _alternatives(scores[candidates], gains, int(n_best), matching.RIVAL_NATS)
        return [int(candidates[i]) for i in found]

    return _search(path, find)


def _alternatives(scores: np.ndarray, gains: np.ndarray, n: int, rival_nats: float) -> list[int]:
    """Return up to `n` of ranked mixes: those near the best with a new leader or a new sound."""
    chosen: list[int] = []
    leaders: set[int] = set()
    heard = np.zeros(gains.shape[1], dtype=bool)
    for entry in range(len(scores)):
        if len(chosen) == n or scores[entry] > scores[0] + rival_nats:
            break
        leader = int(gains[entry].argmax())
        if leader not in leaders or (gains[entry] > 0)[~heard].any():
            chosen.append(entry)
            leaders.add(leader)
            heard |= gains[entry] > 0
    return chosen


@contextmanager
def _some_sounds(n: str) -> Iterator[Path]:
    """Yield a folder with the first `n` shipped sounds and their descriptions."""
    from deepmersion.shipped import shipped_soundbank

    head, *entries = (shipped_soundbank() / "soundbank.toml").read_text("utf-8").split("[[sound]]")
    with TemporaryDirectory() as folder:
        description = "[[sound]]".join([head, *entries[: int(n)]])
        (Path(folder) / "soundbank.toml").write_text(description, "utf-8")
        for path in shipped_soundbank().glob("*.ogg"):
            if path.name in description:
                copyfile(path, Path(folder) / path.name)
        yield Path(folder)


def listen(window_s: str, n_repeats: str, n_sounds: str, n_plain: str, n_mixes: str) -> Measured:
    """Hear mixes of shipped sounds in both ways, and multiply two matrices, in turn."""
    import torch

    from deepmersion.hearing.listener import LEVEL_RMS, Listener, heard_sounds, load_soundnet
    from deepmersion.hearing.mixes import superimpositions
    from deepmersion.hearing.soundnet import SAMPLE_RATE
    from deepmersion.sound.bank import open_bank

    with _some_sounds(n_sounds) as folder:
        bank = open_bank(folder)
        sounds = heard_sounds(bank, SAMPLE_RATE, float(window_s))
        listener = Listener(load_soundnet(), sounds, LEVEL_RMS)
        plain = _PlainListener(bank, float(window_s))
    gains = np.random.default_rng(0).permutation(superimpositions(len(bank.sounds)))
    matrix = torch.rand(MATRIX_SIDE, MATRIX_SIDE)
    measured: Measured = {"plain": [], "own": [], "product": []}
    for warm_up in (plain.hear, listener.hear):
        warm_up(gains[:1])
    for _ in range(int(n_repeats)):
        plain_s, expected = _timed(lambda: plain.hear(gains[: int(n_plain)]))
        own_s, found = _timed(lambda: listener.hear(gains[: int(n_mixes)]))
        product_s, _ = _timed(lambda: matrix @ matrix)
        measured["plain"].append(int(n_plain) / plain_s)
        measured["own"].append(int(n_mixes) / own_s)
        measured["product"].append(MATRIX_SIDE**3 / product_s)
    measured["macs_per_mix"] = plain.macs()
    measured["difference_nats"] = float(np.abs(found[: len(expected)] - expected).max())
    return measured


def listen_on_device(
    device: str, window_s: str, n_repeats: str, n_sounds: str, n_mixes: str
) -> Measured:
    """Hear mixes of shipped sounds on a device, in our way and with PyTorch batch by batch."""
    import torch

    from deepmersion.hearing.listener import LEVEL_RMS, Listener, heard_sounds, load_soundnet
    from deepmersion.hearing.mixes import neighbours, superimpositions
    from deepmersion.hearing.soundnet import SAMPLE_RATE
    from deepmersion.sound.bank import open_bank

    with _some_sounds(n_sounds) as folder:
        sounds = heard_sounds(open_bank(folder), SAMPLE_RATE, float(window_s))
    mixes = superimpositions(len(sounds), N_DEVICE_LAYERS)
    gains = mixes[neighbours(mixes)[: int(n_mixes)]]
    network = load_soundnet(device)
    listener, plain = Listener(network, sounds, LEVEL_RMS), _BatchedListener(network, sounds)
    measured: Measured = {"plain": [], "own": [], "n_mixes": len(gains)}
    for warm_up in (plain.hear, listener.hear):
        warm_up(gains[:N_BATCHED])
    for _ in range(int(n_repeats)):
        plain_s, expected = _timed(lambda: plain.hear(gains))
        own_s, found = _timed(lambda: listener.hear(gains))
        measured["plain"].append(len(gains) / plain_s)
        measured["own"].append(len(gains) / own_s)
    measured["difference_nats"] = float(np.abs(found - expected).max())
    if torch.device(device).type == "cuda":
        measured["peak_mb"] = torch.cuda.max_memory_allocated(device) / 1e6
        measured["name"] = torch.cuda.get_device_name(device)
    return measured


class _BatchedListener:
    """SoundNet over batches of mixes, all on the network's device."""

    def __init__(self, network: Any, sounds: np.ndarray) -> None:
        import torch

        self._network = network
        self._device = next(network.parameters()).device
        self._sounds = torch.from_numpy(sounds).to(self._device)

    def hear(self, gains: np.ndarray) -> np.ndarray:
        """Return log-probabilities [mixes, 1000 + 401]."""
        import torch

        from deepmersion.hearing.listener import LEVEL_RMS
        from deepmersion.hearing.soundnet import INPUT_SCALE, MIN_SAMPLES, N_EDGE_COLUMNS

        assert self._sounds.shape[1] >= MIN_SAMPLES, "to be looped up"
        rows = []
        with torch.inference_mode():
            for i in range(0, len(gains), N_BATCHED):
                batch = torch.from_numpy(gains[i : i + N_BATCHED]).to(self._device)
                mixed = batch @ self._sounds
                level = LEVEL_RMS / mixed.square().mean(dim=1, keepdim=True).sqrt()
                conv7 = self._network.trunk(INPUT_SCALE * (level * mixed)[:, None])["conv7"]
                heads = self._network.heads(conv7[..., :-N_EDGE_COLUMNS])
                means = [head.softmax(dim=1).mean(dim=2).log() for head in heads]
                rows.append(torch.cat(means, dim=1).cpu().numpy())
        return np.concatenate(rows)


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


class _PlainListener:
    """SoundNet over one mix after the other: mix, resample, predict."""

    def __init__(self, bank: Any, window_s: float) -> None:
        from deepmersion.hearing.soundnet import SoundNet
        from deepmersion.sound.recording import SAMPLE_RATE, load_loop, ring_window
        from deepmersion.weights.store import ensure_soundnet

        self._window_s = window_s
        n_samples = round(window_s * SAMPLE_RATE)
        loops = (load_loop(sound).mean(axis=1) for sound in bank.sounds)
        self._sounds = np.stack([ring_window(loop, 0, n_samples) for loop in loops])
        self._network = SoundNet.load(ensure_soundnet())

    def hear(self, gains: np.ndarray) -> np.ndarray:
        """Return log-probabilities [mixes, 1000 + 401]."""
        import soxr

        from deepmersion.hearing.listener import LEVEL_RMS
        from deepmersion.hearing.soundnet import SAMPLE_RATE as SOUNDNET_RATE
        from deepmersion.hearing.soundnet import predict
        from deepmersion.sound.recording import SAMPLE_RATE, at_level

        rows = []
        for mix in gains:
            waveform = soxr.resample(mix @ self._sounds, SAMPLE_RATE, SOUNDNET_RATE)
            heard = predict(self._network, at_level(waveform, LEVEL_RMS)[None])
            rows.append(np.concatenate([heard.objects[0], heard.scenes[0]]))
        return np.stack(rows)

    def macs(self) -> int:
        """Return the number of multiplications in the network's convolutions for one mix."""
        import torch

        from deepmersion.hearing.soundnet import SAMPLE_RATE

        total = 0

        def count(layer: Any, _inputs: Any, output: Any) -> None:
            nonlocal total
            total += output.shape[-1] * layer.weight.numel()

        layers = [m for m in self._network.modules() if isinstance(m, torch.nn.Conv1d)]
        hooks = [layer.register_forward_hook(count) for layer in layers]
        with torch.inference_mode():
            self._network(torch.zeros(1, 1, round(self._window_s * SAMPLE_RATE)))
        for hook in hooks:
            hook.remove()
        return total


def dask(
    window_s: str, n_repeats: str, n_sounds: str, max_layers: str, in_processes: str
) -> Measured:
    """Build an index here, on a cluster of one worker, and on one of two, in turn."""
    from distributed import LocalCluster

    from deepmersion import indexing
    from deepmersion.hearing.listener import Settings

    indexing.BATCH_SIZE = 16  # enough blocks for two workers
    measured: Measured = {"here": [], "one": [], "two": []}
    processes = in_processes == "processes"

    def build(address: str | None, layers: int = int(max_layers)) -> float:
        with TemporaryDirectory() as folder:
            seconds, _ = _timed(
                lambda: indexing.build_index(
                    Path(folder) / "a.h5",
                    bank,
                    dask=address,
                    max_layers=layers,
                    settings=Settings(float(window_s)),
                )
            )
        return seconds

    def cluster(n_workers: int) -> Any:
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=processes,
            protocol="tcp",
            dashboard_address=":0",
        )

    with _some_sounds(n_sounds) as bank, cluster(1) as one, cluster(2) as two:
        addresses = {
            "here": None, "one": one.scheduler_address, "two": two.scheduler_address
        }  # fmt: skip
        if processes:
            for address in addresses.values():
                build(address, 1)  # workers import PyTorch at their first task
        for _ in range(int(n_repeats)):
            for name, address in addresses.items():
                measured[name].append(build(address))
    return measured


CASES: dict[str, Callable[..., Measured]] = {
    "make-photo": make_photo,
    "match-plain": match_plain,
    "make-index": make_index,
    "search": search,
    "search-plain": search_plain,
    "listen": listen,
    "listen-on-device": listen_on_device,
    "dask": dask,
}

if __name__ == "__main__":
    print(json.dumps(CASES[sys.argv[1]](*sys.argv[2:])))
