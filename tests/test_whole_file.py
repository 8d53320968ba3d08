"""Files are whole or not there."""

import threading

import pytest

from emo_llama_hf.whole_file import whole_file, write_text


def test_the_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "figures.json"
    with whole_file(path) as unfinished:
        unfinished.write_text("half")
        assert not path.exists() and unfinished.parent == path.parent
        unfinished.write_text("whole")
    assert path.read_text() == "whole"
    assert [file.name for file in tmp_path.iterdir()] == ["figures.json"]


def test_after_an_error_the_earlier_file_stands_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / "figures.json"
    write_text(path, "earlier")
    with pytest.raises(RuntimeError, match="disk on fire"), whole_file(path) as unfinished:
        unfinished.write_text("later")
        raise RuntimeError("disk on fire")
    assert path.read_text() == "earlier"
    assert [file.name for file in tmp_path.iterdir()] == ["figures.json"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_text(tmp_path / "nowhere" / "figures.json", "text")


def test_others_may_read_it_as_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("text")
    write_text(tmp_path / "whole", "text")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_threads_that_write_one_file_leave_one_of_their_texts(tmp_path):
    path, texts = tmp_path / "text", [letter * 100_000 for letter in "abcdefgh"]
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert [file.name for file in tmp_path.iterdir()] == ["text"]
