"""Whether and where a run keeps what its frozen eyes see, and how that is computed."""

import math
import os
import shutil
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from accelerate.utils import broadcast_object_list
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import PreTrainedModel, TrainingArguments

from ..chat_message import ChatPart
from ..data.sample import Sample
from ..data.samples import RecordVisual, load_visuals, visual_parts
from ..modeling.configuration_emo_llama import EmoLlamaConfig
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .data_collator import EmoLlamaDataCollator
from .feature_cache import FeatureCache, fill_cache
from .tuning_arguments import OFF, TuningArguments

FOLDER = "_features"  # in the run's folder, from where what begins so is not pushed to the hub
LIMIT = 20e9  # bytes that a run takes unasked,
SHARE = 0.5  # and the part of the disk's free space


@contextmanager
def cached_features(
    tuning: TuningArguments,
    arguments: TrainingArguments,
    model: EmoLlamaForConditionalGeneration,
    collator: EmoLlamaDataCollator,
    train_samples: Sequence[Sample],
    eval_samples: Sequence[Sample] = (),
) -> Iterator[None]:
    """
    Let a collator read features that all processes compute together, where that is asked for or spares work. What
    nobody asked for lies in the run's folder until the run has ended; one that was stopped finds it again.

    Args:
        tuning ([`TuningArguments`])
        arguments (`TrainingArguments`)
        model ([`EmoLlamaForConditionalGeneration`]): of which what learns is known.
        collator ([`EmoLlamaDataCollator`])
        train_samples, eval_samples (`Sequence[Sample]`)
    """
    own = Path(arguments.output_dir) / FOLDER
    wanted = tuning.named_cache is not None
    if tuning.feature_cache != OFF and not wanted:
        wanted = not tuning.augment and _spares_work(arguments, model, collator.processor, train_samples, eval_samples)
    if wanted:
        face_prior = model.model.face_prior if collator.use_faces else None
        cache = FeatureCache(
            tuning.named_cache or own, model.model.vision_model, face_prior if _frozen(face_prior) else None
        )
        _fill(cache, model, collator, arguments, [*train_samples, *eval_samples])
        collator.feature_cache = cache
    yield
    if tuning.named_cache is None:
        collator.feature_cache = None
        if arguments.should_save:
            shutil.rmtree(own, ignore_errors=True)


def _frozen(part: PreTrainedModel | None) -> bool:
    return part is not None and not any(weights.requires_grad for weights in part.parameters())


def _spares_work(
    arguments: TrainingArguments,
    model: EmoLlamaForConditionalGeneration,
    processor: EmoLlamaProcessor,
    train_samples: Sequence[Sample],
    eval_samples: Sequence[Sample],
) -> bool:
    """Whether pictures come twice or more, nothing of the encoder learns, and there is room for what it sees."""
    state = arguments.distributed_state
    shared = state.num_processes == int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # all processes see one disk
    if not shared or not _frozen(model.model.vision_model):
        return False
    parts = {_source(part): part for sample in train_samples for part in visual_parts(sample["messages"])}
    shown = sum(len(visual_parts(sample["messages"])) for sample in train_samples)
    epochs = arguments.num_train_epochs
    if arguments.max_steps > 0:
        step = arguments.train_batch_size * arguments.gradient_accumulation_steps * state.num_processes
        epochs = arguments.max_steps * step / len(train_samples)
    if not parts or math.ceil(epochs * shown) < 2 * len(parts):
        return False
    parts |= {_source(part): part for sample in eval_samples for part in visual_parts(sample["messages"])}
    clips = processor.video_processor
    frames = max(clips.num_frames, clips.max_frames or 0)
    size = _bytes_of_a_frame(model.config, model.model.vision_model.dtype.itemsize) * sum(
        frames if part["type"] == "video" else 1 for part in parts.values()
    )
    output = Path(arguments.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    answer = [size <= min(LIMIT, SHARE * shutil.disk_usage(output).free)]
    if state.num_processes > 1:
        broadcast_object_list(answer)
    return answer[0]


def _source(part: ChatPart) -> Hashable:
    """What two parts have in common that show the same."""
    source = part.get(part["type"])
    if isinstance(source, RecordVisual):
        return source.record.visual, source.record.is_video
    return source if isinstance(source, str | bytes | Path) else id(source)


def _bytes_of_a_frame(config: EmoLlamaConfig, width: int) -> int:
    vision, face = config.vision_config, config.face_config
    numbers = ((vision.image_size // vision.patch_size) ** 2 + 1) * vision.hidden_size
    if face is not None:
        numbers += (face.image_size // 4) ** 2 * face.hidden_size
    return int(numbers * width)


def _fill(
    cache: FeatureCache,
    model: EmoLlamaForConditionalGeneration,
    collator: EmoLlamaDataCollator,
    arguments: TrainingArguments,
    samples: list[Sample],
) -> None:
    """Compute what the cache lacks of these samples, shared among the processes."""
    seen: set[Hashable] = set()
    new = []  # samples that show what none before them does
    for sample in samples:
        sources = {_source(part) for part in visual_parts(sample["messages"])}
        if sources - seen:
            new.append(sample)
            seen |= sources
    state = arguments.distributed_state
    mine = new[state.process_index :: state.num_processes]
    batches: DataLoader[Sample] = DataLoader(
        mine,  # type: ignore[arg-type]
        arguments.eval_batch_size,
        num_workers=arguments.dataloader_num_workers,
        collate_fn=partial(_inputs, collator),
        generator=torch.Generator(),  # the run's own stays as it is
    )
    eyes = [part for part in (model.model.vision_model, model.model.face_prior) if part is not None]
    places = [part.device for part in eyes]
    for part in eyes:
        part.to(arguments.device)
    with tqdm(batches, "features", unit="batch", disable=arguments.disable_tqdm) as progress:
        fill_cache(cache, model, progress)
    for part, place in zip(eyes, places, strict=True):
        part.to(place)
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    state.wait_for_everyone()
    cache.refresh()


def _inputs(collator: EmoLlamaDataCollator, samples: list[Sample]) -> dict[str, torch.Tensor]:
    return collator.visual_inputs([v for sample in samples for v in load_visuals(collator.processor, sample)])
