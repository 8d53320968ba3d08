"""The commit of this checkout, and an earlier one beside it."""

import compileall
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def git(*words: str) -> str:
    """What git prints about this checkout."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()


def commit() -> str:
    """The checkout's commit, with a + where files other than documents were changed since."""
    try:
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ".", ":!docs"], cwd=ROOT).returncode
        return git("rev-parse", "--short", "HEAD") + "+" * changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def compile_package(tree: Path) -> None:
    """Write the bytecode of a tree's package, so that no side has to while it is timed."""
    for name in ("emo_llama_hf", "modeling", "processing", "conversion"):
        compileall.compile_dir(tree / name, quiet=2)
    compileall.compile_file(tree / "emo_llama_command.py", quiet=2)


@contextmanager
def earlier(name: str) -> Iterator[Path]:
    """
    A worktree of a commit, in a temporary folder as long as it is needed.

    Raises:
        `subprocess.CalledProcessError`: there is no such commit.
    """
    with tempfile.TemporaryDirectory(prefix="before-") as folder:
        tree = Path(folder) / "tree"
        git("worktree", "add", "--quiet", "--detach", str(tree), name)
        try:
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))
