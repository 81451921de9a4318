"""The kinds of sound, and the places where each is at home."""
