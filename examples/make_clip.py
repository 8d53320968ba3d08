"""Make a two-second clip of a picture that the camera moves into: `python examples/make_clip.py PICTURE CLIP`."""

import sys

import av
from PIL import Image


def make_clip(picture: str, clip: str, frames: int = 50, rate: int = 25) -> None:
    """Write an H.264 clip that zooms into `picture`, up to twice its size."""
    image = Image.open(picture).convert("RGB")
    width, height = (side // 2 * 2 for side in image.size)  # H.264 wants even sides
    with av.open(clip, "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            margin = number / (frames - 1) / 4
            box = (width * margin, height * margin, width * (1 - margin), height * (1 - margin))
            frame = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())


if __name__ == "__main__":
    make_clip(*sys.argv[1:3])
