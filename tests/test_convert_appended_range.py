"""Parts of files are appended to others, with the kernel's help and without."""

import errno
import os

import pytest

from emo_llama_hf.conversion import appended_range
from emo_llama_hf.conversion.appended_range import append_range


def no_kernel_copy(*_):
    raise OSError(errno.EINVAL, "only to sockets")


@pytest.fixture(params=["kernel", "buffer", "missing"])
def way(request, monkeypatch):
    if request.param == "buffer":
        monkeypatch.setattr(os, "sendfile", no_kernel_copy)
    elif request.param == "missing":
        monkeypatch.delattr(os, "sendfile")
    monkeypatch.setattr(appended_range, "KERNEL_BYTES", 1000)
    monkeypatch.setattr(appended_range, "BUFFER_BYTES", 700)


def test_parts_and_what_is_written_between_them_follow_each_other(way, tmp_path):
    content = os.urandom(100_000)
    source, output = tmp_path / "source", tmp_path / "output"
    source.write_bytes(content)
    with output.open("wb") as file:
        file.write(b"header")
        assert append_range(source, 5, 0, file)
        assert append_range(source, 123, 70_001, file)
        file.write(b"between")
        assert append_range(source, 99_000, 1000, file)
        assert file.tell() == 6 + 70_001 + 7 + 1000
        file.write(b"end")
    assert output.read_bytes() == b"header" + content[123:70_124] + b"between" + content[99_000:] + b"end"


def test_a_file_that_ends_before(way, tmp_path):
    (tmp_path / "source").write_bytes(b"x" * 5000)
    with (tmp_path / "output").open("wb") as file:
        assert not append_range(tmp_path / "source", 4000, 1001, file)
        assert not append_range(tmp_path / "source", 6000, 1, file)


def test_a_full_disk_is_no_reason_to_try_again(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "sendfile", full)
    (tmp_path / "source").write_bytes(b"x")
    with (tmp_path / "output").open("wb") as file, pytest.raises(OSError, match="full"):
        append_range(tmp_path / "source", 0, 1, file)
