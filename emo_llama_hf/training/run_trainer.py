"""A `Trainer` whose runs are saved whole, with a model card, and whose parts may have learning rates of their own."""

import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from torch import nn
from torch.optim import Optimizer
from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import ADAPTER_CONFIG_NAME, CONFIG_NAME

from ..carried_pipeline import carry_pipeline
from ..input_error import InputError
from ..whole_file import named_errors, whole_files, write_text
from .checkpoints import is_whole, readable_checkpoint
from .emotion_dataset import EmotionDataset
from .precision import weights_in
from .run_card import RunOrigin, run_card
from .trainable_parts import part_of


class RunTrainer(Trainer):
    """
    What every way to train an EmoLlama has in common.

    Args:
        origin ([`RunOrigin`], *optional*): what an adapter and the model card are to say about base and data.
        stored (`torch.dtype`, *optional*):
            Type of the weights in the output folder, where they are no adapter; by default that which they learn in.
        args, kwargs:
            Of `Trainer`; its `args` has `rates`, the learning rates of parts, and the data sets are
            [`EmotionDataset`]s.
    """

    def __init__(
        self, *args: Any, origin: RunOrigin | None = None, stored: torch.dtype | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.origin, self.stored = origin or RunOrigin(), stored

    @property
    def learned(self) -> EmotionDataset | None:
        """Samples that it learns from."""
        return cast(EmotionDataset | None, self.train_dataset)

    @property
    def tested(self) -> EmotionDataset | None:
        """Samples that it is evaluated on."""
        return cast(EmotionDataset | None, self.eval_dataset)

    def card_settings(self) -> dict[str, object]:
        """What the model card is to say of this way to train."""
        raise NotImplementedError

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """As the base class, but nothing more where a resumed run had made all its steps: that would do one more."""
        if self.state.global_step >= self.state.max_steps:
            return [], None
        return super().get_batch_samples(*args, **kwargs)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As the base class; it is known to be whole by the trainer's state, which comes last."""
        folder = Path(self._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
        if self.args.should_save:
            (folder / TRAINER_STATE_NAME).unlink(missing_ok=True)  # of an earlier run
        try:
            with named_errors(folder):
                super()._save_checkpoint(model, trial)
        except BaseException:
            if self.args.should_save and not is_whole(folder):
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()  # the state, which comes next, is to say that all have saved theirs

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """
        As the base class, with a model card; all files appear when the last one is there. Checkpoints keep the type
        that weights learn in, so that a run goes on exactly.
        """
        if not self.args.should_save:
            super()._save(output_dir, state_dict)
            return
        output = output_dir or self.args.output_dir
        adapter = isinstance(self.model, PeftModel)
        dtype = self.stored if not adapter and Path(output) == Path(self.args.output_dir) else None
        with whole_files(output, last=(CONFIG_NAME, ADAPTER_CONFIG_NAME)) as unfinished:
            with nullcontext() if dtype is None else weights_in(self.model, dtype):
                super()._save(str(unfinished), state_dict)
            if adapter and self.origin.base is not None:
                self.origin.base.record(unfinished, self.model.get_base_model(), self.hub_model_id)
            if not adapter:
                carry_pipeline(unfinished)
            write_text(unfinished / "README.md", str(run_card(self, self.origin)))  # PEFT writes one of its own

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        with readable_checkpoint(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with readable_checkpoint(checkpoint or ""):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with readable_checkpoint(checkpoint or ""):
            super()._load_rng_state(checkpoint)

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """As the base class, with the groups split by part where parts have learning rates of their own."""
        made = self.optimizer is None
        optimizer: Optimizer = super().create_optimizer(*(() if model is None else (model,)))
        if not made or not self.args.rates:
            return optimizer
        parts = {id(p): part_of(name) for name, p in (self.model if model is None else model).named_parameters()}
        unused = sorted(set(self.args.rates) - {parts[id(p)] for g in optimizer.param_groups for p in g["params"]})
        if unused:
            raise InputError(f"`learning_rates` names {', '.join(unused)}, which does not learn.")
        groups = []
        for group in optimizer.param_groups:
            for part in dict.fromkeys(parts[id(p)] for p in group["params"]):
                members = [p for p in group["params"] if parts[id(p)] == part]
                groups.append({**group, "params": members, "lr": self.args.rates.get(part, group["lr"])})
        optimizer.param_groups = groups
        return optimizer

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write the run's card, with the newest figures; what the base class would write into it is not asked for."""
        if self.args.should_save:
            write_text(Path(self.args.output_dir) / "README.md", str(run_card(self, self.origin)))
