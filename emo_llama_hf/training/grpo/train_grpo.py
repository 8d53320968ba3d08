"""A run of reinforcement learning from samples to a saved, evaluated model."""

from collections.abc import Sequence
from dataclasses import fields

from transformers import TrainingArguments

from ...missing_package import MissingPackageError

try:
    from trl.trainer.grpo_config import GRPOConfig
except ImportError as error:
    raise MissingPackageError("`method` grpo needs TRL: pip install 'emo_llama_hf[grpo]'.") from error

from ...adapter_base import AdapterBase
from ...data.sample import Sample
from ...input_error import InputError
from ..loss_curve import LossCurveCallback
from ..run import begin, finish
from ..run_card import RunOrigin
from ..training_arguments import EmoLlamaTrainingArguments
from ..tuning_arguments import TuningArguments
from .arguments import GRPOArguments
from .grpo_trainer import EmoLlamaGRPOTrainer
from .prompt_dataset import PromptDataset
from .rewards import Reward, find_reward


def train_grpo(
    arguments: EmoLlamaTrainingArguments,
    tuning: TuningArguments,
    grpo: GRPOArguments,
    train_samples: Sequence[Sample],
    eval_samples: Sequence[Sample] | None = None,
    train_data: str | None = None,
    eval_data: str | None = None,
    rewards: Sequence[Reward] | None = None,
) -> EmoLlamaGRPOTrainer:
    """
    Fine-tune a model by rewards of its own answers to the last question of each sample, and save it as [`train`] does.
    With evaluation data the checkpoint with the highest mean reward is kept.

    Args:
        arguments ([`EmoLlamaTrainingArguments`]): batches are of answers, not of questions.
        tuning ([`TuningArguments`])
        grpo ([`GRPOArguments`])
        train_samples, eval_samples, train_data, eval_data: see [`train`].
        rewards (`list[Callable]`, *optional*): functions in place of those that `grpo` names, see [`label_reward`].

    Returns:
        [`EmoLlamaGRPOTrainer`] after the run.

    Raises:
        `InputError`: choices that do not go together, or samples about which nothing can be asked.
    """
    if grpo.beta and not tuning.lora_rank:
        raise InputError("`beta` compares with the base model: set `lora_rank` above 0, or `beta` to 0.")
    for name, used in (
        ("augment", tuning.augment),
        ("feature_cache", tuning.named_cache),
        ("max_length", tuning.max_length),
        ("closed_set_weight", arguments.closed_set_weight),
        ("class_balance", arguments.class_balance),
        ("early_stopping_patience", arguments.early_stopping_patience),
    ):
        if used:
            raise InputError(f"`{name}` is of supervised training: leave it out with `method` grpo.")
    config = _config(arguments, grpo, bool(eval_samples))
    start = begin(arguments, tuning, [*train_samples, *(eval_samples or ())])
    if not train_samples:
        raise InputError("`train_samples` is empty: there is nothing to ask about.")

    def prompts(samples: Sequence[Sample]) -> PromptDataset:
        return PromptDataset(samples, start.processor, emotion_labels=start.base.config.emotion_labels)

    trainer = EmoLlamaGRPOTrainer(
        start.trainable(arguments, tuning),
        list(rewards or map(find_reward, grpo.rewards)),
        config,
        train_dataset=prompts(train_samples),
        eval_dataset=prompts(eval_samples) if eval_samples else None,
        processing_class=start.processor,
        callbacks=[LossCurveCallback()],
        use_faces=start.base.config.face_config is not None,
        origin=RunOrigin(AdapterBase.of(tuning.model), train_data, eval_data),
        stored=start.stored,
    )
    finish(trainer, start.checkpoint)
    return trainer


def _config(arguments: EmoLlamaTrainingArguments, grpo: GRPOArguments, evaluated: bool) -> GRPOConfig:
    values = {field.name: getattr(arguments, field.name) for field in fields(TrainingArguments) if field.init}
    values |= {
        "num_generations": grpo.num_generations,
        "temperature": grpo.temperature,
        "beta": grpo.beta,
        "max_completion_length": grpo.max_completion_length,
    }
    if evaluated:
        values |= {"metric_for_best_model": "reward", "greater_is_better": True}
    else:
        values |= {"eval_strategy": "no", "load_best_model_at_end": False}
    try:
        config = GRPOConfig(**values)
    except ValueError as error:  # TRL's, about options that do not go together
        raise InputError(f"`num_generations`: {error}") from error
    config.rates = arguments.rates
    return config
