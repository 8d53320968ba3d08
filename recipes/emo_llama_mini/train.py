"""
Train emo-llama-mini, the checkpoint that comes with the package, from the parquet files of FER2013 and FairFace:

    python recipes/emo_llama_mini/train.py DATA WORK OUTPUT

Every step leaves its result in WORK and is skipped where that is there; a training that was stopped goes on. On CPU or
GPU; what is chosen stands in `recipe.json`, what is said in `chats.json`.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from chats import Chats
from make_tokenizers import language_tokenizer, question_tokenizer
from measure import measure
from safetensors.torch import load_model, save_model
from transformers import GenerationConfig, TrainingArguments, set_seed

from emo_llama_hf import (
    EmoLlamaConfig,
    EmoLlamaFaceConfig,
    EmoLlamaFacePriorModel,
    EmoLlamaForConditionalGeneration,
    EmoLlamaImageProcessor,
    EmoLlamaProcessor,
    EmoLlamaVideoProcessor,
    default_model,
)
from emo_llama_hf.data import Records
from emo_llama_hf.processing.face_detection import EmoLlamaFaceDetector
from emo_llama_hf.processing.face_finder import FaceSettings
from emo_llama_hf.processing.prompt_settings import PromptSettings
from emo_llama_hf.training import (
    EmoLlamaTrainingArguments,
    FaceBatches,
    FaceCrops,
    FaceMapForTraining,
    FaceTasksForTraining,
    TuningArguments,
    taught,
    train,
    train_face_prior,
)
from emo_llama_hf.whole_file import whole_file

HERE = Path(__file__).resolve().parent


class Recipe:
    def __init__(self, data: Path, work: Path, output: Path):
        self.data, self.work, self.output = data, work, output
        self.settings = json.loads((HERE / "recipe.json").read_text("utf-8"))
        self.config = EmoLlamaConfig(**self.settings["model"])
        self.labels = {"emotion": self.config.emotion_labels, **self.config.face_config.perceived_labels}
        work.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        for step in (self.face_map, self.face_tasks, self.start, self.align):
            set_seed(self.settings["seed"])
            begin = time.monotonic()
            step()
            self._note_hours(step.__name__, time.monotonic() - begin)
        measure(self)

    def _note_hours(self, step: str, seconds: float) -> None:
        """Add to what a step has taken in all runs."""
        path = self.work / "hours.json"
        hours = json.loads(path.read_text("utf-8")) if path.exists() else {"steps": {}}
        hours["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
        hours["steps"][step] = hours["steps"].get(step, 0) + seconds / 3600
        path.write_text(json.dumps(hours, indent=2) + "\n", "utf-8")

    def records(self, kind: str, split: str) -> Records:
        return Records(self.data / self.settings["data"][kind].format(split=split))

    def processor(self, folder: Path | None = None, texts: list[str] | None = None) -> EmoLlamaProcessor:
        """The processor; without texts, one that only reads pictures, with the package's tokenizers."""
        side, face_side = self.config.vision_config.image_size, self.config.face_config.image_size
        sizes = {"size": {"height": side, "width": side}, "face_size": {"height": face_side, "width": face_side}}
        pictures = EmoLlamaImageProcessor(**sizes)
        clips = EmoLlamaVideoProcessor(**sizes, num_frames=self.settings["num_frames"])
        if folder is None or texts is None:
            processor = EmoLlamaProcessor.from_pretrained(default_model())
            processor.image_processor, processor.video_processor = pictures, clips
            return processor
        return EmoLlamaProcessor(
            image_processor=pictures,
            tokenizer=language_tokenizer(texts, self.settings["vocabulary"], folder),
            qformer_tokenizer=question_tokenizer(texts),
            video_processor=clips,
            face_detector=EmoLlamaFaceDetector.from_pretrained(Path(default_model()) / "face_detector"),
            chat_template=(HERE / "chat_template.jinja").read_text("utf-8"),
            faces=FaceSettings(
                **{name: self.settings[name] for name in ("face_margin", "full_frame_below", "min_whole_confidence")}
            ),
            prompt=PromptSettings(attribute_threshold=self.settings["attribute_threshold"]),
            tokens_per_frame=self.config.tokens_per_frame,
        )

    def crops(self, split: str) -> FaceCrops:
        """All face crops of a split with the detector's landmarks."""
        path = self.work / f"crops-{split}.safetensors"
        if not path.exists():
            processor, meanings = self.processor(), self.settings["meanings"]
            parts = [
                FaceCrops.from_records(self.records(kind, split), processor, self.labels, meanings)
                for kind in ("emotions", "attributes")
            ]
            parts[0].joined(parts[1]).save(path)
        return FaceCrops.load(path)

    def face_map(self) -> None:
        """First stage of the face prior, in rounds: its map learns to tell emotions and attributes apart."""
        for number, settings in enumerate(self.settings["face_map"], 1):
            folder = self.work / f"face_map_{number}"
            if (folder / "stage.safetensors").exists():
                continue
            stage = self.map_stage(number - 1, **settings["stage"])
            crops = self.crops("train")
            if settings["attributes_twice"]:
                crops = crops.joined(crops.having("gender"))
            self.train_stage(stage, folder, settings, crops)
            with whole_file(folder / "stage.safetensors") as unfinished:
                save_model(stage, str(unfinished))

    def map_stage(self, number: int, **kwargs) -> FaceMapForTraining:
        """The face map's stage after a round; before the first one, untrained."""
        prior = EmoLlamaFacePriorModel(EmoLlamaFaceConfig(**self.settings["model"]["face_config"]))
        stage = FaceMapForTraining(prior, {task: len(labels) for task, labels in self.labels.items()}, **kwargs)
        if number:
            load_model(stage, str(self.work / f"face_map_{number}" / "stage.safetensors"))
        return stage

    def face_tasks(self) -> None:
        """Second stage: the decoder and its heads learn to read the map."""
        if (self.work / "face_prior").exists():
            return
        settings = self.settings["face_tasks"]
        model = self.map_stage(len(self.settings["face_map"])).face_prior
        stage = FaceTasksForTraining(model, **settings["stage"])
        self.train_stage(stage, self.work / "face_tasks", settings, self.crops("train").having("gender"))
        model.save_pretrained(self.work / "face_prior")

    def batches(self, **changes) -> FaceBatches:
        pictures = self.processor().image_processor
        return FaceBatches(pictures.face_mean, pictures.face_std, **changes)

    def train_stage(
        self, stage: FaceMapForTraining | FaceTasksForTraining, folder: Path, settings: dict, crops: FaceCrops
    ) -> None:
        """Train a stage on crops, taught by what the face map was after the rounds that are its teachers."""
        arguments = TrainingArguments(
            per_device_eval_batch_size=256, eval_strategy="steps", **self.arguments(folder, settings)
        )
        if settings["teachers"]:
            teachers = [self.map_stage(number).to(arguments.device) for number in settings["teachers"]]
            crops = taught(crops, teachers, self.batches(), settings["teachers_share"])
        train_face_prior(stage, arguments, crops, self.crops("valid"), self.batches(**settings["changes"]))

    def arguments(self, folder: Path, settings: dict) -> dict:
        """What every training has in common, and what the recipe says of this one."""
        return {
            "output_dir": str(folder),
            "save_strategy": "steps",
            "save_total_limit": 1,
            "bf16": True,
            "use_cpu": not torch.cuda.is_available(),
            "report_to": [],
            "seed": self.settings["seed"],
            "resume_from_checkpoint": "last",
            **settings["arguments"],
        }

    def meant(self, attributes: dict[str, str]) -> dict[str, str]:
        """The data set's perceived attributes in the face prior's classes."""
        meanings = self.settings["meanings"]
        return {task: meanings[task].get(value, value) for task, value in attributes.items()}

    def chats(self, split: str = "train", seed: int | None = None, settings: dict | None = None) -> Chats:
        settings = settings or self.settings["alignment"][0]
        processor = self.processor()
        emotions, people = list(self.records("emotions", split)), list(self.records("attributes", split))
        return Chats(
            [(record.load(processor).frames[0], record.emotion) for record in emotions],
            [(record.load(processor).frames[0], self.meant(record.attributes)) for record in people],
            settings["shares"],
            settings["weights"],
            settings["yes_share"],
            self.config.face_config.perceived_labels,
            self.settings["face_margin"],
            self.settings["seed"] if seed is None else seed,
        )

    def start(self) -> None:
        """The whole model before it learned to speak."""
        folder = self.work / "start"
        if (folder / "config.json").exists():
            return
        processor = self.processor(folder, self.chats().texts(3000))
        settings = {
            **self.settings["model"],
            "text_config": {**self.settings["model"]["text_config"], "vocab_size": processor.image_token_id},
            "qformer_config": {
                **self.settings["model"]["qformer_config"],
                "vocab_size": len(processor.qformer_tokenizer),
            },
            "image_token_id": processor.image_token_id,
        }
        set_seed(self.settings["seed"])
        model = EmoLlamaForConditionalGeneration(EmoLlamaConfig(**settings))
        trained = EmoLlamaFacePriorModel.from_pretrained(self.work / "face_prior")
        model.model.face_prior.load_state_dict(trained.state_dict())
        let_through(model)
        model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0, max_new_tokens=64)
        processor.save_pretrained(folder)
        model.save_pretrained(folder)

    def align(self) -> None:
        """The language model learns to speak, and of what the face prior sees; later rounds practise reading."""
        start = self.work / "start"
        for number, settings in enumerate(self.settings["alignment"], 1):
            folder = self.work / f"alignment_{number}"
            if not (folder / "model.safetensors").exists():
                self.train_chats(start, folder, settings)
            start = folder

    def train_chats(self, start: Path, folder: Path, settings: dict) -> None:
        arguments = EmoLlamaTrainingArguments(
            eval_strategy="no", load_best_model_at_end=False, **self.arguments(folder, settings)
        )
        tuning = TuningArguments(
            model=str(start),
            dtype="float32",
            parts=settings["parts"],
            lora_rank=0,
            augment=True,
        )
        train(arguments, tuning, self.chats(settings=settings).draw(settings["chats"]))


def let_through(model: EmoLlamaForConditionalGeneration) -> None:
    """
    Open the gates of Face Info Mining, and make it and the projector pass on all that the face prior sees: from the
    usual small weights the vision encoder grows loud enough to drown it before the language model listens.
    """
    mining, tokens = model.model.face_info_mining, model.model.visual_tokens
    for attention in (mining.global_attention, mining.local_attention):
        torch.nn.init.ones_(attention.gate)
        for layer in (attention.query, attention.attention.q_proj, attention.attention.k_proj):
            torch.nn.init.normal_(layer.weight, std=0.02)  # looks everywhere alike
        for layer in (attention.attention.v_proj, attention.attention.out_proj, attention.output):
            torch.nn.init.orthogonal_(layer.weight, gain=1.5)
    for layer in tokens.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.orthogonal_(layer.weight)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the parquet files")
    parser.add_argument("work", type=Path, help="folder for what comes between")
    parser.add_argument("output", type=Path, help="folder of the finished checkpoint")
    options = parser.parse_args()
    Recipe(options.data, options.work, options.output).run()
