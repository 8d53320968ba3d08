"""What holds for all commands: one dialect, one place for errors, completion."""

import inspect
import subprocess
import sys

import pytest
import typer
from typer.core import TyperCommand

import emo_llama_command as cli
from emo_llama_hf.command_line.model_options import ModelOptions
from emo_llama_hf.command_line.train import OURS, REST, _parser
from emo_llama_hf.input_error import InputError
from emo_llama_hf.missing_package import MissingPackageError
from emo_llama_hf.processing.media_source import UnreadableMediaError
from emo_llama_hf.writers import WriterError

COMMANDS: dict[str, TyperCommand] = {name: cli.load(name) for name in cli.COMMANDS}
# What the same option may rightly have another value of: one picture after another is how a person reads answers.
OTHER_DEFAULTS = {"batch_size", "port", "temperature"}
# `plan` counts lora, qlora or full, `train` learns supervised or by grpo; `analyze` need not have a file to write.
# `timeline` asks only the closed question, in these words, and looks at a part of a damaged clip.
OTHER_MEANING = {"method", "output", "question", "on_error"}
# Words that once meant what others mean now.
GONE = {"--emotions", "--emotion-labels", "--emotion_labels", "--cache", "--output-dir", "--output_dir"}


def test_the_commands():
    assert list(COMMANDS) == [
        "analyze",
        "timeline",
        "annotate",
        "chat",
        "demo",
        "serve",
        "info",
        "prepare",
        "instruct",
        "plan",
        "train",
        "evaluate",
        "cross-validate",
        "merge",
        "convert",
        "export",
    ]
    for name, command in COMMANDS.items():
        assert inspect.cleandoc(command.help).startswith(cli.COMMANDS[name]), name


def test_the_overview_takes_no_model_library():
    """Torch and transformers take seconds to import: help and the completion of a command's name come without."""
    code = "import sys, emo_llama_command as cli; cli.main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(words in " ".join(done.stdout.split()) for entry in cli.COMMANDS.items() for words in entry)
    assert not {"torch", "transformers", "emo_llama_hf"} & set(done.stderr.split())
    assert "typer" in done.stderr.split()


def test_an_option_is_the_same_everywhere():
    """Type, name and help stand in one annotation, the default in each command's signature."""
    seen = {}
    for command in COMMANDS.values():
        for name, parameter in inspect.signature(command.callback).parameters.items():
            if name in OTHER_MEANING:
                continue
            default = None if name in OTHER_DEFAULTS else parameter.default
            assert seen.setdefault(name, (parameter.annotation, default)) == (parameter.annotation, default), name
    assert all(annotation is typer.Context or annotation.__metadata__[0].help for annotation, _ in seen.values())
    parameters = [parameter for command in COMMANDS.values() for parameter in command.params]
    names = {word: parameter.name for parameter in parameters for word in parameter.opts}
    assert all(names[word] == parameter.name for parameter in parameters for word in parameter.opts)
    options = {word for word in names if word.startswith("--")}
    assert not options & GONE and not any("_" in word or word != word.lower() for word in options)


def test_training_arguments_have_no_word_of_ours():
    """What transformers adds to `TrainingArguments` one day must not mean something else than a word of these."""
    ours = {
        name: {word for parameter in command.params for word in parameter.opts} for name, command in COMMANDS.items()
    }
    theirs = {word for action in _parser()._actions for word in action.option_strings}
    assert not ours["train"] & theirs
    assert set().union(*ours.values()) & theirs == {"--seed", "--push-to-hub", "--base", "--load-in-4bit"}
    assert not {f"--{name.replace('_', '-')}" for name in OURS} & theirs


ERRORS = [
    InputError("`model`: no"),
    UnreadableMediaError("`model`\n  is no"),
    MissingPackageError("pip install"),
    WriterError("no key"),
    FileNotFoundError(2, "No such file", "a.png"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", [None, 0, 1])
def test_expected_errors_are_one_line(monkeypatch, capsys, error, where):
    def fail(self):
        raise error

    monkeypatch.setattr(ModelOptions, "pipeline", fail)
    arguments = ["info"]
    if where is not None:
        arguments.insert(where, "--debug")
    assert cli.main(arguments) == 1
    *before, line = capsys.readouterr().err.splitlines()
    assert line == "emo-llama: " + " ".join(str(error).split()).replace("`model`", "--model")
    assert bool(before) == (where is not None)
    assert not before or before[0].startswith("Traceback")


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), ValueError("x"), ModuleNotFoundError("x")])
def test_bugs_keep_their_traceback(monkeypatch, error):
    def fail(self):
        raise error

    monkeypatch.setattr(ModelOptions, "pipeline", fail)
    with pytest.raises(type(error)):
        cli.main(["info"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "nowhere", "--output", "o", "--faces", "f"], "DATA: nowhere is not there"),
        (["evaluate", ".", "--output", "o", "--layout", "heap"], "--layout must be one of"),
        (["prepare", "nowhere", "--no-attributes"], "DATA: nowhere is not there"),
        (
            ["instruct", ".", "--output", "o", "--layout", "class_folders", "--label-map", "moods"],
            "--label-map: 'moods' is neither",
        ),
        (["convert", "nowhere", "--output", "o"], "There is no folder nowhere"),
        (["train", "nowhere", "--output", "o"], "DATA: nowhere is not there"),
        (["train", "x", "--output", "o", "--feature-cache", "c", "--augment"], "--feature-cache keeps"),
        (["train", "x", "--output", "o", "--remove-unused-columns"], "--remove-unused-columns must stay off"),
        (["info", "--model", "nowhere/x"], "--model: 'nowhere/x' cannot be loaded"),
    ],
)
def test_messages_name_options(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"emo-llama: {words}")


def test_an_error_without_words(monkeypatch, capsys):
    def fail(self):
        raise InputError

    monkeypatch.setattr(ModelOptions, "pipeline", fail)
    assert cli.main(["info"]) == 1
    assert capsys.readouterr().err == "emo-llama: InputError\n"


def test_completion(monkeypatch, capsys):
    import shellingham

    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("bash", "/bin/bash"))
    assert cli.main(["--show-completion"]) == 0
    script = capsys.readouterr().out
    assert "_EMO_LLAMA_COMPLETE=complete_bash" in script and "emo-llama" in script


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("emo-llama ", set(COMMANDS)),
        ("emo-llama evaluate --fa", {"--faces"}),
        ("emo-llama prepare data --layout f", {"fer2013", "ferplus", "ferv39k"}),
        ("emo-llama train data --max-steps 3 --eval-", {"--eval-data", "--eval-split", "--eval-faces"}),
    ],
)
def test_what_is_completed(line, words, monkeypatch, capsys):
    """What a shell asks of the command, which it tells by its environment."""
    monkeypatch.setenv("_EMO_LLAMA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    assert cli.main([]) == 0
    assert set(capsys.readouterr().out.split()) == words


@pytest.mark.parametrize(
    ("line", "reporters"),
    [
        (["DATA", "--report-to", "tensorboard", "trackio", "--max-steps", "3"], ["tensorboard", "trackio"]),
        (["--max-steps", "3", "--report-to", "none", "DATA"], ["none"]),
        (["--report-to=tensorboard", "--max-steps", "3", "DATA"], ["tensorboard"]),
        (["DATA", "--max-steps", "3"], "none"),
    ],
)
def test_training_reports_to_several(line, reporters, tmp_path):
    command = COMMANDS["train"]
    context = command.make_context("train", [*line, "--output", str(tmp_path)], obj=cli.Run())
    assert context.meta[REST]["report_to"] == reporters
    assert context.meta[REST]["max_steps"] == 3
    assert [str(path) for path in context.params["path"]] == ["DATA"]
