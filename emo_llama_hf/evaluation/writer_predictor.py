"""Answers of a model that only writes: one behind an endpoint, zero-shot, as the paper compares with GPT-4V."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from ..closed_set import closed_question
from ..processing.prompts import Attributes
from ..processing.visual import Visual
from ..writers import NoReplyError, Patience, Request, WriterError
from .predictor import Answer


class WriterPredictor:
    """
    Asks a [`Writer`] the closed question. A clip is shown as its sampled frames, one picture after the other. There
    are no scores: who only writes tells no likelihoods.

    Args:
        patience ([`Patience`]): asks the writer, and asks again.
        labels (`list[str]`): the label set where data have none of their own.
    """

    def __init__(self, patience: Patience, labels: list[str]) -> None:
        self.patience = patience
        self.device = torch.device("cpu")
        self.labels = labels

    def __call__(
        self, visuals: list[Visual], attributes: Sequence[Attributes | None], labels: list[str] | None = None
    ) -> list[Answer]:
        """
        Ask the closed question about each, all at a time.

        Args:
            visuals (`list[Visual]`): B pictures and clips.
            attributes (`list[dict | None]`): not asked about: other models know no attribute prompt.
            labels (`list[str]`, *optional*): the label set of this question; the predictor's by default.

        Returns:
            `list[Answer]`, one for each visual. What the provider refused to answer is an empty answer with a
            `refusal`; where there was no reply, there is an error.

        Raises:
            `WriterError`: the writer cannot be used at all, and answered none of these.
        """
        labels = labels or self.labels
        with ThreadPoolExecutor(len(visuals)) as pool:
            asked = [pool.submit(self._answer, visual, labels) for visual in visuals]
            try:
                found = [future.result() for future in asked]
            except BaseException:
                self.patience.stopped.set()  # threads that wait for another try end
                raise
        answers = [one for one in found if not isinstance(one, WriterError)]
        if len(answers) < len(found) and all("error" in answer for answer in answers):
            raise next(one for one in found if isinstance(one, WriterError))
        # What was answered, and paid for, is kept; the next batch raises if the writer is still of no use.
        return [{"error": str(one)} if isinstance(one, WriterError) else one for one in found]

    def _answer(self, visual: Visual, labels: list[str]) -> Answer | WriterError:
        question = closed_question("video" if visual.is_video else "image", labels)
        try:
            reply = self.patience.write(Request(visual.frames, visual.is_video, question, seed=0))
        except NoReplyError as error:
            return {"error": str(error)}
        except WriterError as error:
            return error
        if reply.refusal:  # a refusal may name labels, and chooses none
            return {"answer": "", "scores": {}, "perceived": {}, "refusal": reply.refusal}
        return {"answer": reply.text.strip(), "scores": {}, "perceived": {}}
