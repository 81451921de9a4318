"""The lengths of the base sounds.

All are longer than a minute, to draw different stretches from. The lengths are different prime
numbers of samples: if a player loops the files, a mix of two repeats only after years.
"""

from __future__ import annotations

N_SAMPLES: dict[str, int] = {
    "bells": 3_779_371,  # 85.7 s
    "birds": 3_673_577,  # 83.3 s
    "city": 3_867_587,  # 87.7 s
    "crickets": 2_959_127,  # 67.1 s
    "fan": 3_038_501,  # 68.9 s
    "fire": 3_250_189,  # 73.7 s
    "harbour": 3_629_459,  # 82.3 s
    "keyboard": 3_435_391,  # 77.9 s
    "people": 3_938_141,  # 89.3 s
    "rain": 3_139_943,  # 71.2 s
    "singing-bowl": 3_832_291,  # 86.9 s
    "snow-wind": 3_717_641,  # 84.3 s
    "stream": 3_408_943,  # 77.3 s
    "thunder": 4_290_931,  # 97.3 s, because its strikes are few
    "train": 4_026_343,  # 91.3 s
    "waves": 5_292_017,  # 120.0 s, because its breakers are few
    "white-noise": 2_703_341,  # 61.3 s
    "wind": 3_369_283,  # 76.4 s
}
"""Length of each base sound's loop, in samples at `dsp.SAMPLE_RATE`."""
