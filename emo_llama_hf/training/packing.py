"""Several samples in one row: what is padded to the longest sample of a batch is computed for nothing."""

import torch
from transformers import PreTrainedModel

from .learned_places import IGNORED


def packed_rows(lengths: list[int]) -> list[list[int]]:
    """
    Which samples share a row. Rows are as long as the longest sample or, where that wastes fewer tokens, up to a third
    longer: what attention costs grows with them.

    Args:
        lengths (`list[int]`): tokens of each sample.

    Returns:
        `list[list[int]]`: of each row the places of its samples in `lengths`; each place once.
    """
    longest = max(lengths)
    choices = [_filled(lengths, longest + longest * part // 18) for part in range(7)]
    return min(choices, key=lambda rows: len(rows) * _width(rows, lengths))


def _filled(lengths: list[int], capacity: int) -> list[list[int]]:
    """Rows of at most `capacity` tokens: each sample, the longest first, goes into the first that has room for it."""
    rows: list[list[int]] = []
    room: list[int] = []
    for sample in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        number = next((number for number, left in enumerate(room) if lengths[sample] <= left), None)
        if number is None:
            number = len(rows)
            rows.append([])
            room.append(capacity)
        rows[number].append(sample)
        room[number] -= lengths[sample]
    return rows


def _width(rows: list[list[int]], lengths: list[int]) -> int:
    return max(sum(lengths[sample] for sample in row) for row in rows)


def pack(
    tokens: dict[str, torch.Tensor], rows: list[list[int]], pad_token_id: int, multiple_of: int = 1
) -> dict[str, torch.Tensor]:
    """
    Put samples into rows. Positions begin anew with each sample, and with the padding behind the last one: by these,
    and without an `attention_mask`, transformers keeps apart what shares a row.

    Args:
        tokens (`dict[str, torch.Tensor]`):
            `input_ids`, `attention_mask` (B, T), padded on the right, and whatever else there is of each token.
        rows (`list[list[int]]`): samples of each row, from [`packed_rows`].
        pad_token_id (`int`): what `input_ids` are padded with; all else is padded with `IGNORED`.
        multiple_of (`int`, *optional*, defaults to 1): of which the length of a row is one.

    Returns:
        `dict[str, torch.Tensor]`: `position_ids`, and all but `attention_mask`, of shape (rows, length of a row).
    """
    lengths: list[int] = tokens["attention_mask"].sum(1).tolist()
    width = -(-_width(rows, lengths) // multiple_of) * multiple_of
    tokens = {name: values for name, values in tokens.items() if name != "attention_mask"}
    tokens["position_ids"] = torch.arange(max(lengths)).expand(len(lengths), -1)
    fillers = {"input_ids": pad_token_id}
    packed = {name: values.new_full((len(rows), width), fillers.get(name, IGNORED)) for name, values in tokens.items()}
    for number, row in enumerate(rows):
        start = 0
        for sample in row:
            for name, values in tokens.items():
                packed[name][number, start : start + lengths[sample]] = values[sample, : lengths[sample]]
            start += lengths[sample]
        packed["position_ids"][number, start:] = torch.arange(width - start)
    return packed


@torch.no_grad()
def keeps_apart(language_model: PreTrainedModel) -> bool:
    """
    Try whether a language model keeps apart what shares a row: recurrent ones do not, nor do some attentions.

    Args:
        language_model (`PreTrainedModel`): a decoder, in eval mode.
    """
    embeddings = language_model.get_input_embeddings()
    device, words = embeddings.weight.device, embeddings.num_embeddings
    first, other, second = torch.randint(words, (3, 6), generator=torch.Generator().manual_seed(0))
    alone = torch.arange(6)

    def hidden(ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Of the last six tokens."""
        embeds, position_ids = embeddings(ids[None].to(device)), positions[None].to(device)
        outputs = language_model(inputs_embeds=embeds, position_ids=position_ids, use_cache=False)
        states: torch.Tensor = outputs.last_hidden_state[0, -6:]
        return states.float()

    both = torch.cat([alone, alone])
    found, again = (hidden(torch.cat([before, second]), both) for before in (first, other))
    expected = hidden(second, alone)
    # Another sample before it changes nothing at all; having one before it, no more than half precision rounds.
    return torch.equal(found, again) and bool((found - expected).abs().max() < 0.05 * expected.abs().max())
