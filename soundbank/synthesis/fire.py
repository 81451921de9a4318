"""A wood fire: crackle with heavy-tailed pops over the roar and hiss of the flames.

Cracking wood is crackling noise: bursts come in clusters, and their energies follow a power law
over many decades (Sethna, Dahmen and Myers, *Crackling noise*, Nature 410, 2001). The roar is
turbulent combustion, low noise that flutters at the few hertz at which flames flicker.
"""

from __future__ import annotations

import numpy as np

from synthesis import dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Wood fire"
MADE = (
    "Clusters of pops with power-law energies, each ringing in short damped modes, "
    "over the fluttering roar and hiss of the flames."
)

ENERGY_EXPONENT = 1.65
"""Slope of the pops' energy distribution, p(E) ~ E ** -slope."""

LOUDEST = 6.0
"""Amplitude, in units of a faint pop's, towards which the loudest saturate: none startles."""

CLUSTERS_HZ = 2.0
"""Clusters of pops that begin in a second."""

ROAR, HISS = 0.030, 0.009
"""RMS of the flames' low and high noise; a pop's amplitude starts at 0.2."""

SPECKS_HZ = 42.0
"""Faint single cracks in a second, which melt into a fizz."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the fire, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["fire"]
    crackle = np.zeros((n, 2))
    add_clusters(rng, crackle)
    add_specks(rng, crackle)
    hearth = dsp.reverb(rng, crackle, rt60_s=0.35, damping_hz=3000.0)
    return flames(rng, n) + 0.2 * (crackle + 0.25 * hearth)


def flames(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the steady part [n, 2]: a roar that flutters and a hiss that breathes with it."""
    low: dict[float, float] = {
        25: -24,
        50: -3,
        90: 0,
        150: -6,
        250: -15,
        400: -25,
        1000: -30,
        3000: -40,
    }
    high: dict[float, float] = {
        300: -34,
        1000: -14,
        2500: -9,
        5000: -4,
        9000: 0,
        14000: -3,
        20000: -16,
    }
    roar = dsp.diffuse_noise(rng, n, dsp.curve(low))
    hiss = dsp.diffuse_noise(rng, n, dsp.curve(high))
    breath = dsp.slow_curve(rng, n, 1.5, slope=1.0)
    flutter = dsp.slow_curve(rng, n, 0.11, slope=0.4)
    flicker = dsp.slow_curve(rng, n, 0.07, slope=0.2)
    roar *= np.exp(0.22 * breath + 0.24 * flutter)[:, None]
    hiss *= np.exp(0.12 * breath + 0.10 * flutter + 0.12 * flicker)[:, None]
    return ROAR * roar + HISS * hiss


def add_clusters(rng: np.random.Generator, ring: np.ndarray) -> None:
    """Add clusters of pops: each a split that runs on for a moment, from one place in the fire."""
    for start in events.poisson_times(rng, ring.shape[0], CLUSTERS_HZ):
        place, spread_s = rng.uniform(-0.7, 0.7), rng.uniform(0.03, 0.4)
        heat = rng.lognormal(0.0, 0.4)
        for _ in range(int(rng.geometric(0.22))):
            amplitude = power_law(rng, heat)
            late = int(rng.exponential(spread_s) * dsp.SAMPLE_RATE)
            nearby = float(np.clip(place + rng.normal(0, 0.08), -1, 1))
            dsp.add_event(ring, int(start) + late, dsp.pan(pop(rng, amplitude), nearby))


def add_specks(rng: np.random.Generator, ring: np.ndarray) -> None:
    """Add faint cracks all over the fire, more of them when it burns briskly."""
    briskness = dsp.slow_curve(rng, ring.shape[0], 0.8, slope=1.0)
    # Drawn at twice the rate and thinned by how briskly the fire burns at the moment.
    for start in events.poisson_times(rng, ring.shape[0], 2 * SPECKS_HZ):
        if rng.random() < 0.5 * np.exp(0.5 * briskness[start] - 0.1):
            amplitude = min(power_law(rng, 0.5), 3.0)
            dsp.add_event(ring, int(start), dsp.pan(pop(rng, amplitude), rng.uniform(-0.9, 0.9)))


def power_law(rng: np.random.Generator, least: float) -> float:
    """Return the peak of a pop: `least` and more, heavy-tailed, saturating at `LOUDEST`."""
    amplitude = least * float(rng.random()) ** (-0.5 / (ENERGY_EXPONENT - 1))
    return float(amplitude / (1 + amplitude / LOUDEST))


def pop(rng: np.random.Generator, amplitude: float) -> np.ndarray:
    """Return one pop [samples]: gas bursts out of the wood, and the split rings for a moment.

    Larger splits are longer and lower, and thump on the hearth.
    """
    size = min(1.0, amplitude / (0.6 * LOUDEST))
    ring_s = rng.uniform(0.002, 0.006) * (1 + 2 * size)
    t = np.arange(int(7 * ring_s * dsp.SAMPLE_RATE)) / dsp.SAMPLE_RATE
    snap = np.exp(-t / rng.uniform(0.00025, 0.0008))
    event = rng.standard_normal(t.size) * (snap + rng.uniform(0.2, 0.5) * np.exp(-t / ring_s))
    event = events.fade(dsp.filter_ring(event, wood(rng, size)), 0.0, ring_s)
    if size > 0.2:
        low = events.damped_modes(
            rng.uniform(150, 420, 2), rng.uniform(0.03, 0.08, 2), rng.normal(0, 0.3, 2), 0.001
        )
        event = np.pad(event, (0, max(0, low.size - event.size)))
        event[: low.size] += 0.6 * size * low
    return np.asarray(amplitude * event / np.max(np.abs(event)))


def wood(rng: np.random.Generator, size: float) -> dsp.Response:
    """Return how a split in the wood colours its pop: broad resonances over an open top."""
    peaks_hz = rng.uniform(2500, 13000, 3) * (1 - 0.45 * size)
    q, strength = rng.uniform(1.2, 4, 3), rng.uniform(0.3, 1.6, 3)

    def response(f: np.ndarray) -> np.ndarray:
        f = np.maximum(f, 20.0)[:, None]
        peaks = strength / np.sqrt(1 + (q * (f / peaks_hz - peaks_hz / f)) ** 2)
        floor = dsp.band(1500, 16000, order=1)(f[:, 0])
        return np.asarray((0.35 + peaks.sum(axis=1)) * floor)

    return response
