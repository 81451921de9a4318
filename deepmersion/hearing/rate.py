"""The rate of what SoundNet hears, apart from the network: that takes seconds to import."""

SAMPLE_RATE = 22_050
"""Rate of the waveforms that SoundNet was trained on, in Hz."""
