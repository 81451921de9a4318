"""Matching: finds the mix of sounds for what is seen in a photo, and explains it."""
