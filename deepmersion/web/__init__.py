"""The page: a photo goes in, its sound plays in the browser; served from the user's own machine.

    server ──> safety ──> app ──> api (photos)     ──> pipeline.Matcher
                               ├─> places (kept ones) ──> places.store
                               ├─> sounds (bank)
                               ├─> downloads (mixes) ──> sound.renderer
                               └─> static (the page itself)

A photo is looked at in memory and forgotten. Only what a person keeps is stored, as
`deepmersion.places` describes; nothing is logged, and nothing leaves the machine.
"""
