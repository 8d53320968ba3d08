"""Whether and where a run keeps what its frozen eyes see, and how that is computed."""

import math
import os
import shutil
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from accelerate.utils import broadcast_object_list, gather_object
from torch.utils.data import ConcatDataset, DataLoader, Subset
from tqdm.auto import tqdm
from transformers import PreTrainedModel, TrainingArguments

from ..data.sample import Sample
from ..data.samples import load_visuals, source_key, visual_parts
from ..modeling.configuration_emo_llama import EmoLlamaConfig
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..processing.processing_emo_llama import EmoLlamaProcessor
from .data_collator import EmoLlamaDataCollator
from .emotion_dataset import EmotionDataset
from .feature_cache import FeatureCache
from .seen_visual import SeenVisual
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
    dataset: EmotionDataset,
    eval_dataset: EmotionDataset | None = None,
) -> Iterator[None]:
    """
    Let a collator read features that all processes compute together, where that is asked for or spares work. What
    nobody asked for lies in the run's folder until the run has ended; one that was stopped finds it again. The
    files of pictures and clips are read once.

    Args:
        tuning ([`TuningArguments`])
        arguments (`TrainingArguments`)
        model ([`EmoLlamaForConditionalGeneration`]): of which what learns is known.
        collator ([`EmoLlamaDataCollator`])
        dataset, eval_dataset ([`EmotionDataset`], *optional*): all that the run reads.
    """
    datasets = [part for part in (dataset, eval_dataset) if part is not None]
    own = Path(arguments.output_dir) / FOLDER
    wanted = tuning.named_cache is not None
    if tuning.feature_cache != OFF and not wanted:
        wanted = not tuning.augment and _spares_work(arguments, model, collator.processor, *datasets)
    if wanted:
        eyes: list[PreTrainedModel] = [model.model.vision_model]
        face_prior = model.model.face_prior
        if collator.use_faces and face_prior is not None and _frozen(face_prior):
            eyes.append(face_prior)
        cache = FeatureCache(tuning.named_cache or own, *eyes)
        places = [part.device for part in eyes]
        for part in eyes:
            part.to(arguments.device)
        seen = _fill(cache, model, collator, arguments, datasets)
        for part, place in zip(eyes, places, strict=True):
            part.to(place)
        if torch.accelerator.is_available():
            torch.accelerator.empty_cache()
        collator.feature_cache = cache
        if "face_pixel_values" in cache.pixels or not collator.use_faces:  # else a face prior that learns looks on
            for kept in datasets:
                kept.seen = seen
    yield
    if tuning.named_cache is None:
        collator.feature_cache = None
        for kept in datasets:
            kept.seen = {}
        if arguments.should_save:
            shutil.rmtree(own, ignore_errors=True)


def _frozen(part: PreTrainedModel) -> bool:
    return not any(weights.requires_grad for weights in part.parameters())


def _spares_work(
    arguments: TrainingArguments,
    model: EmoLlamaForConditionalGeneration,
    processor: EmoLlamaProcessor,
    dataset: EmotionDataset,
    *eval_datasets: EmotionDataset,
) -> bool:
    """Whether pictures come twice or more, nothing of the encoder learns, and there is room for what it sees."""
    state = arguments.distributed_state
    shared = state.num_processes == int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # all processes see one disk
    if not shared or not _frozen(model.model.vision_model):
        return False
    shown = [part for sample in dataset.samples for part in visual_parts(sample["messages"])]
    parts = {source_key(part): part for part in shown}
    epochs = arguments.num_train_epochs
    if arguments.max_steps > 0:
        step = arguments.train_batch_size * arguments.gradient_accumulation_steps * state.num_processes
        epochs = arguments.max_steps * step / len(dataset)
    if not parts or math.ceil(epochs * len(shown)) < 2 * len(parts):
        return False
    for tested in eval_datasets:
        parts |= {source_key(part): part for sample in tested.samples for part in visual_parts(sample["messages"])}
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
    datasets: list[EmotionDataset],
) -> dict[Hashable, SeenVisual]:
    """Compute what the cache lacks of these data sets, shared among the processes, and say what is in it."""
    samples = [sample for dataset in datasets for sample in dataset.samples]
    known: set[Hashable] = set()
    new = []  # places of samples that show what none before them does
    for index, sample in enumerate(samples):
        sources = {source_key(part) for part in visual_parts(sample["messages"])}
        if sources - known:
            new.append(index)
            known |= sources
    state = arguments.distributed_state
    batches: DataLoader[Sample] = DataLoader(
        Subset(ConcatDataset(datasets), new[state.process_index :: state.num_processes]),
        arguments.eval_batch_size,
        num_workers=arguments.dataloader_num_workers,
        collate_fn=partial(_inputs, collator),
        generator=torch.Generator(),  # the run's own stays as it is
    )
    found: list[tuple[str, int, tuple[bool, ...] | None]] = []  # of each visual of these samples
    with tqdm(batches, "features", unit="batch", disable=arguments.disable_tqdm) as progress:
        for inputs in progress:
            cache.add(model, inputs)
            counts = inputs["frame_counts"].tolist()
            masks: list[tuple[bool, ...] | None] = [None] * len(counts)
            if "face_mask" in inputs:
                masks = [tuple(mask.tolist()) for mask in inputs["face_mask"].split(counts)]
            found += zip(cache.keys(inputs), counts, masks, strict=True)
    of_all = gather_object([found]) if state.num_processes > 1 else [found]
    cache.refresh()
    seen = {}
    for rank, rows in enumerate(of_all):
        shown = [
            part for index in new[rank :: state.num_processes] for part in visual_parts(samples[index]["messages"])
        ]
        for visual, (key, frames, mask) in zip(shown, rows, strict=True):
            seen[source_key(visual)] = SeenVisual.of(key, frames, visual["type"] == "video", mask)
    return seen


def _inputs(collator: EmoLlamaDataCollator, samples: list[Sample]) -> dict[str, torch.Tensor]:
    return collator.visual_inputs([v for sample in samples for v in load_visuals(collator.processor, sample)])
