"""Sound banks that are known by a name."""

BLANKET = "blanket"
"""What `sound.blanket` fetches. A folder of that name is ``./blanket``."""
