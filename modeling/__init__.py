"""Configuration and models of EmoLlama: what computes on tensors."""
