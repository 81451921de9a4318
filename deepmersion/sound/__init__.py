"""Sound: from a bank's recordings to the stream that is written or played."""
