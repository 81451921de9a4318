"""Inside a railway carriage: wheels over the joints of the rails, rumble, and air.

Every axle of the train passes over every joint. The positions of the axles, the distance of the
joints and the speed of the train determine the time of each blow: two per bogie, two bogies per
carriage. The floor and the walls turn a blow into a dull knock; one from farther along the train is
fainter and duller. Rolling noise grows with the speed and is coloured by passing ballast, bridges
and cuttings.
"""

from __future__ import annotations

import numpy as np

from synthesis import dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Train carriage"
MADE = (
    "Every axle of five carriages passing over every rail joint at a slowly changing speed, as "
    "knocks of floor and walls, with the rumble of rolling and the air of the ventilation."
)

SPEED_MS = 19.0
"""Mean speed: about 70 km/h, at which the joints make an unhurried beat."""

SPEED_S, SPEED_DEPTH = (60.0, 12.0), 0.03
"""Longest and shortest periods of the speed's changes, and its deviation as a share."""

RAIL_M = 30.0
"""Distance between two joints."""

CARRIAGE_M, BOGIES_M, AXLES_M = 26.4, 19.0, 2.5
"""Length of a carriage, distance of its two bogies, and of the two axles of a bogie."""

CARRIAGES = (-2, -1, 0, 1, 2)
"""Carriages with audible wheels, counted backwards from the listener's own."""

SEAT_M = 12.3
"""Distance of the listener before the middle of the carriage: near the door, between the two bogies
whose four blows make the familiar rhythm."""

HEARD_M = 14.0
"""Distance along the train over which a blow falls to half."""

JOINT = 0.15
"""Deviation of the logarithm of a joint's step: some are worn, some are new."""

KNOCK_HZ, KNOCK_MODES, KNOCK_S = (118.0, 380.0), 16, (0.10, 0.28)
"""Range of the floor's and the walls' resonances, the number that a blow excites, and their times
to fall by 60 dB, from the highest to the lowest."""

BLOW_S = 0.009
"""Time that a wheel takes over the gap: a shorter one would sound like a hammer."""

CLATTER, CLATTER_S, CLATTER_HZ = 6.0, 0.03, 1500.0
"""Amplitude of a blow's noise relative to its resonances, its decay, and the bend of its
spectrum."""

KNOCKS_DB = 3.5
"""Level of the knocks relative to the rumble."""

CENTRES_HZ = 62.5 * 2.0 ** np.arange(9)
RUMBLE_DB = (-11, -3, 0, -6, -10, -14, -20, -28, -40)
"""Level of the rumble through floor and windows in each of `CENTRES_HZ`."""

SPEED_POWER = 3.0
"""The power of the rumble grows with the speed to this power (Thompson 2009)."""

GROUND_S, GROUND_DB = (25.0, 1.5), 1.3
"""Periods and deviation of the effect of ballast, bridges and cuttings on each band."""

SWAY_S, SWAY_DB = (1.2, 0.12), 0.9
"""The same for the carriage's swaying and shaking."""

AIR: dict[float, float] = {
    60: -20, 125: -10, 250: -3, 500: 0, 1000: -1, 2000: -4, 4000: -10, 8000: -20, 16000: -36,
}  # fmt: skip
"""Level of the ventilation in dB in bands of equal width on a log axis."""

AIR_DB = -11.0
"""Level of the ventilation relative to the rumble."""

CABIN_S, CABIN_DB = 0.3, -5.0
"""Reverberation of the carriage, and its level relative to the knocks."""

EARS_M = 0.12
"""Ear spacing for the rumble: it comes from below, not from all around."""

CONTROL_HZ = 50


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["train"]
    points = int(CONTROL_HZ * n / dsp.SAMPLE_RATE)
    speed = 1 + SPEED_DEPTH * dsp.gust_curve(rng, points, n / dsp.SAMPLE_RATE, *SPEED_S)
    knocks = _knocks(rng, n, speed)
    knocks += dsp.reverb(rng, knocks, CABIN_S, damping_hz=1500.0) * dsp.db(CABIN_DB)
    knocks *= dsp.db(KNOCKS_DB) / np.sqrt(np.mean(knocks**2))
    colour, pink = dsp.curve(AIR), dsp.tilt(-3.0)
    air = dsp.diffuse_noise(rng, n, lambda f: colour(f) * pink(f)) * dsp.db(AIR_DB)
    heard = _rumble(rng, n, speed) + knocks + air
    return dsp.join_bass(dsp.filter_ring(heard, dsp.band(low_hz=35)), below_hz=500.0)


def _knocks(rng: np.random.Generator, n: int, speed: np.ndarray) -> np.ndarray:
    """Return the blows of all axles on all joints, [n, 2], at an arbitrary level."""
    joints = round(SPEED_MS * n / dsp.SAMPLE_RATE / RAIL_M)
    gone = np.concatenate([[0.0], np.cumsum(speed / speed.sum())]) * joints * RAIL_M
    worn = rng.lognormal(0.0, JOINT, joints)
    out = np.zeros((n, 2))
    for carriage in CARRIAGES:
        for behind_m in _axles(carriage):
            away_m, doors = abs(behind_m), abs(carriage)
            level = 0.5 ** (away_m / HEARD_M)
            crossed_m = (np.arange(joints) * RAIL_M + behind_m) % (joints * RAIL_M)
            starts = np.interp(crossed_m, gone, np.arange(len(gone))) * n / len(speed)
            for start, step in zip(starts.astype(int), worn, strict=True):
                knock = level * step * rng.lognormal(0.0, 0.12) * _knock(rng, away_m, doors)
                place = 0.75 * np.tanh(behind_m / 8.0)
                dsp.add_event(out, int(start), events.pan_level(knock, float(place)))
    return out


def _axles(carriage: int) -> list[float]:
    """Return the distances of a carriage's axles behind the listener, in metres."""
    middle_m = SEAT_M + carriage * CARRIAGE_M
    bogies_m = (middle_m - BOGIES_M / 2, middle_m + BOGIES_M / 2)
    return [bogie_m + side * AXLES_M / 2 for bogie_m in bogies_m for side in (-1, 1)]


def _knock(rng: np.random.Generator, away_m: float, doors: int) -> np.ndarray:
    """Return one blow [samples]; from farther away, or through doors, duller."""
    low, high = np.log(KNOCK_HZ)
    pitches = np.exp(np.linspace(low, high, KNOCK_MODES) + rng.normal(0.0, 0.06, KNOCK_MODES))
    bend_hz = CLATTER_HZ / (1 + away_m / HEARD_M + 0.3 * doors)
    dull = 1 / (1 + (pitches / bend_hz) ** 2)
    knock = events.damped_modes(
        pitches,
        np.geomspace(KNOCK_S[1], KNOCK_S[0], KNOCK_MODES),
        rng.choice((-1.0, 1.0), KNOCK_MODES) * rng.lognormal(0.0, 0.35, KNOCK_MODES) * dull,
        BLOW_S,
    )
    t = np.arange(knock.size) / dsp.SAMPLE_RATE
    noise = rng.standard_normal(knock.size) * np.exp(-t / CLATTER_S) * (1 - np.exp(-t / BLOW_S))
    clatter = events.filter_event(noise, dsp.band(150.0, bend_hz, order=2), tail_s=0.0)
    return np.asarray(knock + CLATTER * clatter)


def _rumble(rng: np.random.Generator, n: int, speed: np.ndarray) -> np.ndarray:
    """Return the noise of rolling, [n, 2], of unit RMS."""
    points, seconds = len(speed), n / dsp.SAMPLE_RATE
    levels = np.array(
        [level_db + GROUND_DB * dsp.gust_curve(rng, points, seconds, *GROUND_S)
         for level_db in RUMBLE_DB]
    )  # fmt: skip
    levels += 10 * SPEED_POWER * np.log10(speed)
    noise = dsp.diffuse_noise(rng, n, dsp.tilt(-3.0), EARS_M)
    sides = []
    for side in noise.T:
        sway = SWAY_DB * dsp.gust_curve(rng, points, seconds, *SWAY_S)
        sides.append(dsp.shape_ring(side, CENTRES_HZ, 10 ** ((levels + sway) / 20)))
    rumble = np.stack(sides, axis=1)
    return np.asarray(rumble / np.sqrt(np.mean(rumble**2)))
