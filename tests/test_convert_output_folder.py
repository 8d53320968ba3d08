"""A folder is complete, on disk and readable by others, or not there."""

import os

import pytest

from emo_llama_hf.conversion.output_folder import new_folder


def test_its_files_are_flushed_before_it_gets_its_name(tmp_path, monkeypatch):
    flushed = set()

    def fsync(number):
        assert not (tmp_path / "out").exists()
        flushed.add(os.fstat(number).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    with new_folder(tmp_path / "out") as folder:
        (folder / "inside").mkdir()
        for name in ("a", "inside/b", "read_only"):
            (folder / name).write_text(name)
        (folder / "read_only").chmod(0o444)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 3 and flushed == {path.stat().st_ino for path in files}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_others_may_read_it_as_any_new_folder(tmp_path):
    with new_folder(tmp_path / "new" / "out") as folder:
        pass
    assert (tmp_path / "new" / "out").stat().st_mode & 0o755 == 0o755
    assert not folder.exists()


def test_after_an_error_nothing_is_left(tmp_path):
    with pytest.raises(RuntimeError, match="disk on fire"), new_folder(tmp_path / "out") as folder:
        (folder / "half").write_text("half")
        raise RuntimeError("disk on fire")
    assert [*tmp_path.iterdir()] == []


def test_what_is_there_is_kept(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="file"), new_folder(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "mine"
