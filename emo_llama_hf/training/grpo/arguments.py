"""The choices of reinforcement learning."""

from dataclasses import dataclass, field

from ...input_error import InputError
from .rewards import REWARDS, find_reward


@dataclass
class GRPOArguments:
    """
    Settings of GRPO.

    Args:
        rewards (`list[str]`, *optional*, defaults to all of `REWARDS`): names there, or `module:function`.
        num_generations (`int`, *optional*, defaults to 8): answers to each question, which are compared.
        temperature (`float`, *optional*, defaults to 1): at which they are drawn.
        beta (`float`, *optional*, defaults to 0): weight of the KL divergence from the model that it began as.
        max_completion_length (`int`, *optional*, defaults to 64): tokens of an answer.

    Raises:
        `InputError`: a value is out of its range, or no such reward.
    """

    rewards: list[str] = field(default_factory=lambda: list(REWARDS))
    num_generations: int = 8
    temperature: float = 1.0
    beta: float = 0.0
    max_completion_length: int = 64

    def __post_init__(self) -> None:
        if not self.rewards:
            raise InputError(f"`rewards` is empty: choose from {', '.join(REWARDS)}, or write module:function.")
        for name in self.rewards:
            find_reward(name)
        if self.num_generations < 2:
            raise InputError(f"`num_generations` must be 2 or more, to compare answers, got {self.num_generations}.")
        if self.temperature <= 0:
            raise InputError(f"`temperature` must be above 0, got {self.temperature}.")
        if self.beta < 0:
            raise InputError(f"`beta` must be 0 or more, got {self.beta}.")
        if self.max_completion_length < 1:
            raise InputError(f"`max_completion_length` must be 1 or more, got {self.max_completion_length}.")
