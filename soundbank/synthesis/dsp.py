"""Signal processing on a ring of time, for sounds that loop without a seam.

A sound of n samples is periodic by construction: noise is drawn or filtered in the frequency
domain, slow curves are periodic, events that run past the end continue at the beginning, and
reverberation is a circular convolution. There is no loop point to hide.

Signals are float64 arrays [samples] (mono) or [samples, 2] (stereo, left and right).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SAMPLE_RATE = 44_100
"""Rate of all base sounds, in Hz."""

SPEED_OF_SOUND = 343.0
"""In air at 20 degrees, in m/s."""

_WRAP_S = 10.0
"""Length by which a long ring is wrapped around for filtering, in seconds: filters ring for
less."""

_POINTS_A_PERIOD = 64
"""Points in the shortest period of a slow curve: enough for straight lines between them."""

_JOINED_HZ, _JOINED = (3000.0, 6000.0), 0.9
"""Range over which the sides of wide noise become correlated, and the correlation reached. The
encoder merges them from 6 kHz on; without this transition, their sum would have a step in its
spectrum."""

Response = Callable[[np.ndarray], np.ndarray]
"""Gain of a filter for each frequency in Hz: float64 [bins] in, [bins] out (real or complex)."""


def db(level_db: float) -> float:
    """Return the amplitude ratio of a level in dB."""
    return float(10 ** (level_db / 20))


def fast_length(n: int) -> int:
    """Return a number of samples at or slightly above n for which an FFT is fast."""
    return min(
        (k << max(0, (-(-n // k) - 1).bit_length()) for k in (2, 6, 10, 18, 30, 50, 54)),
    )


def filter_ring(x: np.ndarray, response: Response) -> np.ndarray:
    """Return a ring [samples] or [samples, 2] filtered circularly by a frequency response.

    Loops have prime lengths, for which FFTs are slow, so a long ring is wrapped around by some
    seconds at both ends, filtered at a length that suits an FFT, and cut out again. That equals the
    exact circular filter if the response rings for less than `_WRAP_S`.
    """
    padded, wrap = _wrapped(x)
    spectrum = np.fft.rfft(padded, axis=0)
    gain = response(np.fft.rfftfreq(padded.shape[0], 1 / SAMPLE_RATE))
    spectrum *= gain if x.ndim == 1 else gain[:, None]
    return np.fft.irfft(spectrum, padded.shape[0], axis=0)[wrap : wrap + x.shape[0]]


def _wrapped(x: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a ring wrapped around to a length that suits an FFT, and its start in there."""
    n, wrap = x.shape[0], int(_WRAP_S * SAMPLE_RATE)
    if n <= 2 * wrap:
        return x, 0
    total = fast_length(n + 2 * wrap)
    return np.concatenate([x[-wrap:], x, x[: total - n - wrap]]), wrap


def convolve_ring(x: np.ndarray, impulse_response: np.ndarray) -> np.ndarray:
    """Return a mono ring convolved circularly with an impulse response of at most its length."""
    n, length = x.shape[0], impulse_response.shape[0]
    size = fast_length(n + length - 1)
    y = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(impulse_response, size), size)
    ring = y[:n].copy()
    ring[: length - 1] += y[n : n + length - 1]
    return ring


def band(low_hz: float = 0.0, high_hz: float = np.inf, order: int = 2) -> Response:
    """Return a zero-phase band-pass with Butterworth slopes (6 dB an octave per order)."""

    def response(f: np.ndarray) -> np.ndarray:
        gain = np.ones_like(f)
        if low_hz > 0:
            ratio = (np.maximum(f, 1e-9) / low_hz) ** (2 * order)
            gain *= np.sqrt(ratio / (1 + ratio))
        if np.isfinite(high_hz):
            gain /= np.sqrt(1 + (f / high_hz) ** (2 * order))
        return gain

    return response


def tilt(db_per_octave: float, reference_hz: float = 1000.0) -> Response:
    """Return a response that falls or rises by a constant slope, 0 dB at the reference."""

    def response(f: np.ndarray) -> np.ndarray:
        return np.asarray((np.maximum(f, 10.0) / reference_hz) ** (db_per_octave / 6.0206))

    return response


def curve(points: dict[float, float]) -> Response:
    """Return a response through levels in dB at frequencies in Hz, linear on a log axis."""
    log_f = np.log([float(f) for f in points])
    levels = np.array(list(points.values()), dtype=float)

    def response(f: np.ndarray) -> np.ndarray:
        return np.asarray(10 ** (np.interp(np.log(np.maximum(f, 1e-3)), log_f, levels) / 20))

    return response


def noise(rng: np.random.Generator, n: int, response: Response | None = None) -> np.ndarray:
    """Return Gaussian noise of unit RMS on a ring of n samples, coloured by a response."""
    x = rng.standard_normal(n)
    if response is not None:
        x = filter_ring(x, response)
    return np.asarray(x / np.sqrt(np.mean(x**2)))


def slow_curve(
    rng: np.random.Generator, n: int, shortest_s: float, slope: float = 1.0
) -> np.ndarray:
    """Return a slow random periodic curve of zero mean and unit deviation.

    Parameters
    ----------
    shortest_s : float
        Period of the fastest component, in seconds.
    slope : float
        Its power falls as 1 / f ** slope: 1 moves equally at all scales, 2 wanders slowly.
    """
    k_max = max(1, int(n / SAMPLE_RATE / shortest_s))
    k = np.arange(1, k_max + 1)
    points = min(n, fast_length(_POINTS_A_PERIOD * k_max))
    spectrum = np.zeros(points // 2 + 1, dtype=complex)
    spectrum[1 : k_max + 1] = k ** (-slope / 2) * np.exp(2j * np.pi * rng.random(k_max))
    x = np.fft.irfft(spectrum, points)
    return stretch(x / x.std(), n)


def stretch(points: np.ndarray, n: int) -> np.ndarray:
    """Return a curve of n samples, linear between points evenly spaced around the ring."""
    at = np.arange(n) * (points.shape[0] / n)
    return np.asarray(np.interp(at, np.arange(points.shape[0] + 1), np.append(points, points[0])))


def gust_curve(
    rng: np.random.Generator, points: int, duration_s: float, longest_s: float, shortest_s: float
) -> np.ndarray:
    """Return a random periodic curve [points] of zero mean and unit deviation that moves like wind.

    Its power is flat up to 1 / longest_s and then falls as f ** (-5 / 3), the spectrum of
    turbulence (von Kármán 1948), so no single rise stands out in the loop.

    Parameters
    ----------
    duration_s : float
        Length of the ring, in seconds.
    longest_s, shortest_s : float
        Range of its periods, in seconds.
    """
    f = np.fft.rfftfreq(points, duration_s / points)
    amplitude = (1 + (f * longest_s) ** 2) ** (-5 / 12) * (f <= 1 / shortest_s)
    amplitude[0] = 0.0
    x = np.fft.irfft(amplitude * np.exp(2j * np.pi * rng.random(len(f))), points)
    return np.asarray(x / x.std())


def join_bass(x: np.ndarray, below_hz: float = 250.0) -> np.ndarray:
    """Return a stereo ring whose sides are equal at low frequencies, as for two ears."""
    middle = x.mean(axis=1)
    side = filter_ring((x[:, 0] - x[:, 1]) / 2, band(low_hz=below_hz, order=1))
    return np.stack([middle + side, middle - side], axis=1)


def join_treble(x: np.ndarray) -> np.ndarray:
    """Return stereo noise with its independent sides made more correlated towards 6 kHz.

    Each side keeps its spectrum, so only the width changes.
    """
    middle = filter_ring(x.mean(axis=1), lambda f: np.sqrt(1 + _JOINED * _joined(f)))
    side = filter_ring((x[:, 0] - x[:, 1]) / 2, lambda f: np.sqrt(1 - _JOINED * _joined(f)))
    return np.stack([middle + side, middle - side], axis=1)


def _joined(f: np.ndarray) -> np.ndarray:
    """Return the joining of the sides of noise at frequencies in Hz, from 0 to 1."""
    low, high = np.log(_JOINED_HZ)
    part = np.clip((np.log(np.maximum(f, 1.0)) - low) / (high - low), 0.0, 1.0)
    return np.asarray(np.sin(np.pi / 2 * part) ** 2)


def add_event(ring: np.ndarray, start: int, event: np.ndarray) -> None:
    """Add an event to a ring in place, wrapping around at the end."""
    n, position = ring.shape[0], start % ring.shape[0]
    while event.shape[0]:
        part = event[: n - position]
        ring[position : position + part.shape[0]] += part
        event, position = event[part.shape[0] :], 0


def pan(x: np.ndarray, position: float) -> np.ndarray:
    """Return a mono event in stereo with equal power.

    Parameters
    ----------
    position : float
        -1 is left, 1 is right. The farther ear hears it up to 0.5 ms later.
    """
    angle = (position + 1) * np.pi / 4
    late = int(abs(position) * 0.0005 * SAMPLE_RATE)
    near, far = np.pad(x, (0, late)), np.pad(x, (late, 0))
    left, right = (far, near) if position > 0 else (near, far)
    return np.stack([left * np.cos(angle), right * np.sin(angle)], axis=1)


def share(x: np.ndarray, correlation: float) -> np.ndarray:
    """Return two independent sides of equal power [samples, 2] mixed to a correlation of 0 to 1."""
    middle, side = (
        np.sqrt((1 + correlation) / 2) * x[:, 0],
        np.sqrt((1 - correlation) / 2) * x[:, 1],
    )
    return np.stack([middle + side, middle - side], axis=1)


def pan_ring(x: np.ndarray, position: float) -> np.ndarray:
    """Return a mono ring in stereo like `pan` for an event, at the same length."""
    late = int(abs(position) * 0.0005 * SAMPLE_RATE)
    y = pan(x, position)
    y[:late] += y[x.shape[0] :]
    return y[: x.shape[0]]


def reverb(
    rng: np.random.Generator, x: np.ndarray, rt60_s: float, damping_hz: float = 4000.0
) -> np.ndarray:
    """Return the diffuse reverberation alone (no direct sound) of a mono or stereo ring.

    Parameters
    ----------
    rt60_s : float
        Time in which the tail falls by 60 dB at low frequencies, in seconds.
    damping_hz : float
        Above this, the tail decays faster, as air and leaves absorb it.
    """
    n = x.shape[0]
    length = min(n, int(rt60_s * 1.2 * SAMPLE_RATE))
    t = np.arange(length) / SAMPLE_RATE
    tails = []
    for _ in range(2):
        low = noise(rng, length, band(high_hz=damping_hz, order=1)) * 10 ** (-3 * t / rt60_s)
        high = noise(rng, length, band(low_hz=damping_hz, order=1)) * 10 ** (-6 * t / rt60_s)
        tail = low + 0.5 * high
        tail[: int(0.005 * SAMPLE_RATE)] = 0.0
        tails.append(tail / np.sqrt(np.sum(tail**2)))
    dry = x if x.ndim == 2 else np.stack([x, x], axis=1)
    return np.stack([convolve_ring(dry[:, c], tails[c]) for c in range(2)], axis=1)


def diffuse_noise(
    rng: np.random.Generator, n: int, response: Response | None = None, ears_m: float = 0.2
) -> np.ndarray:
    """Return stereo noise [samples, 2] of unit RMS that comes from all around.

    Parameters
    ----------
    ears_m : float
        Distance of the two ears in metres. They agree at low frequencies and less at high ones, as
        sin(kd) / kd (Cook et al. 1955); a larger distance sounds wider. At the top they agree again
        (`join_treble`).
    """
    spacing_s = ears_m / SPEED_OF_SOUND

    def coherence(f: np.ndarray) -> np.ndarray:
        joined = _joined(f)
        return np.asarray(np.sinc(2 * f * spacing_s) * (1 - joined) + _JOINED * joined)

    middle = filter_ring(rng.standard_normal(n), lambda f: np.sqrt((1 + coherence(f)) / 2))
    side = filter_ring(rng.standard_normal(n), lambda f: np.sqrt((1 - coherence(f)) / 2))
    x = np.stack([middle + side, middle - side], axis=1)
    if response is not None:
        x = filter_ring(x, response)
    return np.asarray(x / np.sqrt(np.mean(x**2)))


def shape_ring(x: np.ndarray, centres_hz: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Return a mono ring with a moving spectrum: an equaliser with a gain curve for each band.

    Parameters
    ----------
    centres_hz : ndarray, shape = (bands,)
        In ascending order. Bands crossfade on a log axis and add up to one; the first extends down
        to 0 Hz, the last up to the top.
    gains : ndarray, shape = (bands, points)
        Amplitude of each band at points evenly spaced around the ring.
    """
    padded, wrap = _wrapped(x)
    spectrum = np.fft.rfft(padded)
    log_f = np.log(np.maximum(np.fft.rfftfreq(padded.shape[0], 1 / SAMPLE_RATE), 1e-3))
    log_centres = np.log(centres_hz)
    out = np.zeros_like(x)
    for one, gain in zip(np.eye(len(centres_hz)), gains, strict=True):
        fade = np.sin(np.pi / 2 * np.interp(log_f, log_centres, one)) ** 2
        part = np.fft.irfft(spectrum * fade, padded.shape[0])[wrap : wrap + x.shape[0]]
        out += part * stretch(gain, x.shape[0])
    return out


def scatter(ring: np.ndarray, starts: np.ndarray, events: np.ndarray) -> None:
    """Add many short events to a mono ring in place: starts [k] in samples, events [k, length]."""
    at = (starts[:, None] + np.arange(events.shape[1])) % ring.shape[0]
    np.add.at(ring, at.ravel(), events.ravel())


def draw_times(rng: np.random.Generator, count: int, density: np.ndarray, n: int) -> np.ndarray:
    """Return random positions [count] in samples on a ring, more where the density is high.

    Parameters
    ----------
    density : ndarray, shape = (points,)
        Relative rate of events at points evenly spaced around the ring.
    """
    cumulative = np.concatenate([[0.0], np.cumsum(density)])
    where = np.interp(rng.random(count) * cumulative[-1], cumulative, np.arange(len(cumulative)))
    return np.asarray(where * n / density.shape[0]).astype(np.int64) % n
