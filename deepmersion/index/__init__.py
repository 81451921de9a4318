"""The index: a file, the pass over it, and the journal of one that is being built."""
