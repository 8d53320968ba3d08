"""Folds without leaks, and a cross-validation composed of training and evaluation that goes on after a kill."""

import json
from dataclasses import replace
from importlib import import_module

import pytest
from PIL import Image

import miniature_data
from emo_llama_command import main
from emo_llama_hf.data import Record, RecordError, Records
from emo_llama_hf.data.folds import check_folds, grouped_folds, official_fold
from emotion_samples import EMOTIONS, face_folders


def records(count=24, people=8):
    """Pictures given as bytes; every person is in three of them."""
    return [
        Record(str(n), miniature_data.face(n), emotion=EMOTIONS[n % 3], subject=f"p{n % people}", row=f"t:{n}")
        for n in range(count)
    ]


def ids(fold):
    return {record.id for record in fold.train}, {record.id for record in fold.test}


class TestGroupedFolds:
    def test_people_and_content_stay_together(self):
        """Also over a chain: a is b by person, b is c by content."""
        data = records()
        data += [replace(data[0], id="copy", subject="another"), Record("far", b"x", emotion="sad", subject="another")]
        folds = grouped_folds(data, 4)
        check_folds(folds)
        assert sorted(record.id for fold in folds for record in fold.test) == sorted(record.id for record in data)
        for fold in folds:
            train, test = ids(fold)
            assert train | test == {record.id for record in data} and not train & test
            assert len({"0", "copy", "far"} & test) in (0, 3)

    def test_the_seed_decides(self):
        first, same, other = (grouped_folds(records(), 4, seed) for seed in (0, 0, 1))
        assert list(map(ids, first)) == list(map(ids, same)) != list(map(ids, other))

    def test_too_few_people(self):
        with pytest.raises(ValueError, match="`num_folds` must be from 2 to 2, the number of people and clips, got 3"):
            grouped_folds(records(people=2), 3)


class TestLeaks:
    def test_the_same_person(self):
        fold = official_fold("1", [replace(r, split="test" if r.id == "3" else "train") for r in records()])
        with pytest.raises(RecordError, match=r"t:3: fold 1 tests on subject p3 that it trains on, at t:19"):
            check_folds([fold])

    def test_the_same_content_under_another_name(self, tmp_path):
        miniature_data.dfew(tmp_path)
        clips = tmp_path / "Clip/original"
        folds = [official_fold(str(n), list(Records(tmp_path, fold=n))) for n in (1, 2)]
        check_folds(folds)
        (clips / "9.mp4").write_bytes((clips / "1.mp4").read_bytes())
        with pytest.raises(
            RecordError, match=r"test\(single.*set_1\.csv:2: fold 1 tests on the same content that it tr"
        ):
            check_folds(folds)

    def test_folds_that_test_on_the_same(self, tmp_path):
        miniature_data.dfew(tmp_path)
        (fold, other) = (official_fold(str(n), list(Records(tmp_path, fold=n))) for n in (1, 2))
        with pytest.raises(RecordError, match=r"fold 2 tests on the same content that it also tests on in fold 1, at"):
            check_folds([fold, replace(other, train=other.train[2:], test=fold.test)])


def command(data, tiny, output, *more):
    options = ["--max-steps", "1", "--use-cpu", "--report-to", "none", "--disable-tqdm", "true", "--lora-rank", "2"]
    return ["cross-validate", str(data), "--model", str(tiny), "--output", str(output), *options, *more]


class TestCommand:
    @pytest.fixture
    def short(self, monkeypatch):
        monkeypatch.setattr("emo_llama_hf.command_line.cross_validate.LONGEST_ANSWER", 2)

    def test_folds_are_run_once_and_averaged(self, tiny, tmp_path, capsys, monkeypatch, short):
        """Killed in the second fold: the first is kept as it is, and the figures are those of both."""
        module = import_module("emo_llama_hf.training.train_and_evaluate")
        data, output = face_folders(tmp_path / "faces", 2), tmp_path / "out"
        trained, train = [], module.train

        def killed(arguments, *rest):
            trained.append(arguments.output_dir.rsplit("-", 1)[1])
            if trained == ["1", "2"]:
                raise KeyboardInterrupt
            return train(arguments, *rest)

        monkeypatch.setattr(module, "train", killed)
        assert main(command(data, tiny, output, "--num-folds", "2")) == 130
        assert (output / "fold-1/evaluation/report.json").exists() and not (output / "report.json").exists()
        assert main(command(data, tiny, output, "--num-folds", "2")) == 0
        assert trained == ["1", "2", "2"]
        report = json.loads((output / "report.json").read_text())
        alone = [json.loads((output / f"fold-{n}/evaluation/report.json").read_text()) for n in (1, 2)]
        for protocol in ("generation", "likelihood"):
            values = [one[protocol]["war"] for one in alone]
            assert report[protocol]["over_folds"]["war"]["mean"] == pytest.approx(sum(values) / 2)
            assert report[protocol]["count"] == 6 and set(report[protocol]["folds"]) == {"1", "2"}
        with Image.open(output / "confusion-likelihood.png") as picture:
            assert picture.format == "PNG"
        assert "over 2 folds: WAR" in capsys.readouterr().out
        assert main(command(data, tiny, output, "--num-folds", "2", "--learning-rate", "1")) == 1
        assert "was begun with other" in capsys.readouterr().err
        (output / "settings.json").write_text('{"data": ')
        assert main(command(data, tiny, output, "--num-folds", "2")) == 1
        assert f"{output / 'settings.json'} is damaged" in capsys.readouterr().err

    def test_leaks_end_it_before_anything_is_trained(self, tiny, tmp_path, capsys):
        miniature_data.mafw(tmp_path / "mafw")
        clips = tmp_path / "mafw/data/clips"
        (clips / "00009.mp4").write_bytes((clips / "00001.mp4").read_bytes())
        assert main(command(tmp_path / "mafw", tiny, tmp_path / "out")) == 1
        *_, line = capsys.readouterr().err.splitlines()
        assert "set_1/test.txt:1: fold 1 tests on the same content" in line and not (tmp_path / "out").exists()

    def test_refused(self, tiny, tmp_path, capsys):
        data = str(miniature_data.afew(tmp_path / "afew"))
        for arguments, words in (
            (["--split", "train"], "--split is the folds' own"),
            ([str(face_folders(tmp_path / "f", 1))], "DATA names several data sets"),
            (["--num-folds", "3"], "--num-folds must be from 2 to 2"),
        ):
            assert main(command(data, tiny, tmp_path / "out", *arguments)) == 1
            *_, line = capsys.readouterr().err.splitlines()
            assert words in line
