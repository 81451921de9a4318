"""The page: a photo goes in, its sound plays in the browser; served from the user's own machine.

    server ──> safety ──> app ──> api (photos)     ──> pipeline.Matcher
                               ├─> sounds (bank)
                               ├─> downloads (mixes) ──> sound.renderer
                               └─> static (the page itself)

Photos are not written to disk or to a log, and nothing leaves the machine.
"""
