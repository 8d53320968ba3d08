"""Ways to fine-tune that are compared: LoRA, LoRA on 4-bit weights, and all of the language model."""

from dataclasses import dataclass

from peft import PeftModel
from torch import nn

from ..modeling.modeling_emo_llama import EmoLlamaForConditionalGeneration
from ..training.trainable_parts import DEFAULT_PARTS, make_trainable

# NF4 with double quantization (arXiv 2305.14314, section 3): 4 bits, 8 bits a block of 64, 32 bits for 256 of these.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)


@dataclass(frozen=True)
class Method:
    """
    A way to fine-tune.

    Args:
        options (`str`): of `emo-llama train`.
        lora (`bool`): whether the language model learns by an adapter; or else as a whole.
        quantized (`bool`, *optional*, defaults to `False`): whether its linear layers are kept in 4 bits.
    """

    options: str
    lora: bool
    quantized: bool = False

    def make_trainable(self, model: EmoLlamaForConditionalGeneration) -> EmoLlamaForConditionalGeneration | PeftModel:
        """
        The model as `emo-llama train` trains it: what learns is in single precision, the rest as it is stored.

        Args:
            model ([`EmoLlamaForConditionalGeneration`]): on the meta device; changed in place.
        """
        if self.lora:
            trainable = make_trainable(model)
        else:
            trainable = make_trainable(model, parts=("language_model", *DEFAULT_PARTS), lora_rank=0)
        for parameter in trainable.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        return trainable

    def weight_bytes(self, model: nn.Module) -> int:
        """
        Bytes of a model's weights and buffers.

        Args:
            model (`nn.Module`): from [`~Method.make_trainable`].
        """
        total = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
        if not self.quantized:
            return total
        linear = [
            module.weight
            for name, module in model.named_modules()
            if ".language_model." in name and name.endswith(".base_layer") and isinstance(module, nn.Linear)
        ]
        return total - sum(weight.nbytes for weight in linear) + round(sum(w.numel() for w in linear) * NF4_BYTES)


METHODS = {
    "lora": Method("--bf16", lora=True),
    "qlora": Method("--bf16 --load-in-4bit", lora=True, quantized=True),
    "full": Method("--bf16 --lora-rank 0 --parts language_model,projector,face_info_mining", lora=False),
}
