"""A brook over stones: bubbles entrained by falling water, at several places along it.

Water that tumbles over a stone encloses air. Each bubble rings at a pitch set by its radius
(Minnaert 1933) and decays by radiation, heat and friction; the pitch of a rising bubble rises too
(van den Doel 2005). A riffle makes many small bubbles, a fall into a pool larger ones, and a hollow
under a stone swallows air in gulps, which gurgle. Every place has its own flow, varied quickly by
eddies and slowly by the water upstream; over everything lies the wash of water too far away, or too
fine, for single bubbles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synthesis import dsp
from synthesis.lengths import N_SAMPLES

TITLE = "Stream"
MADE = (
    "Some 300,000 bubbles, each ringing at its radius's own pitch, at nine places along a brook: "
    "riffles, falls into pools and gurgling hollows, over the wash of the water farther off."
)


class Place(NamedTuple):
    """A place where the water entrains air."""

    position: float
    """Position along the brook, from -1 on the left to 1 on the right."""

    away_m: float
    """Distance from the listener."""

    bubbles_hz: float
    """Bubbles per second."""

    radius_mm: float
    """Median radius of its bubbles."""

    spread: float
    """Deviation of the radius's logarithm."""

    gulps_hz: float = 0.0
    """Gulps of a hollow per second, each a group of bubbles of similar size; 0 for none."""


PLACES = (
    Place(-0.85, 4.0, 500, 1.2, 0.50),
    Place(-0.55, 2.4, 450, 1.5, 0.50),
    Place(-0.30, 2.2, 100, 4.2, 0.33, 3.4),
    Place(-0.10, 2.8, 650, 0.9, 0.50),
    Place(0.15, 1.9, 350, 1.8, 0.55),
    Place(0.35, 2.8, 90, 3.3, 0.33, 4.3),
    Place(0.50, 2.2, 500, 1.2, 0.50),
    Place(0.75, 3.4, 110, 5.0, 0.33, 2.6),
    Place(0.95, 4.5, 600, 1.0, 0.50),
)

RADII_MM = (0.35, 15.0)
"""Smaller bubbles ring above the audible range of a brook; larger ones break up."""

RISING, RISE = 0.25, 0.1
"""Share of the bubbles that rise in pitch, and the rate relative to their decay."""

LOUDNESS_POWER, LOUDNESS = 0.6, 0.8
"""Power of the radius with which a bubble's amplitude grows, and the deviation of its logarithm
among bubbles of one size, which depends mostly on the depth of their formation."""

EDDIES_S, EDDY_DEPTH = (3.0, 0.06), 0.5
"""Longest and shortest periods of the flow's fast variation, and the deviation of its logarithm.
Less sounds like an open tap."""

FLOW_S, FLOW_DEPTH = (30.0, 4.0), 0.25
"""The same for the slow variation, which keeps the brook changing."""

WASH: dict[float, float] = {
    40: -28, 100: -17, 200: -10, 400: -5, 800: -2, 1600: 0, 3150: -1, 6300: -6, 12500: -18,
}  # fmt: skip
"""Level of the wash in dB in bands of equal width on a log axis."""

WASH_DB = -2.5
"""Level of the wash relative to the bubbles. More sounds like a weir, or rain."""

BANKS_S, BANKS_DB = 0.3, -14.0
"""Reverberation between the banks and its level."""

WASH_FLOW = 0.4
"""The wash varies with this power of the flow: it comes from many places at once."""

MINNAERT = 3.26
"""Pitch times radius of a bubble in water near its surface, in Hz m."""

RINGS = 5.5
"""Length of a bubble's sound in decay times: down to -48 dB."""

GULP_S, GULP_GROWTH, IN_A_GULP = (0.06, 0.30), 0.5, 0.12
"""Shortest and longest duration of a gulp, the deviation of the log growth of its bubbles, and of
the log radius among them."""

CONTROL_HZ = 100

GROUP = 3000
"""Bubbles of similar size computed at a time."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["stream"]
    brook = np.zeros((n, 2))
    for place in PLACES:
        flow = _flow(rng, n)
        here = _bubbles(rng, n, place, flow) * (2.0 / place.away_m)
        brook += dsp.pan_ring(here, place.position)
    brook /= np.sqrt(np.mean(brook**2))
    wash = _wash(rng, n) * dsp.db(WASH_DB)
    banks = dsp.reverb(rng, brook, BANKS_S, damping_hz=2000.0) * dsp.db(BANKS_DB)
    return dsp.join_bass(dsp.filter_ring(brook + wash + banks, dsp.band(low_hz=60)))


def _flow(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the flow at a place, as points evenly spaced around the ring."""
    seconds = n / dsp.SAMPLE_RATE
    points = int(seconds * CONTROL_HZ)
    slow = FLOW_DEPTH * dsp.gust_curve(rng, points, seconds, *FLOW_S)
    return np.asarray(np.exp(slow + EDDY_DEPTH * dsp.gust_curve(rng, points, seconds, *EDDIES_S)))


def _bubbles(rng: np.random.Generator, n: int, place: Place, flow: np.ndarray) -> np.ndarray:
    """Return the bubbles of a place at a distance of two metres, [n]."""
    count = int(place.bubbles_hz * n / dsp.SAMPLE_RATE)
    starts, typical_mm = dsp.draw_times(rng, count, flow, n), np.full(count, place.radius_mm)
    spread = place.spread
    if place.gulps_hz:
        starts, typical_mm = _gulps(rng, n, place, flow, count)
        spread = IN_A_GULP
    radius = typical_mm * rng.lognormal(0.0, spread, count)
    # Folded back: if clipped to the largest radius, they would all ring at its pitch.
    radius = np.maximum(np.minimum(radius, RADII_MM[1] ** 2 / radius), RADII_MM[0])
    out = np.zeros(n)
    # Sorted: bubbles computed together ring for similar times.
    order = np.argsort(radius)
    for group in np.array_split(order, -(-count // GROUP)):
        dsp.scatter(out, starts[group], _ring(rng, radius[group]))
    return out


def _gulps(
    rng: np.random.Generator, n: int, place: Place, flow: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the start times [count] of a hollow's bubbles, and their typical radii [count] in mm.

    A gulp's bubbles come in quick succession and grow, or shrink, from first to last.
    """
    gulps = int(place.gulps_hz * n / dsp.SAMPLE_RATE)
    when = dsp.draw_times(rng, gulps, flow, n)
    size = place.radius_mm * rng.lognormal(0.0, place.spread, gulps)
    lasts_s, growth = rng.uniform(*GULP_S, gulps), rng.normal(0.0, GULP_GROWTH, gulps)
    of = rng.integers(0, gulps, count)
    late = rng.uniform(0, 1, count)
    starts = when[of] + (late * lasts_s[of] * dsp.SAMPLE_RATE).astype(np.int64)
    return starts % n, size[of] * np.exp(growth[of] * (late - 0.5))


def _ring(rng: np.random.Generator, radius_mm: np.ndarray) -> np.ndarray:
    """Return the sounds of bubbles [k, length] of radii [k] in mm that rise from first to last."""
    radius_m = radius_mm[:, None] / 1000
    decay = 0.13 / radius_m + 0.0072 * radius_m**-1.5
    t = np.arange(int(RINGS / decay[-1, 0] * dsp.SAMPLE_RATE)) / dsp.SAMPLE_RATE
    pitch = MINNAERT / radius_m
    rise = RISE * decay * (rng.random(radius_m.shape) < RISING) * rng.random(radius_m.shape)
    loud = radius_mm[:, None] ** LOUDNESS_POWER * rng.lognormal(0.0, LOUDNESS, radius_m.shape)
    ring = np.sin(2 * np.pi * pitch * (1 + rise * t / 2) * t)
    ring *= loud * np.exp(-decay * t) * (1 - np.exp(-t * pitch))
    return np.asarray(ring * np.minimum(1.0, (t[-1] - t) / (0.2 * t[-1])))


def _wash(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the diffuse water all along the brook, [n, 2], of about unit RMS."""
    colour, pink = dsp.curve(WASH), dsp.tilt(-3.0)
    wash = dsp.diffuse_noise(rng, n, lambda f: colour(f) * pink(f), ears_m=0.4)
    flow = np.stack([dsp.stretch(_flow(rng, n), n) for _ in range(2)], axis=1)
    return wash * flow**WASH_FLOW
