"""Which mix of sounds belongs to what is seen in a photo, and why."""
