"""A wood fire: single snaps with gaps between, over the roar of flames that ebb and swell.

Cracking wood is crackling noise: snaps come in bursts, and their energies follow a power law over
many decades (Sethna, Dahmen and Myers, *Crackling noise*, Nature 410, 2001). Each lasts a few
milliseconds; anything longer is the hearth's echo. The roar is turbulent combustion, low noise that
flutters at the few hertz at which flames flicker. Both follow the fire, which burns down and flares
up again over minutes.
"""

from __future__ import annotations

import numpy as np

from synthesis import dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Wood fire"
MADE = (
    "Snaps with power-law energies, single or in short runs, each over in milliseconds, over the "
    "fluttering roar and faint hiss of flames that burn down and flare up over a minute."
)

ENERGY_EXPONENT = 1.65
"""Slope of the snaps' energy distribution, p(E) ~ E ** -slope."""

LOUDEST = 9.0
"""Amplitude, in units of a faint snap's, at which the loudest saturate to avoid startling."""

SPLITS_HZ = 3.5
"""Mean number of splits per second: few enough to hear them singly, with gaps between."""

RUNS_ON = 0.35
"""Chance that another snap follows in the same split."""

SPECKS_HZ = 16.0
"""Faint single cracks per second, from embers rather than from splitting wood."""

ROAR, HISS = 0.0095, 0.0026
"""RMS of the flames' low and high noise; a snap's amplitude starts at 0.2."""

EARS_M = 0.08
"""Ear spacing at which a diffuse field has the correlation of a fire: its flames are in front of
the listener, within about 40 degrees."""

PRESSURE_STEP = 3.0
"""Amplitude of a snap's initial impulse, in units of the noise of the parting fibres. It has all
frequencies equally, which makes a snap a bright line in a spectrogram, not a patch."""

HEARTH = 0.16
"""Amplitude of a snap's echo from the hearth and the room."""

EBB_S = (50.0, 4.0)
"""Longest and shortest period of the fire's rise and fall, in seconds."""

FLAMES_EBB, SNAPS_EBB = 0.22, 0.6
"""Deviation of the logarithm of the flames' amplitude and of the rate of snaps: fires in
recordings differ by 1 to 3 dB a third-octave from one half minute to the next."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the fire, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["fire"]
    flaring, splitting = ebb(rng, n), ebb(rng, n)
    # Fresh flames split wood, but wood also splits independently.
    splitting = (flaring + splitting) / np.sqrt(2)
    crackle = np.zeros((n, 2))
    add_splits(rng, crackle, splitting)
    add_specks(rng, crackle, flaring)
    hearth = dsp.reverb(rng, crackle, rt60_s=0.3, damping_hz=3000.0)
    heat = np.exp(FLAMES_EBB * dsp.stretch(flaring, n))[:, None]
    return np.asarray(flames(rng, n) * heat + 0.2 * (crackle + HEARTH * hearth))


def ebb(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the height of the fire [points]: a slow curve of zero mean and unit deviation."""
    duration_s = n / dsp.SAMPLE_RATE
    return dsp.gust_curve(rng, 2048, duration_s, *EBB_S)


def flames(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the steady part [n, 2]: a fluttering roar and a hiss that breathes with it."""
    low: dict[float, float] = {
        25: -24,
        50: -3,
        90: 0,
        150: -6,
        250: -15,
        400: -23,
        1000: -29,
        3000: -40,
    }
    high: dict[float, float] = {
        300: -30,
        1000: -13,
        2500: -9,
        5000: -4,
        9000: 0,
        14000: -3,
        20000: -16,
    }
    roar = dsp.diffuse_noise(rng, n, dsp.curve(low), EARS_M)
    hiss = dsp.diffuse_noise(rng, n, dsp.curve(high), EARS_M)
    breath = dsp.slow_curve(rng, n, 1.5, slope=1.0)
    flutter = dsp.slow_curve(rng, n, 0.11, slope=0.4)
    flicker = dsp.slow_curve(rng, n, 0.07, slope=0.2)
    roar *= np.exp(0.22 * breath + 0.24 * flutter)[:, None]
    hiss *= np.exp(0.12 * breath + 0.10 * flutter + 0.12 * flicker)[:, None]
    return ROAR * roar + HISS * hiss


def add_splits(rng: np.random.Generator, ring: np.ndarray, splitting: np.ndarray) -> None:
    """Add splits of the wood: a snap, sometimes followed by more from the same place."""
    n = ring.shape[0]
    count = int(rng.poisson(SPLITS_HZ * n / dsp.SAMPLE_RATE))
    for start in dsp.draw_times(rng, count, np.exp(SNAPS_EBB * splitting), n):
        place, at, amplitude = rng.uniform(-0.45, 0.45), float(start), power_law(rng, 0.6)
        while True:
            nearby = float(np.clip(place + rng.normal(0, 0.04), -1, 1))
            dsp.add_event(ring, int(at), dsp.pan(snap(rng, amplitude), nearby))
            if rng.random() > RUNS_ON:
                break
            at += rng.lognormal(np.log(0.03), 0.7) * dsp.SAMPLE_RATE
            amplitude *= rng.uniform(0.3, 1.1)


def add_specks(rng: np.random.Generator, ring: np.ndarray, flaring: np.ndarray) -> None:
    """Add faint cracks all over the fire, in flurries, more of them when it burns high."""
    n = ring.shape[0]
    flurries = dsp.gust_curve(rng, flaring.size, n / dsp.SAMPLE_RATE, 2.0, 0.3)
    count = int(rng.poisson(SPECKS_HZ * n / dsp.SAMPLE_RATE))
    for start in dsp.draw_times(rng, count, np.exp(0.5 * flurries + SNAPS_EBB * flaring), n):
        amplitude = min(power_law(rng, 0.25), 1.5)
        dsp.add_event(ring, int(start), dsp.pan(snap(rng, amplitude), rng.uniform(-0.6, 0.6)))


def power_law(rng: np.random.Generator, least: float) -> float:
    """Return the peak of a snap: at least `least`, heavy-tailed, saturating at `LOUDEST`."""
    amplitude = least * float(rng.random()) ** (-0.5 / (ENERGY_EXPONENT - 1))
    return float(amplitude / (1 + amplitude / LOUDEST))


def snap(rng: np.random.Generator, amplitude: float) -> np.ndarray:
    """Return one snap [samples]: fibres part at once, and the splinter rings for a moment.

    Larger splits are longer and lower, and thump on the hearth.
    """
    size = min(1.0, amplitude / (0.6 * LOUDEST))
    ring_s = rng.uniform(0.0006, 0.002) * (1 + 2 * size)
    t = np.arange(int(7 * ring_s * dsp.SAMPLE_RATE)) / dsp.SAMPLE_RATE
    parting = np.exp(-t / rng.uniform(0.0001, 0.0004))
    event = rng.standard_normal(t.size) * (parting + rng.uniform(0.1, 0.4) * np.exp(-t / ring_s))
    event[0] += PRESSURE_STEP
    event = events.fade(dsp.filter_ring(event, wood(rng, size)), 0.0, ring_s)
    if size > 0.2:
        low = events.damped_modes(
            rng.uniform(150, 420, 2), rng.uniform(0.03, 0.08, 2), rng.normal(0, 0.3, 2), 0.001
        )
        event = np.pad(event, (0, max(0, low.size - event.size)))
        event[: low.size] += 0.5 * size * low
    return np.asarray(amplitude * event / np.max(np.abs(event)))


def wood(rng: np.random.Generator, size: float) -> dsp.Response:
    """Return the filter of a split in the wood: broad resonances over an open top."""
    peaks_hz = rng.uniform(2500, 13000, 3) * (1 - 0.45 * size)
    q, strength = rng.uniform(1, 2.5, 3), rng.uniform(0.2, 0.9, 3)

    def response(f: np.ndarray) -> np.ndarray:
        f = np.maximum(f, 20.0)[:, None]
        peaks = strength / np.sqrt(1 + (q * (f / peaks_hz - peaks_hz / f)) ** 2)
        floor = dsp.band(1200, 16000, order=1)(f[:, 0])
        return np.asarray((0.35 + peaks.sum(axis=1)) * floor)

    return response
