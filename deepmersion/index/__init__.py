"""The index: its file, the pass over it, and the journal of one being built."""
