"""Training of a face prior, before an EmoLlama is built around it."""
