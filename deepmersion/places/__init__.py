"""My places: photos that a person keeps, each with a name and what to play when it is seen again.

    features ──> recognition ──> the kept place ──> its mix
    photo ──> thumbnail ──┐         ^
    name, mix, features ──┴──> store (SQLite) <──> exchange (JSON)

Only what a person keeps is stored: name, mix, time, a small picture, and what the embedded network
saw. Photos that are merely matched leave no trace.
"""
