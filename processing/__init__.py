"""From files, pixels and text to tensors: image processor, face detection, frame sampling, prompts, processor."""
