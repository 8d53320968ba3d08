"""Where transformers' own common test classes lie, and how they get there: `python tests/common/fetch.py`.

They are in the source distribution of transformers, not in its wheel, and are not copied into this repository.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

VARIABLE = "EMO_LLAMA_TRANSFORMERS_TESTS"
ADVICE = f"""\
transformers' own test classes could not be had, and a part of the suite is made of them, so it stops here. Either
 - go online, so that pip can download the source distribution of transformers {{version}};
 - or unpack that elsewhere and lay its `tests` folder at {{tests}}, or name the folder in {VARIABLE};
 - or run `python -m pytest` itself, which skips these tests and says so."""


def cache() -> Path:
    """Folder of the fetched files for the installed version of transformers."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "emo_llama_hf" / f"transformers-{version('transformers')}"


def tests_folder() -> Path | None:
    """The `tests` folder named by `EMO_LLAMA_TRANSFORMERS_TESTS`, else the fetched one, else None.

    Raises:
        FileNotFoundError: the variable is set but the folder holds no `test_modeling_common.py`.
    """
    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else cache() / "tests"
    if (folder / "test_modeling_common.py").is_file():
        return folder
    if named:
        raise FileNotFoundError(
            f"{VARIABLE}={named} has no test_modeling_common.py; name transformers' `tests` folder."
        )
    return None


def fetch() -> None:
    """Download the source distribution of the installed transformers and unpack its `tests` into the cache.

    Raises:
        subprocess.CalledProcessError: pip found no source distribution (offline, say).
        OSError: the cache cannot be written to.
        tarfile.TarError: what came is no archive.
    """
    target = cache()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        wanted = f"transformers=={version('transformers')}"
        # Without build isolation pip asks only the setuptools that is here for the metadata.
        how = ["--no-deps", "--no-binary", "transformers", "--no-build-isolation", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *how, "-d", scratch, wanted], check=True)
        (archive,) = Path(scratch).glob("*.tar.gz")
        unpacked = Path(scratch) / "unpacked"
        with tarfile.open(archive) as tar:
            members = [m for m in tar.getmembers() if m.isfile() and m.name.split("/")[1:2] == ["tests"]]
            tar.extractall(unpacked, members=members, filter="data")
        (top,) = unpacked.iterdir()
        (top / "tests").rename(target / "tests")


def main() -> None:
    """Fetch what is missing; ends the process with what to do where that cannot be had."""
    try:
        if tests_folder() is None:
            fetch()
    except (subprocess.CalledProcessError, OSError, tarfile.TarError) as error:
        sys.exit(f"{error}\n{ADVICE.format(version=version('transformers'), tests=cache() / 'tests')}")


if __name__ == "__main__":
    main()
