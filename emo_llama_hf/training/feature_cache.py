"""What frozen eyes see, on disk: vision encoder and face prior look at each picture once."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from secrets import token_hex

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import PreTrainedModel

from ..input_error import InputError
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..whole_file import whole_file

# What the model takes in place of which pixels.
FEATURES = {"pixel_values": ("vision_features",), "face_pixel_values": ("face_map", "face_landmarks")}


class FeatureCache:
    """
    A folder with the features of visuals, found again by their pixels and by the weights and settings of whatever
    looked at them.

    Args:
        folder (`str` or `Path`): made where it is missing; several models may share it.
        vision_model (`PreTrainedModel`): the frozen vision encoder; another finds other features.
        face_prior (`PreTrainedModel`, *optional*): the frozen face prior, if its features are kept too.
    """

    def __init__(
        self, folder: str | Path, vision_model: PreTrainedModel, face_prior: PreTrainedModel | None = None
    ) -> None:
        digest = hashlib.sha256()
        for module in (vision_model, face_prior):
            if module is None:
                continue
            digest.update(module.config.to_json_string().encode())
            for name, value in sorted(module.state_dict().items()):
                digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        self.pixels = list(FEATURES) if face_prior is not None else ["pixel_values"]
        self.folder = Path(folder) / digest.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, Path] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look which features there are: other processes may have stored some."""
        for path in set(self.folder.glob("*.safetensors")) - set(self._files.values()):
            with safe_open(path, "pt") as file:
                self._files |= dict.fromkeys((name.partition(".")[0] for name in file.keys()), path)

    def __len__(self) -> int:
        return len(self._files)

    def keys(self, inputs: dict[str, torch.Tensor]) -> list[str]:
        """
        What the features of visuals are found by.

        Args:
            inputs (`dict[str, torch.Tensor]`): see [`~FeatureCache.features`].
        """
        return [self._key(visual) for visual in self._visuals(inputs)]

    def _key(self, visual: dict[str, torch.Tensor]) -> str:
        digest = hashlib.sha256()
        for name in self.pixels:
            pixels = visual[name].contiguous().numpy()
            digest.update(f"{name} {pixels.dtype} {pixels.shape}".encode())
            digest.update(pixels.data)
        return digest.hexdigest()

    def __contains__(self, key: str) -> bool:
        return key in self._files

    def features(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """
        Visual inputs with the features of pixels in place of the pixels.

        Args:
            inputs (`dict[str, torch.Tensor]`):
                `pixel_values` (F, 3, H, W) and `frame_counts` (V,) of V visuals, `face_pixel_values` (F, 3, h, w) with
                a face prior, and whatever else there is.

        Returns:
            `dict[str, torch.Tensor]`: `vision_features` (F, N + 1, D); with a face prior also `face_map`
            (F, C, h/4, w/4) and `face_landmarks` (F, landmarks, 2).

        Raises:
            `InputError`: the features of a visual were never stored.
        """
        rows = [self.load(key) for key in self.keys(inputs)]
        found = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
        return {name: value for name, value in inputs.items() if name not in self.pixels} | found

    def load(self, key: str) -> dict[str, torch.Tensor]:
        """
        The features of one visual.

        Args:
            key (`str`): one of [`~FeatureCache.keys`].

        Raises:
            `InputError`: they were never stored.
        """
        path = self._files.get(key)
        if path is None:
            raise InputError(
                f"No features in {self.folder} for a visual: call `fill_cache` on the dataset first, without "
                "augmentation of its frames."
            )
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(f"{key}.{name}") for part in self.pixels for name in FEATURES[part]}

    @torch.inference_mode()
    def add(self, model: EmoLlamaForConditionalGeneration, inputs: dict[str, torch.Tensor]) -> int:
        """
        Compute and store what is missing, in one file.

        Args:
            model ([`EmoLlamaForConditionalGeneration`]): whose parts look, on its device.
            inputs (`dict[str, torch.Tensor]`): see [`~FeatureCache.features`].

        Returns:
            `int`: how many visuals had to be looked at.
        """
        keyed = {self._key(visual): visual for visual in self._visuals(inputs)}
        missing = {key: visual for key, visual in keyed.items() if key not in self}
        if not missing:
            return 0
        pixels = {name: torch.cat([visual[name] for visual in missing.values()]) for name in self.pixels}
        vision = model.model.vision_model
        found = {"vision_features": vision(pixels["pixel_values"].to(vision.device, vision.dtype)).last_hidden_state}
        if "face_pixel_values" in pixels:
            faces = model.get_face_features(pixels["face_pixel_values"].to(vision.device))
            found |= {"face_map": faces.face_map, "face_landmarks": faces.landmarks}
        counts = [len(visual["pixel_values"]) for visual in missing.values()]
        tensors = {
            f"{key}.{name}": part.contiguous()
            for name, values in found.items()
            for key, part in zip(missing, values.cpu().split(counts), strict=True)
        }
        path = self.folder / f"{token_hex(16)}.safetensors"
        with whole_file(path) as unfinished:
            save_file(tensors, unfinished)
        self._files |= dict.fromkeys(missing, path)
        return len(missing)

    def _visuals(self, inputs: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        """The pixels of each visual."""
        counts = inputs["frame_counts"].tolist()
        parts = [inputs[name].split(counts) for name in self.pixels]
        return [dict(zip(self.pixels, visual, strict=True)) for visual in zip(*parts, strict=True)]


def fill_cache(
    cache: FeatureCache, model: EmoLlamaForConditionalGeneration, visual_inputs: Iterable[dict[str, torch.Tensor]]
) -> int:
    """
    Compute what is missing; the visuals that come together are looked at together.

    Args:
        cache ([`FeatureCache`])
        model ([`EmoLlamaForConditionalGeneration`]): whose frozen parts are cached, on its device.
        visual_inputs (`Iterable[dict[str, torch.Tensor]]`):
            Inputs of some visuals, see [`~FeatureCache.features`]; empty where a sample shows nothing.

    Returns:
        `int`: how many visuals had to be looked at.
    """
    return sum(cache.add(model, inputs) for inputs in visual_inputs if inputs)
