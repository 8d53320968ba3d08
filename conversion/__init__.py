"""Converters of original checkpoints to EmoLlama's format."""
