"""Synthesis of the ten base sounds: one module a sound, on the shared tools of `dsp`."""
