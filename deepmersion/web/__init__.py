"""The page: a photo goes in, the sound comes out in the browser; served from one's own machine.

    server ──> safety ──> app ──> api (photos)     ──> pipeline.Matcher
                               ├─> sounds (bank)
                               ├─> downloads (mixes) ──> rendering.Renderer
                               └─> static (the page itself)

Nothing of a photo is written to a disk or a log, and nothing is sent anywhere.
"""
