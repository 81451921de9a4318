"""What kind of sound a recording is, and where each kind is at home."""
