"""Published files: fetched over HTTP, known by their digests, kept in the cache folder."""
