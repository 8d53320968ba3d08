"""TRL's `GRPOTrainer` with pictures and clips: it knows no inputs that have a row a frame."""

from typing import Any, cast

import torch
from peft import PeftModel
from trl.trainer.grpo_trainer import GRPOTrainer

from ...data.samples import attributes_of, load_visuals, with_visuals
from ...processing.processing_emo_llama import EmoLlamaProcessor
from ..run_trainer import RunTrainer
from .prompt_dataset import PromptDataset
from .visual_rows import VisualRows


class EmoLlamaGRPOTrainer(RunTrainer, GRPOTrainer):
    """
    Trains an EmoLlama by rewards of its own answers. What a group of answers is about is read and encoded by the
    processor once.

    Args:
        use_faces (`bool`): off for a model without a face prior.
        train_dataset ([`PromptDataset`]), eval_dataset ([`PromptDataset`], *optional*)
        args, kwargs: of [`RunTrainer`] and TRL's `GRPOTrainer`; `processing_class` is an [`EmoLlamaProcessor`].
    """

    processing_class: EmoLlamaProcessor

    def __init__(
        self,
        *args: Any,
        use_faces: bool,
        train_dataset: PromptDataset,
        eval_dataset: PromptDataset | None = None,
        **kwargs: Any,
    ) -> None:
        tables = [None if dataset is None else dataset.table() for dataset in (train_dataset, eval_dataset)]
        super().__init__(*args, train_dataset=tables[0], eval_dataset=tables[1], **kwargs)
        if isinstance(self.model, PeftModel) and "ref" in self.model.peft_config:
            # TRL's copy of an adapter that has learned nothing: without any, the base is the same to compare with.
            self.model.delete_adapter("ref")
        self._prompts = {True: train_dataset, False: eval_dataset}
        self._use_faces = use_faces
        self._asked: list[dict[str, Any]] = []
        self._visuals: dict[bool, VisualRows] = {}  # of training and of evaluation
        self._rows: list[int] = []

    @property
    def learned(self) -> PromptDataset | None:
        """Samples that it learns from."""
        return self._prompts[True]

    @property
    def tested(self) -> PromptDataset | None:
        """Samples that it is evaluated on."""
        return self._prompts[False]

    def card_settings(self) -> dict[str, object]:
        """What the model card is to say of this way to train."""
        return {
            "method": f"GRPO, {self.num_generations} answers to a question at temperature {self.temperature:g}",
            "rewards": ", ".join(self.reward_func_names),
            "KL weight": self.beta,
        }

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._asked, self._rows = inputs, list(range(len(inputs)))
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        # The base class shuffles and splits what it made; this says which row is whose.
        return {**output, "rows": torch.arange(len(inputs))}

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self._rows = inputs["rows"].tolist()
        loss: torch.Tensor = super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        return loss

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, torch.Tensor]]:
        training = self.model.training
        dataset, processor = cast(PromptDataset, self._prompts[training]), self.processing_class
        places = [row["index"] for row in self._asked]
        order = list(dict.fromkeys(places))
        samples = [dataset.asked(place) for place in order]
        loaded = [load_visuals(processor, sample) for sample in samples]
        visuals = [visual for row in loaded for visual in row]
        texts = processor.apply_chat_template(
            [with_visuals(sample, [None] * len(row))["messages"] for sample, row in zip(samples, loaded, strict=True)],
            tokenize=False,
            add_generation_prompt=True,
        )
        tokens = processor.text_inputs(
            texts,
            visuals,
            questions=[q for sample in samples for q in processor.prompt.questions_of(sample["messages"])],
            attributes=[
                values
                for sample, row in zip(samples, loaded, strict=True)
                for values in attributes_of(processor, sample, len(row))
            ],
            padding=False,
        )
        ids = dict(zip(order, tokens["input_ids"], strict=True))
        tensors = processor.visual_inputs(visuals, return_tensors="pt")
        tensors |= {name: torch.as_tensor(value) for name, value in tokens.items() if name.startswith("qformer_")}
        if not self._use_faces:
            tensors = {name: value for name, value in tensors.items() if not name.startswith("face_")}
        # From here on a row is an answer, of which several are about one sample.
        rows = VisualRows(tensors, [len(row) for row in loaded]).repeated([order.index(place) for place in places])
        self._visuals[training] = rows
        return [ids[place] for place in places], None, rows.take(self._rows)

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: torch.Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        left = iter(self._rows)

        def seeing(**inputs: Any) -> Any:
            """The model, with what the next rows are about."""
            rows = [next(left) for _ in inputs["input_ids"]]
            visual_inputs = self._visuals[self.model.training].take(rows)
            return model(**inputs, **{name: value.to(input_ids.device) for name, value in visual_inputs.items()})

        return super()._get_per_token_logps_and_entropies(seeing, input_ids, *args, **kwargs)
