"""Damage to the bytes of any file: what a bad disk, a broken transfer or somebody with a hex editor makes of it."""

from hypothesis import strategies as st

EXTREMES = [
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
    2**63,
    2**64 - 1,
]
HEAD = 600  # bytes, in which headers stand


@st.composite
def places(draw: st.DrawFn, length: int) -> int:
    """A place in a file, most often near its beginning or its end."""
    reach = min(HEAD, length)
    where = draw(st.sampled_from(["head", "head", "anywhere", "tail"]))
    if where == "head":
        return draw(st.integers(0, reach - 1))
    if where == "tail":
        return draw(st.integers(length - reach, length - 1))
    return draw(st.integers(0, length - 1))


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> tuple[str, bytes]:
    """What was done, and the bytes now."""
    kind = draw(
        st.sampled_from(["cut", "flipped", "flipped", "number", "number", "zeros", "out", "twice", "noise", "empty"])
    )
    if kind == "empty" or not content:
        return "empty", b""
    place = draw(places(len(content)))
    if kind == "cut":
        return f"cut off at byte {place} of {len(content)}", content[:place]
    if kind == "flipped":
        changed = bytearray(content)
        where = draw(st.lists(places(len(content)), min_size=1, max_size=12))
        for one in where:
            changed[one] ^= draw(st.integers(1, 255))
        return f"bytes {where} flipped", bytes(changed)
    if kind == "number":
        size, order = draw(st.sampled_from([1, 2, 4, 8])), draw(st.sampled_from(["big", "little"]))
        number = draw(st.sampled_from(EXTREMES)) % 2 ** (8 * size)
        written = number.to_bytes(size, order)
        return f"{size} bytes at {place} = {number}", content[:place] + written + content[place + size :]
    length = draw(st.integers(1, 400))
    piece = content[place : place + length]
    if kind == "zeros":
        return f"{len(piece)} zeros at {place}", content[:place] + bytes(len(piece)) + content[place + length :]
    if kind == "out":
        return f"{len(piece)} bytes at {place} left out", content[:place] + content[place + length :]
    if kind == "twice":
        return f"{len(piece)} bytes at {place} twice", content[:place] + piece + content[place:]
    noise = draw(st.binary(min_size=1, max_size=100))
    return f"{len(noise)} bytes put in at {place}", content[:place] + noise + content[place:]


def maybe_damaged(content: bytes) -> st.SearchStrategy[tuple[str, bytes]]:
    """As `damaged`, sometimes twice, sometimes not at all."""
    once = damaged(content)
    twice = once.flatmap(lambda first: damaged(first[1]).map(lambda then: (f"{first[0]}, {then[0]}", then[1])))
    return st.one_of(once, once, once, twice, st.just(("whole", content)))
