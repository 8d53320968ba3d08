"""Seeds for choices that depend on what they are about only, not on order, threads or earlier runs."""

import hashlib


def seed_of(*parts: object) -> int:
    """A number in [0, 2^31) made of `parts`."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode(errors="backslashreplace")).digest()
    return int.from_bytes(digest[:4], "big") >> 1
