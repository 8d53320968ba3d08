"""One answer while it is being written: its tokens, its text so far, and when it ends."""

from collections.abc import Callable, Collection
from typing import Literal

from transformers import PreTrainedTokenizerBase


class AnswerRow:
    """
    A row of a batch.

    Args:
        tokenizer (`PreTrainedTokenizerBase`)
        ends (`Collection[int]`): tokens that end an answer.
        limit (`int`): the most tokens.
        stops (`Collection[str]`, *optional*): texts that end it, and are not in it.
        on_text (`Callable[[str], None]`, *optional*): told each further piece of the text, as soon as it is certain.

    Attributes:
        prompt_tokens (`int`): that were read.
        tokens (`list[int]`): that were written, with the one that ended it.
        finish_reason (`str`, *optional*): `"stop"` or `"length"`, once it has ended.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        ends: Collection[int],
        limit: int,
        stops: Collection[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self._tokenizer, self._ends, self._limit, self._stops, self._on_text = tokenizer, ends, limit, stops, on_text
        self._told = ""
        self.prompt_tokens = 0
        self.tokens: list[int] = []
        self.finish_reason: Literal["stop", "length"] | None = None

    @property
    def text(self) -> str:
        """What the tokens say, up to a text that stops it."""
        text: str = self._tokenizer.decode(self.tokens, skip_special_tokens=True)
        text = text.strip() if self.finish_reason else text.lstrip()
        cut = min((at for stop in self._stops if (at := text.find(stop)) >= 0), default=None)
        return text if cut is None else text[:cut].rstrip()

    @property
    def has_told(self) -> bool:
        """Whether a piece of it is out."""
        return bool(self._told)

    def add(self, token: int) -> None:
        """One more token; after the end, nothing."""
        if self.finish_reason is not None:
            return
        self.tokens.append(token)
        if token in self._ends or (self._stops and self._is_stopped()):
            self.finish_reason = "stop"
        elif len(self.tokens) >= self._limit:
            self.finish_reason = "length"
        if self._on_text is not None:
            self._tell(self.text if self.finish_reason else self._certain(self.text))

    def close(self) -> None:
        """There are no more tokens, whoever decided so."""
        if self.finish_reason is None:
            self.finish_reason = "stop"
            if self._on_text is not None:
                self._tell(self.text)

    def _is_stopped(self) -> bool:
        text = self._tokenizer.decode(self.tokens, skip_special_tokens=True).lstrip()
        return any(stop in text for stop in self._stops)

    def _certain(self, text: str) -> str:
        """The beginning that no further token changes: no half character, no end that may belong to a stop."""
        text = text.rstrip("\ufffd")
        longest = max(map(len, self._stops), default=0) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                text = text[:-length]
                break
        return text.rstrip()

    def _tell(self, text: str) -> None:
        assert self._on_text is not None
        if text.startswith(self._told) and text != self._told:
            self._on_text(text[len(self._told) :])
            self._told = text
