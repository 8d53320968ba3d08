"""Reinforcement learning with verifiable rewards: GRPO (Shao et al., arXiv 2402.03300), by TRL."""

from .arguments import GRPOArguments
from .rewards import REWARDS, agreement_reward, find_reward, format_reward, label_reward

__all__ = [
    "REWARDS",
    "GRPOArguments",
    "agreement_reward",
    "find_reward",
    "format_reward",
    "label_reward",
]
