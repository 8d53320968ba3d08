"""Where in a batch the tokens are that are learned: only there are logits needed."""

import torch

IGNORED = -100  # a label that is not learned


def learned_places(labels: torch.Tensor) -> torch.Tensor:
    """
    The places whose next token is learned, row after row: `logits_to_keep` of a model.

    Args:
        labels (`torch.LongTensor` of shape `(B, T)`): tokens, `IGNORED` where nothing is learned.

    Returns:
        `torch.LongTensor` of shape `(2, K)`: rows, and positions in these.
    """
    return (labels[:, 1:] != IGNORED).nonzero().T.contiguous()


def learned_tokens(labels: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """
    The tokens that logits at these places predict.

    Args:
        labels (`torch.LongTensor` of shape `(B, T)`)
        places (`torch.LongTensor` of shape `(2, K)`): see [`learned_places`].

    Returns:
        `torch.LongTensor` of shape `(K,)`
    """
    return labels[places[0], places[1] + 1]
