"""An EmoLlama whose networks are graphs: it takes what the one in torch takes and gives what that gives."""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import Cache, DynamicCache
from transformers.modeling_outputs import BaseModelOutput, BaseModelOutputWithPast

from ..input_error import InputError
from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration, EmoLlamaModel
from ..modeling.modeling_face_prior import EmoLlamaFacePriorModel, EmoLlamaFacePriorOutput
from .formats import FORMATS, check_packages, no_telemetry, run_settings
from .graphs import CACHE, cache_of

if TYPE_CHECKING:
    from transformers.exporters import ExportedModel

MANIFEST = "export.json"  # transformers' list of the graphs


class _Exported:
    """Whatever graphs run in place of modules."""

    exported: Any  # an `ExportedModel`: transformers reads the hints of models, and may not have that class

    @property
    def device(self) -> torch.device:
        """Where its inputs go."""
        device: torch.device = self.exported.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The type of its weights."""
        dtype: torch.dtype = self.exported.dtype
        return dtype


class _Graph(_Exported, nn.Module):
    """A graph in place of the module that it was made of."""

    def __init__(self, exported: "ExportedModel", name: str):
        super().__init__()
        self.exported, self.name = exported, name

    def takes(self, name: str) -> list[int] | None:
        """The shape of an input when the graph was made; `None` where it has no such input."""
        traced: dict[str, dict[str, Any]] = self.exported.components[self.name].metadata.kwargs
        return traced[name]["shape"] if name in traced else None

    def run(self, **inputs: Any) -> Any:
        # Graphs are made of contiguous inputs, and torch's asserts it.
        plain = {name: row.contiguous() if isinstance(row, torch.Tensor) else row for name, row in inputs.items()}
        return self.exported.runners[self.name](**plain)


class _FacePrior(_Graph):
    analyze = EmoLlamaFacePriorModel.analyze

    def forward(self, pixel_values: torch.Tensor, **kwargs: Any) -> EmoLlamaFacePriorOutput:
        _refuse_extras(kwargs)
        faces: EmoLlamaFacePriorOutput = self.run(pixel_values=pixel_values.to(self.dtype))
        return faces


class _VisionModel(_Graph):
    def forward(self, pixel_values: torch.Tensor, **kwargs: Any) -> BaseModelOutput:
        _refuse_extras(kwargs)
        features: BaseModelOutput = self.run(pixel_values=pixel_values)
        return features


class _VisualTokens(_Graph):
    def forward(self, features: torch.Tensor, faces: dict[str, torch.Tensor | None], **inputs: Any) -> torch.Tensor:
        if self.takes("face_map") is None:
            faces = {}
        elif faces["face_map"] is None:  # the graph always looks at faces: it is told that there is none
            shapes = {name: [len(features), *(self.takes(name) or [])[1:]] for name in faces}
            faces = {name: features.new_zeros(shape) for name, shape in shapes.items()}
            faces["face_mask"] = features.new_zeros(len(features), dtype=torch.bool)
        elif faces["face_mask"] is None:
            faces["face_mask"] = features.new_ones(len(features), dtype=torch.bool)
        tokens: torch.Tensor = self.run(vision_features=features, **inputs, **faces)
        return tokens


class _EmbedTokens(_Graph):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        embeds: torch.Tensor = self.run(input=input_ids)
        return embeds


class _LanguageModel(_Graph):
    """The head is in its graph, so its last hidden state is logits."""

    def __init__(self, exported: "ExportedModel"):
        super().__init__(exported, "language_model")
        self.embed_tokens = _EmbedTokens(exported, "embed_tokens")

    def get_input_embeddings(self) -> nn.Module:
        return self.embed_tokens

    def forward(
        self,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        _refuse_extras(kwargs)
        cache = DynamicCache(config=self.exported.config.text_config) if past_key_values is None else past_key_values
        if not isinstance(cache, DynamicCache):
            raise ValueError(
                f"An export keeps what it has read in a `DynamicCache`, not in a {type(cache).__name__}: leave "
                "`cache_implementation` and `past_key_values` out."
            )
        samples, tokens = inputs_embeds.shape[:2]
        read = cache.get_seq_length()
        if attention_mask is None:
            attention_mask = inputs_embeds.new_ones(samples, read + tokens, dtype=torch.long)
        if position_ids is None:
            position_ids = torch.arange(read, read + tokens, device=inputs_embeds.device).expand(samples, -1)
        outputs = self.run(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids.expand(samples, -1),
            past_key_values=cache_of(self.exported.config, self._tensors(cache, inputs_embeds)),
        )
        # The cache that was given learns what was read, as in torch.
        while len(cache.layers) < len(outputs.past_key_values.layers):
            cache.layers.append(cache.layer_class_to_replicate())
        for layer, new in zip(cache.layers, outputs.past_key_values.layers, strict=True):
            if not layer.is_initialized:
                layer.lazy_initialization(new.keys, new.values)
            layer.keys, layer.values = new.keys, new.values
        return BaseModelOutputWithPast(
            last_hidden_state=outputs.logits, past_key_values=None if use_cache is False else cache
        )

    def _tensors(self, cache: DynamicCache, like: torch.Tensor) -> list[list[torch.Tensor]]:
        """Keys and values of each layer, also where nothing was read."""
        if cache.get_seq_length():
            return [[layer.keys.contiguous(), layer.values.contiguous()] for layer in cache.layers]
        shapes: list[list[list[int]]] = self.exported.components[self.name].metadata.kwargs[CACHE]["shapes"]
        return [[like.new_zeros(len(like), heads, 0, width) for _, heads, _, width in pair] for pair in shapes]


class _Model(EmoLlamaModel):
    """An [`EmoLlamaModel`] of graphs."""

    def __init__(self, exported: "ExportedModel"):
        super(EmoLlamaModel, self).__init__(exported.config)  # whose networks are not made
        self.vision_model = _VisionModel(exported, "vision_model")  # type: ignore[assignment]
        self.looking = _VisualTokens(exported, "visual_tokens")
        self.face_prior = None
        if "face_prior" in exported.components:
            self.face_prior = _FacePrior(exported, "face_prior")  # type: ignore[assignment]
        self.language_model = _LanguageModel(exported)

    def _look(
        self,
        raw: torch.Tensor,
        frame_counts: torch.Tensor,
        qformer_input_ids: torch.Tensor | None,
        qformer_attention_mask: torch.Tensor | None,
        face_map: torch.Tensor | None,
        face_landmarks: torch.Tensor | None,
        face_mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None, None]:
        if qformer_input_ids is None:
            raise ValueError("The Q-Former of an export is always guided: give `qformer_input_ids`.")
        if qformer_attention_mask is None:
            qformer_attention_mask = torch.ones_like(qformer_input_ids)
        tokens = self.looking(
            raw,
            {"face_map": face_map, "face_landmarks": face_landmarks, "face_mask": face_mask},
            frame_counts=frame_counts,
            qformer_input_ids=qformer_input_ids,
            qformer_attention_mask=qformer_attention_mask,
        )
        return tokens, None, None


class ExportedEmoLlama(_Exported, EmoLlamaForConditionalGeneration):
    """
    An EmoLlama that [`export_model`] wrote: the same calls, `generate` and pipeline as of the one in torch, with its
    networks run by torch.export's program, ONNX Runtime or OpenVINO. It gives no hidden states and no attention
    weights, and learns nothing.

    Args:
        exported (`transformers.exporters.ExportedModel`): its graphs and configurations.
    """

    def __init__(self, exported: "ExportedModel"):
        super(EmoLlamaForConditionalGeneration, self).__init__(exported.config)  # whose networks are not made
        self.exported = exported
        (self.format,) = (name for name, known in FORMATS.items() if known.backend == exported.export_format)
        if exported.generation_config is not None:
            self.generation_config = exported.generation_config
        self.model = _Model(exported)
        self.lm_head = nn.Identity()  # type: ignore[assignment]
        self.eval()

    @classmethod
    def open(cls, name: str) -> "ExportedEmoLlama":
        """
        An export, on the CPU.

        Args:
            name (`str`): folder of an export, by somebody who is trusted: graphs are programs.

        Raises:
            `InputError`: it is no export that runs here.
            `MissingPackageError`: what runs it is not installed.
        """
        manifest = json.loads((Path(name) / MANIFEST).read_text("utf-8"))
        backend = manifest["export_format"]
        found = [format for format, known in FORMATS.items() if known.backend == backend]
        if not found:
            raise InputError(f"`model`: {name!r} is an export to {backend}, not to one of {', '.join(FORMATS)}.")
        check_packages(found[0])
        dtype = getattr(torch, manifest["components"]["language_model"]["metadata"]["export_dtype"])
        from transformers.exporters import ExportedModel

        with no_telemetry(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch, about how transformers asks it
            return cls(ExportedModel.from_pretrained(name, device="cpu", **run_settings(found[0], dtype)))

    def to(self, device: str | torch.device) -> "ExportedEmoLlama":
        """
        Run somewhere else.

        Args:
            device (`str` or `torch.device`)

        Raises:
            `InputError`: its runtime does not run there.
        """
        if torch.device(device) != self.device:
            try:
                self.exported.to(device, **run_settings(self.format, self.dtype))
            except (ValueError, RuntimeError, AssertionError) as error:
                raise InputError(f"`device`: an export cannot run on {str(device)!r}: {error}") from error
        return self

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        """
        Write its graphs and configurations.

        Args:
            save_directory (`str`): folder, made where it is not there.
            kwargs (`Any`, *optional*): of [`~transformers.exporters.ExportedModel.save_pretrained`].
        """
        self.exported.save_pretrained(save_directory, **kwargs)


def is_export(name: str) -> bool:
    """
    Whether a model is an export: only a folder can be, since opening one trusts whoever wrote it.

    Args:
        name (`str`): folder or hub id of a model.
    """
    return (Path(name) / MANIFEST).is_file()


def _refuse_extras(kwargs: dict[str, Any]) -> None:
    """Refuse to give what no graph gives."""
    for name in ("output_hidden_states", "output_attentions"):
        if kwargs.get(name):
            raise ValueError(f"An export gives neither hidden states nor attention weights: leave `{name}` out.")
