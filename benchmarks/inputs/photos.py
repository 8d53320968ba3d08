"""Photos."""

from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

from inputs.scenes import sample, scene

PORTRAITS = 16
CROWDS = (1, 2, 4, 8, 16, 32)


def photos(folder: Path) -> None:
    """`512.png`, `frame-0.png` to `frame-3.png` of 1920x1080, and `12mp.png` of 4000x3000."""
    sample("astronaut.png").save(folder / "512.png")
    for number in range(4):
        places = [(300 + 40 * number, 250, 400), (1200 - 40 * number, 300, 320)]
        scene((1920, 1080), places).save(folder / f"frame-{number}.png", compress_level=1)
    places = [(300, 400, 1200), (2200, 600, 800), (3200, 2200, 300), (1800, 2300, 200)]
    scene((4000, 3000), places).save(folder / "12mp.png", compress_level=1)


def portraits(folder: Path) -> None:
    """`portrait-00.jpg` to `portrait-15.jpg`: the two photos of people, in other sizes, lights and mirrored."""
    for number in range(PORTRAITS):
        photo = sample(("astronaut.png", "grace_hopper.jpg")[number % 2])
        scale = 0.8 + 0.1 * (number // 4)
        picture = photo.resize((int(photo.width * scale), int(photo.height * scale)), Image.Resampling.BICUBIC)
        picture = ImageOps.mirror(picture) if number // 2 % 2 else picture
        picture = ImageEnhance.Brightness(picture).enhance(0.85 + 0.02 * number)
        picture.save(folder / f"portrait-{number:02d}.jpg", quality=92)


def portrait_files(inputs: Path) -> list[str]:
    """What [`portraits`] made."""
    return [str(inputs / f"portrait-{number:02d}.jpg") for number in range(PORTRAITS)]


def crowds(folder: Path) -> None:
    """`crowd-1.png` to `crowd-32.png`, each of 1280x720 and with so many faces."""
    for count in CROWDS:
        places = [(30 + 152 * (number % 8), 30 + 170 * (number // 8), 140) for number in range(count)]
        scene((1280, 720), places).save(folder / f"crowd-{count}.png", compress_level=1)
