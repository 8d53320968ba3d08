"""Fine-tuning: samples to batches, what learns, and the run itself."""

from ..data.samples import samples_of
from .augmentation import Augmentation
from .closed_set_loss import ClosedSetLoss, answer_tokens
from .cross_validate import cross_validate
from .data_collator import EmoLlamaDataCollator
from .emotion_dataset import EmotionDataset
from .epoch_sampler import EpochSampler
from .face_prior.batches import FaceBatches
from .face_prior.crops import FaceCrops
from .face_prior.training import FaceMapForTraining, FaceTasksForTraining, taught, train_face_prior
from .feature_cache import FeatureCache, fill_cache
from .train import train
from .train_and_evaluate import same_settings, train_and_evaluate
from .trainable_parts import make_trainable
from .trainer import EmoLlamaTrainer
from .training_arguments import EmoLlamaTrainingArguments
from .tuning_arguments import TuningArguments

__all__ = [
    "Augmentation",
    "ClosedSetLoss",
    "EmoLlamaDataCollator",
    "EmoLlamaTrainer",
    "EmoLlamaTrainingArguments",
    "EmotionDataset",
    "EpochSampler",
    "FaceBatches",
    "FaceCrops",
    "FaceMapForTraining",
    "FaceTasksForTraining",
    "FeatureCache",
    "TuningArguments",
    "answer_tokens",
    "cross_validate",
    "fill_cache",
    "make_trainable",
    "same_settings",
    "samples_of",
    "taught",
    "train",
    "train_and_evaluate",
    "train_face_prior",
]
