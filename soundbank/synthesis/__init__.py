"""Synthesis of the ten base sounds: one module per sound, with shared tools in `dsp`."""
