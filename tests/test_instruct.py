"""Instruction data without a language model: questions, templates, checks, the journal and the command."""

import json
import os
import random
import signal

import pytest
from filelock import FileLock
from PIL import Image
from tenacity import RetryCallState, Retrying

from emo_llama_command import main
from emo_llama_hf.closed_set import closed_question
from emo_llama_hf.data import LabelMap, Record, RecordError, Records, canonical_labels
from emo_llama_hf.instruct import CategoryQuestions, Conversations, Reply, TemplateWriter, instruct
from emo_llama_hf.instruct.reply import RejectedReply, ReplyChecker
from emo_llama_hf.instruct.reply_journal import Journal
from emo_llama_hf.instruct.sampling import sample_ids
from emo_llama_hf.writers import TransientError
from emo_llama_hf.writers.patience import RateLimit, pause
from forked import forked
from media import clip, encoded

PICTURE = encoded(Image.new("RGB", (8, 8)))
LABELS = ["angry", "happy", "sad"]


@pytest.fixture
def records(tmp_path):
    (tmp_path / "data").mkdir()
    for n in range(6):
        (tmp_path / f"data/{n}.png").write_bytes(PICTURE)
    return [
        Record(f"r{n}", str(tmp_path / f"data/{n}.png"), emotion=LABELS[n % 3], row=f"t:{n}", split="train")
        for n in range(6)
    ]


def run(records, output, **settings):
    return instruct(records, output, labels=LABELS, progress=False, **settings)


def test_category_questions_name_the_labels_and_the_answer_is_the_label(records, tmp_path):
    run(records, tmp_path / "o.jsonl", category=CategoryQuestions(3))
    back = list(Records(tmp_path / "o.jsonl", split="train"))
    assert len(back) == 18
    for record in back:
        question, answer = (message["content"][-1]["text"] for message in record.conversation)
        assert "angry, happy, sad" in question and "{" not in question
        assert answer == record.emotion
    assert len({record.conversation[0]["content"][-1]["text"] for record in back}) > 6
    assert [record.emotion for record in back[::3]] == [record.emotion for record in records]


def test_the_pipeline_s_question_is_one_of_the_phrasings():
    record = Record("r", PICTURE, is_video=True, emotion="sad")
    turns = CategoryQuestions(20).turns(record, LABELS, seed=0)
    assert (closed_question("video", LABELS), "sad") in turns


def test_the_paper_s_instructions(tmp_path):
    """Word by word what the authors' pictures of their data show of an image and of a MAFW clip."""
    (tmp_path / "faces/happy").mkdir(parents=True)
    (tmp_path / "faces/happy/a.png").write_bytes(PICTURE)
    (tmp_path / "mafw/data/clips").mkdir(parents=True)
    (tmp_path / "mafw/data/clips/1.mp4").write_bytes(clip(frames=2))
    lists = tmp_path / "mafw/split/single/no_caption/set_1"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("1.mp4 disappointment\n")
    (lists / "test.txt").touch()
    said = {}
    for data, layout in (("faces", "class_folders"), ("mafw", "mafw")):
        output = tmp_path / f"{data}.jsonl"
        arguments = [str(tmp_path / data), "--layout", layout, "--output", str(output), "--preset", "paper"]
        assert main(["instruct", *arguments]) == 0
        category, conversation = map(json.loads, output.read_text().splitlines())
        said[data] = [turn["value"] for turn in category["conversations"]]
        answers = [turn["value"] for turn in conversation["conversations"][1::2]]
        assert any({"faces": "happy", "mafw": "disappointed"}[data] in answer for answer in answers)
    assert said["faces"] == [
        "<image>\nWhat is the facial expression of the person in the image? Choose one from the following options: "
        "{surprise, fear, disgust, happiness, sadness, anger, neutral}.",
        "happiness",
    ]
    assert said["mafw"] == [
        "<video>\nWhat is the facial expression of the person in the video? Choose one from the following options: "
        "{anger, disgust, fear, happiness, neutral, sadness, surprise, contempt, anxiety, helplessness, "
        "disappointment}.",
        "disappointment",
    ]
    assert main(["instruct", str(tmp_path / "faces"), "--output", str(tmp_path / "o"), "--preset", "poem"]) == 1


def test_a_label_in_the_words_of_a_set():
    words = LabelMap.from_file("common")
    assert words.among("happy", ["anger", "Happiness"]) == "Happiness"
    assert words.among("happiness", ["happy", "happiness"]) == "happiness"
    assert words.among("happy", ["joy", "happiness"]) is None
    assert words.among("happy", ["anger"]) is None
    assert words.among("tense", ["tense", "calm"]) == "tense"


def test_templates_pass_the_checks_for_every_label():
    checker, writer = ReplyChecker(LabelMap.from_file("common")), TemplateWriter()
    conversations = Conversations(writer, turns=4)
    for emotion in canonical_labels():
        for seed in range(20):
            record = Record(f"r{seed}", PICTURE, is_video=False, emotion=emotion)
            request = conversations._request(record, emotion, [Image.new("RGB", (8, 8))], [emotion], seed)
            assert len(checker.turns(writer.write(request).text, emotion, 4)) == 4


def test_the_same_seed_gives_the_same_data_and_another_seed_others(records, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(records, tmp_path / name, category=CategoryQuestions(), conversation=writer(), seed=seed)
    first, same, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == same != other


def writer(**settings):
    return Conversations(TemplateWriter(), **settings)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("", "empty"),
        ("I'm sorry, but I can't help with that.", "not JSON"),
        ("[]", "schema"),
        ('{"refused": "no", "emotion": "happy", "turns": []}', "schema"),
        ([], "empty"),
        ([("", "happy")], "empty"),
        ([("How?", "I'm sorry, I cannot tell who is happy.")], "refusal"),
        ([("How?", "As an AI I see a happy face.")], "refusal"),
        ([("How?", "happy"), ("Why?", "The smile.")], "schema"),
        ([("How?", "They look fine.")], "wrong label"),
        ([("How?", "They look unhappy.")], "wrong label"),
        ([("Is it Joy?", "happy")], "leaked label"),
        ([("How?", "happy, going by the ground-truth")], "mentions the annotation"),
    ],
)
def test_unusable_replies(reply, kind):
    if not isinstance(reply, str):
        turns = [{"question": question, "answer": answer} for question, answer in reply]
        reply = json.dumps({"refused": False, "emotion": "happy", "turns": turns})
    with pytest.raises(RejectedReply) as error:
        ReplyChecker(LabelMap.from_file("common")).turns(reply, "happy", 1)
    assert error.value.kind == kind


def test_a_fence_around_the_json_is_no_fault():
    reply = '{"refused": false, "emotion": "Happiness", "turns": [{"question": " How? ", "answer": "Joyful."}]}'
    checker = ReplyChecker(LabelMap.from_file("common"))
    assert checker.turns(f"```json\n{reply}\n```", "happy", 1) == [("How?", "Joyful.")]


def test_bytes_are_saved_beside_the_output_once(tmp_path):
    records = [Record(f"r{n}", PICTURE, emotion="sad") for n in range(2)]
    run(records, tmp_path / "deep/o.jsonl", category=CategoryQuestions())
    assert [record.source() for record in Records(tmp_path / "deep/o.jsonl")] == [
        str(path) for path in (tmp_path / "deep/o_files").iterdir()
    ] * 2
    assert next((tmp_path / "deep/o_files").iterdir()).read_bytes() == PICTURE


def test_a_killed_run_goes_on_and_a_torn_line_is_dropped(records, tmp_path):
    class Deadly(TemplateWriter):
        calls = 0

        def write(self, request):
            Deadly.calls += 1
            if Deadly.calls == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().write(request)

    def until_killed():
        talk, found = Conversations(Deadly()), Records(tmp_path / "in.jsonl")
        instruct(found, tmp_path / "o.jsonl", CategoryQuestions(), talk, concurrency=1, progress=False)

    lines = [{"id": r.id, "image": r.visual, "emotion": r.emotion} for r in records]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert forked(until_killed)[0] == -signal.SIGKILL
    assert not (tmp_path / "o.jsonl").exists()
    with open(tmp_path / "o.jsonl.journal", "ab") as journal:
        journal.write(b'{"id": "r3", "tok')
    settings = {"category": CategoryQuestions(), "conversation": writer(), "progress": False}
    report = instruct(Records(tmp_path / "in.jsonl"), tmp_path / "o.jsonl", **settings)
    assert (report.known, report.written) == (3, 3)
    settings["conversation"] = writer()
    instruct(Records(tmp_path / "in.jsonl"), tmp_path / "whole.jsonl", **settings)
    assert (tmp_path / "o.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_journal_belongs_to_its_settings(records, tmp_path):
    run(records, tmp_path / "o", category=CategoryQuestions())
    with pytest.raises(ValueError, match="begun with other `seed`"):
        run(records, tmp_path / "o", category=CategoryQuestions(), seed=1)
    with pytest.raises(ValueError, match="begun with other `category`, `conversation`"):
        run(records, tmp_path / "o", conversation=writer())
    (tmp_path / "p.journal").write_text('{"id": "x"}\n')
    with pytest.raises(ValueError, match="is no journal"):
        run(records, tmp_path / "p", category=CategoryQuestions())
    (tmp_path / "p.journal").write_text('{"settings": {}}\nnonsense\n')
    with pytest.raises(ValueError, match="at byte 17 is damaged"):
        Journal(tmp_path / "p.journal", {})


def test_a_bad_record_is_fatal_or_skipped_as_asked(records, tmp_path):
    os.truncate(records[1].visual, 30)
    settings = {"category": CategoryQuestions(), "conversation": writer()}
    with pytest.raises(RecordError, match="t:1"):
        run(records, tmp_path / "o", **settings)
    report = run(records, tmp_path / "o", on_error="skip", **settings)
    assert list(report.failed) == ["r1"]
    stranger = Record("x", PICTURE, emotion="disappointed", row="t:9")
    with pytest.raises(RecordError, match=r"t:9: label 'disappointed' is not in the .* angry, happy, sad"):
        run([stranger], tmp_path / "q", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nothing to write"),
        ({"category": CategoryQuestions(), "concurrency": 0}, "`concurrency` must be at least 1"),
        ({"category": CategoryQuestions(), "max_cost": 1.0}, "`max_cost` needs `prices`"),
        ({"category": CategoryQuestions(), "on_error": "hide"}, "`on_error` must be"),
    ],
)
def test_wrong_arguments(records, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        run(records, tmp_path / "o", **settings)


def test_wrong_settings_of_the_kinds():
    with pytest.raises(ValueError, match="`turns` must be at least 1"):
        writer(turns=0)
    with pytest.raises(ValueError, match="`per_record`"):
        CategoryQuestions(0)
    with pytest.raises(ValueError, match=r"without \{labels\}"):
        CategoryQuestions(questions=["How do they feel?"])
    with pytest.raises(ValueError, match="`requests_per_minute`"):
        writer(requests_per_minute=0)


def test_two_runs_do_not_write_one_output(records, tmp_path):
    with FileLock(tmp_path / ".o.lock"), pytest.raises(ValueError, match="Another run is writing"):
        run(records, tmp_path / "o", category=CategoryQuestions())


def test_ids_must_be_unique(records, tmp_path):
    with pytest.raises(ValueError, match="'r0' occurs twice"):
        run([*records, records[0]], tmp_path / "o", category=CategoryQuestions())


def test_a_writer_of_ones_own(records, tmp_path):
    class Parrot:
        name = "parrot"

        def write(self, request):
            turns = [{"question": "How?", "answer": f"{request.emotion}, in {len(request.frames)} frame"}]
            return Reply(json.dumps({"refused": False, "emotion": request.emotion, "turns": turns}), 7, 3)

    report = run(records, tmp_path / "o", conversation=Conversations(Parrot(), turns=1))
    assert (report.written, report.input_tokens, report.output_tokens) == (6, 42, 18)


def test_sampling_is_balanced_and_does_not_depend_on_the_order():
    records = [Record(str(n), b"x", emotion=LABELS[min(n % 10, 2)]) for n in range(100)]
    chosen = sample_ids(records, 3, per_emotion=4)
    shuffled = random.Random(0).sample(records, len(records))
    assert sample_ids(shuffled, 3, per_emotion=4) == chosen != sample_ids(records, 4, per_emotion=4)
    counts = [sum(record.emotion == label and record.id in chosen for record in records) for label in LABELS]
    assert counts == [4, 4, 4]


def test_the_rate_limit_spaces_requests():
    now, waits = [100.0], []
    limit = RateLimit(30, clock=lambda: now[0], sleep=waits.append)
    for _ in range(3):
        limit.wait()
    assert waits == [2.0, 4.0]  # the clock stands still: each waits for its own slot
    now[0] += 60
    limit.wait()
    assert waits == [2.0, 4.0]


def test_pauses_grow_up_to_a_limit_and_obey_the_server():
    def pause_before(retry: int, retry_after: float | None) -> float:
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = retry + 1
        error = TransientError("busy", retry_after)
        state.set_exception((TransientError, error, None))
        return pause(state)

    pauses = [pause_before(n, None) for n in range(12)]
    assert all(2**n / 2 <= seconds <= 2**n for n, seconds in enumerate(pauses[:6]))
    assert max(pauses) <= 60
    assert pause_before(0, 300.0) == 300.0


def test_the_command(tmp_path, capsys):
    for label in ("joy", "anger"):
        (tmp_path / "faces" / label).mkdir(parents=True)
        for n in range(3):
            (tmp_path / "faces" / label / f"{n}.png").write_bytes(PICTURE)
    (tmp_path / "faces/joy/3.png").touch()
    output = tmp_path / "o.jsonl"
    settings = ["--on-error", "skip", "--per-emotion", "2", "--turns", "2"]
    assert main(["instruct", str(tmp_path / "faces"), "--output", str(output), *settings]) == 1
    printed = capsys.readouterr()
    assert "4 written" in printed.out and "3.png is empty (0 bytes)" in printed.err
    back = list(Records(output))
    assert len(back) == 8
    assert sorted(len(record.conversation) for record in back) == [2] * 4 + [4] * 4
    assert json.loads((tmp_path / "o.jsonl.report.json").read_text())["written"] == 4


def test_the_command_says_what_is_missing(tmp_path, monkeypatch, capsys):
    (tmp_path / "faces/joy").mkdir(parents=True)
    (tmp_path / "faces/joy/a.png").write_bytes(PICTURE)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    openai = ("--writer", "openai")
    for data, settings, code, words in (
        ("faces", openai, 1, "needs --writer-model"),
        ("faces", (*openai, "--writer-model", "m", "--api-key-env", "NO_SUCH_KEY"), 1, "NO_SUCH_KEY is not set"),
        ("faces", ("--kinds", "category,poem"), 2, "poem"),
        ("faces", ("--describe", "some/model"), 1, "set --writer to gemini or openai"),
        ("faces", ("--prompt", str(tmp_path / "faces/joy/a.png")), 1, "a.png is no text in UTF-8"),
        ("nowhere", ("--kinds", "category"), 1, "is not there"),
    ):
        assert main(["instruct", str(tmp_path / data), "--output", str(tmp_path / "o"), *settings]) == code
        assert words in capsys.readouterr().err
