"""Where the networks' weights come from, how they are known and where they are kept."""
