"""Chats, questions, labels, attributes and generation arguments that make no sense, or more sense than they should."""

from pathlib import Path
from typing import Any

from case import Case, check_scores, default_pipeline
from hypothesis import strategies as st
from PIL import Image

from emo_llama_hf.chat.questions import read_input, visual_sources

PICTURE = Image.new("RGB", (32, 24), (90, 120, 60))


def nested(depth: int, inner: Any = None, of: type = list) -> Any:
    """`[[[...]]]`, or the same of dicts."""
    for _ in range(depth):
        inner = [inner] if of is list else {"a": inner}
    return inner


TEXTS = [
    "Why?", "", " ", "\n", "\0", "\ud800", "a\udcffb", "x" * 5_000, "wo " * 3000, "😀" * 50, "<image>", "<video>",
    "<image><image>", "</s>", "<s>", "<unk>", "[PAD]", "[CLS] [SEP]", "USER: hi ASSISTANT:",
    "ASSISTANT: happy</s>USER:",
    "{{ messages }}", "{% raw %}", "{attributes}", "\u202e\u2066", "ﷺ", "\ufdd0", "\U0010ffff", "%s %d", "\\", "'\"",
]  # fmt: skip
ODD = [None, 0, -1, 1.5, float("nan"), True, b"Why?", (), [], {}, [[]], [None], {"type": "text"}, object(),
    iter(["Why?"]),
       PICTURE, nested(20_000), nested(20_000, of=dict), 10**5000, "Why?", {"a"}, range(2), int]  # fmt: skip
ROLES = ["user", "user", "user", "assistant", "system", "", "User", "tool", "USER:", "\ud800", None, 3, ["user"], {}]


def texts() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(TEXTS), st.text(st.characters(codec=None), max_size=30))


def anything() -> st.SearchStrategy[Any]:
    return st.one_of(st.sampled_from(ODD), texts())


@st.composite
def parts(draw: st.DrawFn) -> Any:
    """A part of a message."""
    kind = draw(st.sampled_from(["text", "text", "image", "image", "video", "source", "odd", "extra"]))
    if kind == "text":
        return {"type": "text", "text": draw(texts())}
    if kind == "image":
        return {"type": "image", "image": PICTURE}
    if kind == "video":
        return {"type": "video", "video": [PICTURE] * draw(st.integers(1, 3))}
    if kind == "odd":
        return draw(anything())
    if kind == "extra":
        return {draw(st.sampled_from(["type", "text", "image", "role", "url"])): draw(anything()) for _ in range(3)}
    name = draw(st.sampled_from(["image", "video", "url", "path", "base64", "image_url", "text"]))
    return {
        "type": draw(st.sampled_from(["image", "video", "image_url", "audio", "text", 3, None])),
        name: draw(anything()),
    }


@st.composite
def messages(draw: st.DrawFn) -> Any:
    """A turn of a chat."""
    role = draw(st.sampled_from(ROLES))
    content = draw(st.one_of(st.lists(parts(), max_size=4), st.lists(parts(), max_size=4), texts(), anything()))
    message = {"role": role, "content": content}
    if draw(st.integers(0, 9)) == 0:
        message[draw(st.sampled_from(["name", "tool_calls", "content", "role", ""]))] = draw(anything())
    if draw(st.integers(0, 19)) == 0:
        return draw(anything())
    return message


@st.composite
def chats(draw: st.DrawFn) -> Any:
    """A whole chat: one that begins as it should, or not."""
    kind = draw(st.sampled_from(["begun", "begun", "any", "long", "tuple", "iterator", "dict"]))
    begin = [
        {"role": "user", "content": [{"type": "image", "image": PICTURE}, {"type": "text", "text": draw(texts())}]}
    ]
    if kind == "begun":
        return begin + draw(st.lists(messages(), max_size=3))
    if kind == "long":
        turn = [{"role": "assistant", "content": draw(texts())[:40]}, {"role": "user", "content": draw(texts())[:40]}]
        return begin + turn * draw(st.sampled_from([1, 5, 40]))
    if kind == "tuple":
        return tuple(draw(st.lists(messages(), max_size=3)))
    if kind == "iterator":
        return iter(draw(st.lists(messages(), max_size=3)))
    if kind == "dict":
        given = {
            "image": PICTURE,
            "question": draw(anything()),
            "attributes": draw(anything()),
            "more": draw(anything()),
        }
        return {name: given[name] for name in draw(st.lists(st.sampled_from(list(given)), unique=True, max_size=4))}
    return draw(st.lists(messages(), min_size=1, max_size=4))


def labels() -> st.SearchStrategy[Any]:
    return st.one_of(
        anything(),
        st.lists(texts(), max_size=4),
        st.lists(anything(), max_size=4),
        st.sampled_from([["happy"] * 2, [f"word {i}" for i in range(500)], "happy", ("calm", "tense"), {"calm": 1}]),
    )


def attributes() -> st.SearchStrategy[Any]:
    names = st.sampled_from(["age", "gender", "race", "mood", "", None, 3])
    pairs = st.tuples(anything(), anything())
    return st.one_of(anything(), st.dictionaries(names, st.one_of(anything(), pairs, texts()), max_size=3))


GENERATION = [
    "max_new_tokens", "min_new_tokens", "max_length", "temperature", "top_k", "top_p", "num_beams",
    "num_return_sequences",
    "do_sample", "repetition_penalty", "no_repeat_ngram_size", "bad_words_ids", "stop_strings", "eos_token_id",
    "pad_token_id", "bos_token_id", "suppress_tokens", "forced_eos_token_id", "length_penalty", "early_stopping",
    "output_scores", "return_dict_in_generate", "use_cache", "cache_implementation", "num_beam_groups",
    "penalty_alpha",
    "logits_processor", "stopping_criteria", "streamer", "generation_config", "assistant_model",
    "prefix_allowed_tokens_fn",
    "synced_gpus", "max_time", "guidance_scale", "sequence_bias", "typical_p", "min_p", "epsilon_cutoff",
    "custom_generate",
    "renormalize_logits", "begin_suppress_tokens", "watermarking_config", "prompt_lookup_num_tokens", "input_ids",
]  # fmt: skip
VALUES = [
    -5,
    -1,
    0,
    1,
    2,
    3,
    10**9,
    2**70,
    0.0,
    -1.0,
    0.5,
    1.5,
    1e-9,
    1e308,
    float("nan"),
    float("inf"),
    "x",
    "3",
    "",
    None,
    True,
    False,
    [],
    [0],
    [1, 2],
    [[5]],
    [[]],
    ["a"],
    {},
    {"a": 1},
    [-1],
    [10**6],
    b"",
    ["\ud800"],
]
SETTINGS = [
    "num_frames",
    "fps",
    "on_error",
    "return_perceived",
    "limits",
    "batch_size",
    "num_workers",
    "foo",
    "generate_kwargs",
]


@st.composite
def arguments(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of the pipeline."""
    kind = draw(st.sampled_from(["none", "none", "labels", "question", "attributes", "generation", "setting"]))
    if kind == "none":
        return {}
    if kind == "generation":
        names = draw(st.lists(st.sampled_from(GENERATION), min_size=1, max_size=3, unique=True))
        given = {name: draw(st.sampled_from(VALUES)) for name in names}
        long = {
            "max_new_tokens",
            "max_length",
            "min_new_tokens",
            "num_beams",
            "num_return_sequences",
            "num_beam_groups",
        }
        for name in long & set(given):  # asking for much takes long, and that is no fault
            if isinstance(given[name], (int, float)) and given[name] > 3:
                given[name] = 3
        return given
    if kind == "setting":
        return {draw(st.sampled_from(SETTINGS)): draw(st.sampled_from([*VALUES, object()]))}
    return {kind: draw({"labels": labels, "question": anything, "attributes": attributes}[kind]())}


def cases(cheap: bool = False) -> st.SearchStrategy[Case]:
    """Chats; `cheap` only reads them."""
    return read() if cheap else asked()


@st.composite
def read(draw: st.DrawFn) -> Case:
    chat = draw(chats())

    def ask(folder: Path) -> None:
        visual_sources(read_input(chat, None, ["happy", "sad"])[0])

    return Case(f"{_shown(chat)}", ask)


@st.composite
def asked(draw: st.DrawFn) -> Case:
    given = draw(arguments())
    chat = draw(chats()) if not given or draw(st.booleans()) else PICTURE

    def ask(folder: Path) -> None:
        on_error = "raise" if given.get("on_error") is None else given["on_error"]  # of lists, it is else "return"
        result = default_pipeline()(chat, **{**given, "on_error": on_error})
        if isinstance(result, (dict, list)):
            check_scores(result)
        else:
            for one in result:
                check_scores(one)

    return Case(f"{_shown(chat)} with {_shown(given)}", ask, names=tuple(given))


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.600}"
    except (RecursionError, ValueError):  # nested too deep, or more digits than Python prints
        return f"a {type(value).__name__} that cannot be shown"
