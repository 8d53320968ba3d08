"""What a row of the benchmarks is, and where it is found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TypeAlias

OURS, BEFORE = "ours", "before"
ROWS = Path(__file__).resolve().parents[1] / "rows"

# Of a case's name and the folder of the inputs: what is timed. It is made, and loads what it needs, untimed.
Side: TypeAlias = Callable[[str, Path], Callable[[], Any]]


@dataclass(frozen=True)
class Measured:
    """
    What a call gives that is not timed as a whole, or in other processes.

    Args:
        seconds (`float`): what counts.
        answer (`Any`, *optional*)
        peak_bytes (`int`, *optional*): largest memory of the other process; by default that of the side itself counts.
    """

    seconds: float
    answer: Any = None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Peer:
    """
    Somebody else's code for the same.

    Args:
        side (`Side`)
        packages (`Sequence[str]`): what pip installs, `name==version` each.
        environment (`Callable`, *optional*): of a folder that it may write to, variables that its process needs.
    """

    side: Side
    packages: Sequence[str] = ()
    environment: Callable[[Path], dict[str, str]] = lambda folder: {}

    @property
    def missing(self) -> str | None:
        """How to install what is not there, if anything is not."""
        try:
            for package in self.packages:
                version(package.split("==")[0])
        except PackageNotFoundError:
            return f"not installed: pip install --no-deps {' '.join(self.packages)}"
        return None


@dataclass(frozen=True)
class Row:
    """
    One thing that takes time, measured of this package, of its state before and of peers.

    Args:
        cases (`Mapping[str, int]`): names of what is measured, and how many items each is about.
        package (`Side`): this package; the state before runs the same code.
        item (`str`, *optional*): what is counted, in the singular; without one, the cases say it.
        peers (`Mapping[str, Peer]`, *optional*)
        inputs (`Sequence[Callable]`, *optional*): each makes files in a folder, once for all rows that name it.
        told (`Callable`, *optional*): of what the timed call gave, the answer to compare, of JSON's types.
        check (`Callable`, *optional*):
            Of a case and the answers of all sides that gave one: raises `AssertionError` where they should be equal.
        repeats (`int`, *optional*, defaults to 5): timed calls a process, fewer where they take long.
        warm (`bool`, *optional*, defaults to `True`): whether a first call goes before, untimed.
        grows (`bool`, *optional*, defaults to `False`): whether cases are sizes, of which cost is a function.
        name, about (`str`): of the file.
    """

    cases: Mapping[str, int]
    package: Side
    item: str = ""
    peers: Mapping[str, Peer] = field(default_factory=dict)
    inputs: Sequence[Callable[[Path], None]] = ()
    told: Callable[[Any], Any] = lambda given: given
    check: Callable[[str, Mapping[str, Any]], None] | None = None
    repeats: int = 5
    warm: bool = True
    grows: bool = False
    name: str = ""
    about: str = ""

    @property
    def sides(self) -> dict[str, Side]:
        """The code of each side, in the order in which they are run."""
        return {OURS: self.package, BEFORE: self.package, **{name: peer.side for name, peer in self.peers.items()}}


def load_row(path: Path) -> Row:
    """The `ROW` of a file; its name is the file's, and what it is about stands in the file's docstring."""
    spec = spec_from_file_location(f"rows.{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    row: Row = module.ROW
    return replace(row, name=path.stem.replace("_", "-"), about=(module.__doc__ or "").strip())


def row_files(folder: Path = ROWS) -> dict[str, Path]:
    """The files of all rows by their names."""
    return {path.stem.replace("_", "-"): path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}
