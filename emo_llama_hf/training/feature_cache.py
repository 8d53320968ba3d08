"""Vision features on disk: a frozen vision encoder looks at each picture once."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from ..input_error import InputError
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..whole_file import whole_file


class FeatureCache:
    """
    A folder with the raw vision features of each visual, found again by its pixels and the encoder's weights.

    Args:
        folder (`str` or `Path`): made where it is missing; several models may share it.
        vision_model (`torch.nn.Module`): the frozen encoder; other weights find other features.
    """

    def __init__(self, folder: str | Path, vision_model: torch.nn.Module) -> None:
        digest = hashlib.sha256()
        for name, value in sorted(vision_model.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        self.folder = Path(folder) / digest.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, pixel_values: torch.Tensor) -> Path:
        """
        Where the features of a visual are.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(F, 3, H, W)`): its frames.
        """
        pixels = pixel_values.contiguous().numpy()
        key = hashlib.sha256(f"{pixels.dtype} {pixels.shape}".encode() + pixels.tobytes()).hexdigest()
        return self.folder / key[:2] / f"{key}.safetensors"

    def load(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """
        The features of a visual.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(F, 3, H, W)`): its frames.

        Returns:
            `torch.FloatTensor` of shape `(F, N + 1, D)`

        Raises:
            `InputError`: they were never stored.
        """
        path = self.path(pixel_values)
        try:
            return load_file(path)["vision_features"]
        except FileNotFoundError:
            raise InputError(
                f"No vision features in {self.folder} for a visual: call `fill_cache` on the dataset first, without "
                "augmentation of its frames."
            ) from None

    def save(self, pixel_values: torch.Tensor, vision_features: torch.Tensor) -> None:
        """
        Store the features of a visual.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(F, 3, H, W)`): its frames.
            vision_features (`torch.FloatTensor` of shape `(F, N + 1, D)`)
        """
        path = self.path(pixel_values)
        path.parent.mkdir(exist_ok=True)
        with whole_file(path) as unfinished:
            save_file({"vision_features": vision_features.detach().cpu().contiguous()}, unfinished)


@torch.inference_mode()
def fill_cache(
    cache: FeatureCache, model: EmoLlamaForConditionalGeneration, visual_inputs: Iterable[dict[str, torch.Tensor]]
) -> int:
    """
    Compute what is missing.

    Args:
        cache ([`FeatureCache`])
        model ([`EmoLlamaForConditionalGeneration`]): whose `vision_model` is cached, on its device.
        visual_inputs (`Iterable[dict[str, torch.Tensor]]`):
            `pixel_values` (F, 3, H, W) and `frame_counts` (V,) of some visuals.

    Returns:
        `int`: how many visuals had to be looked at.
    """
    vision = model.model.vision_model
    computed = 0
    for inputs in visual_inputs:
        for pixels in inputs["pixel_values"].split(inputs["frame_counts"].tolist()) if inputs else ():
            if not cache.path(pixels).exists():
                cache.save(pixels, vision(pixels.to(vision.device, vision.dtype)).last_hidden_state)
                computed += 1
    return computed
