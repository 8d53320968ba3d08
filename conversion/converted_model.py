"""A converted model that is planned and not read yet, and the folder that it is written to."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig
from transformers.dynamic_module_utils import custom_object_save

from ..carried_pipeline import carry_pipeline
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .conversion_card import conversion_card
from .lora_adapter import LoraAdapter
from .output_folder import published_folder
from .placeholder_row import with_placeholder_row
from .plan import Plan, cast, check_plan, table
from .provenance import Provenance
from .safetensors_writer import write_safetensors
from .write_settings import DTYPES, WriteSettings

ADAPTER_FOLDER = "adapter"


@dataclass(frozen=True)
class ConvertedModel:
    """
    What goes into the folder of a converted model.

    Args:
        model ([`EmoLlamaForConditionalGeneration`]): on the meta device, see [`meta_model`].
        plan (`Plan`): what fills it.
        processor ([`EmoLlamaProcessor`]): the model's.
        generation_config (`GenerationConfig`): the model's.
        origin (`Provenance`): what it is converted from.
        adapter (`LoraAdapter`, *optional*): LoRA weights that are kept apart.
    """

    model: EmoLlamaForConditionalGeneration
    plan: Plan
    processor: EmoLlamaProcessor
    generation_config: GenerationConfig
    origin: Provenance
    adapter: LoraAdapter | None = None

    def write(self, output: str | Path, settings: WriteSettings) -> str:
        """
        Check the plan and write everything that `from_pretrained` needs, and a model card.

        Args:
            output (`str` or `Path`): the folder to make. It is there only when everything is in it.
            settings (`WriteSettings`): how to write.

        Returns:
            `str`: the plan as a table: target, shape, dtype, source file, source tensors.

        Raises:
            `ConversionError`: the plan does not fill the model, or a source file is damaged.
            `FileExistsError`: `output` is there already.
        """
        plan = with_placeholder_row(self.plan, self.model.config.text_config.vocab_size)
        if settings.dtype is not None:
            plan = cast(plan, DTYPES[settings.dtype])
        check_plan(plan, _parameters(self.model))
        if not settings.dry_run:
            self._write(plan, Path(output), settings)
        return table(plan)

    def _write(self, plan: Plan, output: Path, settings: WriteSettings) -> None:
        config = self.model.config
        config.architectures = [type(self.model).__name__]
        config.dtype = _most_used_dtype(plan)
        with published_folder(output, settings.push_to_hub) as folder:
            write_safetensors(plan, folder, settings.max_shard_size, settings.progress)
            for module in (self.model, self.model.model):
                custom_object_save(module, folder, config=config)
            config.save_pretrained(folder)
            self.generation_config.save_pretrained(folder)
            self.processor.save_pretrained(folder)
            carry_pipeline(folder)
            if self.adapter is not None:
                self.adapter.save(folder / ADAPTER_FOLDER, settings.push_to_hub or str(output.absolute()))
            self.origin.save(folder)
            has_detector = self.processor.faces.detector is not None
            card = conversion_card(settings.push_to_hub or output.name, config, self.origin, has_detector)
            card.save(folder / "README.md")


def _parameters(model: EmoLlamaForConditionalGeneration) -> dict[str, torch.Tensor]:
    """The tensors that a checkpoint of the model has: a tied output embedding is not among them."""
    tied = model._tied_weights_keys if model.config.tie_word_embeddings else ()
    return {name: tensor for name, tensor in model.state_dict().items() if name not in tied}


def _most_used_dtype(plan: Plan) -> torch.dtype:
    sizes: Counter[torch.dtype] = Counter()
    for tensor in plan.values():
        sizes[tensor.dtype] += torch.Size(tensor.shape).numel()
    return sizes.most_common(1)[0][0]
