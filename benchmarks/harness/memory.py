"""How much memory a process holds, and held at most. Linux only, as the package is."""

from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _kilobytes(name: str) -> int:
    return 1024 * int(next(line for line in STATUS.read_text().splitlines() if line.startswith(name)).split()[1])


def held_bytes() -> int:
    """What this process holds now."""
    return _kilobytes("VmRSS")


def peak_bytes() -> int:
    """The most that it held since [`forget_peak`]."""
    return _kilobytes("VmHWM")


def forget_peak() -> None:
    """Begin anew."""
    CLEAR.write_text("5")
