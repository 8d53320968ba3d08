"""Image processor, face detection, frame sampling, prompts and processor of EmoLlama: files, pixels and text to tensors."""
