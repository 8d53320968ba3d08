"""
Train emo-llama-mini, the checkpoint that comes with the package, from FER2013, FER+'s votes about it, and FairFace:

    python recipes/emo_llama_mini/train.py DATA WORK OUTPUT

DATA has the files that `recipe.json` names: FER2013 and FER+ as parquet files, row by row the same; FairFace's
training faces as its own folder with its table, and the faces to report on as a parquet file.

Every step leaves its result in WORK and is skipped where that is there; a training that was stopped goes on. On CPU or
GPU; what is chosen stands in `recipe.json`, what is said in `sayings`.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from chats import PHRASES, Chats
from make_tokenizers import language_tokenizer, question_tokenizer
from measure import measure
from parts import VOTED, Part, Parts
from PIL import Image
from safetensors.torch import load_model, save_model
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import GenerationConfig, LlamaModel, TrainingArguments, set_seed

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
from emo_llama_hf.processing.face_detection import EmoLlamaFaceDetector
from emo_llama_hf.processing.face_finder import FaceFinder, FaceSettings
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
        self.classes = {"votes": list(VOTED), **self.labels}
        self.parts = Parts(data, self.settings["data"], self.settings["choose_every"])
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

    def processor(self, folder: Path | None = None, texts: list[str] | None = None) -> EmoLlamaProcessor:
        """The processor; without texts, one that only reads pictures, with the package's tokenizers."""
        side, face_side = self.config.vision_config.image_size, self.config.face_config.image_size
        sizes = {"size": {"height": side, "width": side}, "face_size": {"height": face_side, "width": face_side}}
        pictures = EmoLlamaImageProcessor(**sizes)
        clips = EmoLlamaVideoProcessor(**sizes, num_frames=self.settings["num_frames"])
        if folder is None or texts is None:
            processor = EmoLlamaProcessor.from_pretrained(default_model())
            processor.image_processor, processor.video_processor = pictures, clips
            processor.faces = FaceFinder(
                processor.faces.detector, FaceSettings(face_margin=self.settings["face_margin"])
            )
            return processor
        prompt = PromptSettings(
            question_guide="default",
            attribute_phrases=PHRASES,
            attribute_threshold=self.settings["attribute_threshold"],
        )
        return EmoLlamaProcessor(
            image_processor=pictures,
            tokenizer=language_tokenizer(texts, self.settings["vocabulary"], folder),
            qformer_tokenizer=question_tokenizer([prompt.default_question]),
            video_processor=clips,
            face_detector=EmoLlamaFaceDetector.from_pretrained(Path(default_model()) / "face_detector"),
            chat_template=(HERE / "chat_template.jinja").read_text("utf-8"),
            faces=FaceSettings(
                **{name: self.settings[name] for name in ("face_margin", "full_frame_below", "min_whole_confidence")}
            ),
            prompt=prompt,
            tokens_per_frame=self.config.tokens_per_frame,
        )

    def crops(self, part: Part) -> FaceCrops:
        """All face crops of a part with the detector's landmarks."""
        path = self.work / f"crops-{part}.safetensors"
        if not path.exists():
            processor, meanings = self.processor(), self.settings["meanings"]
            faces, people = (
                FaceCrops.from_records(self.parts.records(kind, part), processor, self.labels, meanings)
                for kind in ("emotions", "attributes")
            )
            faces.targets["votes"] = self.parts.votes(part)
            people.targets["votes"] = torch.zeros(len(people), len(VOTED))
            faces.joined(people).save(path)
        return FaceCrops.load(path)

    def face_map(self) -> None:
        """First stage of the face prior, in rounds: its map learns to tell emotions and attributes apart."""
        if (self.work / "face_prior").exists():
            return
        learn = self.crops("learn")
        for number, settings in enumerate(self.settings["face_map"], 1):
            folder = self.work / f"face_map_{number}"
            if (folder / "stage.safetensors").exists():
                continue
            stage = self.map_stage(number - 1, **settings["stage"])
            crops = learn
            for task in settings["twice"]:
                crops = crops.joined(learn.having(task))
            self.train_stage(stage, folder, settings, crops)
            with whole_file(folder / "stage.safetensors") as unfinished:
                save_model(stage, str(unfinished))

    def map_stage(self, number: int, **kwargs) -> FaceMapForTraining:
        """The face map's stage after a round; before the first one, untrained."""
        prior = EmoLlamaFacePriorModel(EmoLlamaFaceConfig(**self.settings["model"]["face_config"]))
        stage = FaceMapForTraining(prior, {task: len(labels) for task, labels in self.classes.items()}, **kwargs)
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
        self.train_stage(stage, self.work / "face_tasks", settings, self.crops("learn").having("gender"))
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
        train_face_prior(stage, arguments, crops, self.crops("choose"), self.batches(**settings["changes"]))

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

    def read_crops(self) -> FaceCrops:
        """The crops that talks show: what the voters see in each, and FER2013's label."""
        crops = self.crops("learn").having("votes")
        reading = crops.targets["votes"][:, : len(self.config.emotion_labels)]  # contempt is none of the labels
        reading = reading / reading.sum(1, keepdim=True).clamp(min=1e-6)
        return FaceCrops(crops.pixels, {"reading": reading, "emotion": crops.targets["emotion"]}, crops.landmarks)

    def pictures(self, part: Part) -> dict[str, list[Image.Image]]:
        """The faces of a part that most voters see the same emotion in, by that emotion."""
        processor, found = self.processor(), {label: [] for label in self.config.emotion_labels}
        for emotion, record in zip(self.parts.majority(part), self.parts.records("emotions", part), strict=True):
            if emotion in found:
                found[emotion].append(record.load(processor).frames[0])
        return found

    def chats(self, crops: FaceCrops, settings: dict, seed: int | None = None) -> Chats:
        return Chats(
            crops,
            self.config.emotion_labels,
            settings["shares"],
            settings["weights"],
            self.config.face_config.perceived_labels,
            self.settings["face_margin"],
            self.settings["seed"] if seed is None else seed,
            settings.get("plain", False),
        )

    def start(self) -> None:
        """The whole model before it learned to speak."""
        folder = self.work / "start"
        if (folder / "config.json").exists():
            return
        texts = self.chats(self.read_crops(), self.settings["alignment"][0]).texts(12000)
        processor = self.processor(folder, texts)
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
                if "matching_heads" in settings:
                    start = self.with_matching_heads(start, settings["matching_heads"])
                self.train_chats(start, folder, settings, seed=self.settings["seed"] + number - 1)
            start = folder

    def with_matching_heads(self, start: Path, heads: int) -> Path:
        """A checkpoint in which some heads of each layer begin anew, by looking for the token that they are at."""
        folder = self.work / f"{start.name}_matching"
        if not (folder / "model.safetensors").exists():
            set_seed(self.settings["seed"])
            model = EmoLlamaForConditionalGeneration.from_pretrained(start)
            look_for_the_same(model.model.language_model, heads)
            EmoLlamaProcessor.from_pretrained(start).save_pretrained(folder)
            model.save_pretrained(folder)
        return folder

    def train_chats(self, start: Path, folder: Path, settings: dict, seed: int) -> None:
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
        chats = self.chats(self.read_crops(), settings, seed).draw(settings["chats"])
        with sdpa_kernel(SDPBackend.MATH):  # on CPUs the backward pass of flash attention is slow for small heads
            train(arguments, tuning, chats)


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


@torch.no_grad()
def look_for_the_same(language_model: LlamaModel, heads: int, sharpness: float = 1.4) -> None:
    """
    Have the first heads of each layer look for tokens like the one that they are at, wherever it stands: answers
    compare what is asked with what is told, and from random weights such heads did not come about in 2,400 steps.

    Queries are the keys (as in mimetic initialization, arXiv 2305.09828), but for the quickly turning part of the
    rotary positions, whose sign is turned so that no token finds itself.
    """
    config = language_model.config
    size = config.hidden_size // config.num_attention_heads
    turning_quickly = (torch.arange(size) % (size // 2) < 7)[:, None]
    for layer in language_model.layers:
        attention = layer.self_attn
        for head in range(heads):
            rows = slice(head * size, (head + 1) * size)
            keys = torch.nn.init.orthogonal_(attention.k_proj.weight[rows], gain=sharpness)
            attention.q_proj.weight[rows] = torch.where(turning_quickly, -keys, keys)
            torch.nn.init.orthogonal_(attention.v_proj.weight[rows])
            attention.o_proj.weight[:, rows] = 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the parquet files")
    parser.add_argument("work", type=Path, help="folder for what comes between")
    parser.add_argument("output", type=Path, help="folder of the finished checkpoint")
    options = parser.parse_args()
    Recipe(options.data, options.work, options.output).run()
