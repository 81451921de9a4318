"""Hearing: SoundNet, and the mixes of sounds that it listens to."""
