"""SoundNet, and the mixes of sounds that it hears."""
