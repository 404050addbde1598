"""Draws the pictures the golden references use: gradients, shapes and words, so that every tile differs.

The committed files are the truth; run this only to add a picture. Sizes are chosen for 112-pixel tiles (see README.md).
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fixture_paths import IMAGES

# name, width, height, mode, words
PICTURES = [
    ("golden-one.png", 100, 90, "RGB", "one"),
    ("golden-two.jpg", 220, 110, "RGB", "two tiles"),
    ("golden-six.png", 330, 220, "RGB", "six tiles"),
    ("golden-twelve.jpg", 400, 300, "RGB", "twelve tiles"),
    ("golden-wide.jpg", 300, 100, "RGB", "wide"),
    ("golden-tall.png", 160, 320, "L", "tall"),
    ("golden-clear.png", 100, 100, "RGBA", "clear"),
]

# Too small for words: name, width, height
PLAIN = [("golden-dot.png", 1, 1), ("golden-thread.png", 1, 200)]


def gradient(width, height, seed):
    """A smooth colour field with a fine ripple, [height, width, 3] bytes."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    field = np.zeros((height, width, 3))
    for channel in range(3):
        angle, wave, phase = random.uniform(0, 6.28), random.uniform(0.6, 1.6), random.uniform(0, 6.28)
        along = (np.cos(angle) * x / width + np.sin(angle) * y / height) * wave
        field[..., channel] = 128 + 92 * np.sin(6.28 * along + phase) + 10 * np.sin(x * 0.9 + y * 0.5 * channel)
    return np.clip(field, 0, 255).astype(np.uint8)


def draw(name, width, height, mode, words, seed):
    """Draws one picture and saves it under its name."""
    random = np.random.default_rng(seed + 100)
    image = Image.fromarray(gradient(width, height, seed))
    pen = ImageDraw.Draw(image)
    for index in range(9):
        left, top = int(random.integers(0, width - 20)), int(random.integers(0, height - 20))
        right, bottom = left + int(random.integers(12, width // 3)), top + int(random.integers(12, height // 3))
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        shape = [pen.ellipse, pen.rectangle, pen.line][index % 3]
        shape([left, top, right, bottom], fill=colour, **({"width": 3} if index % 3 == 2 else {}))
    size = max(14, height // 6)
    pen.text((6, height - size - 10), words, fill=(255, 255, 255), font=ImageFont.load_default(size),
             stroke_width=1, stroke_fill=(0, 0, 0))
    if mode == "RGBA":
        y, x = np.mgrid[0:height, 0:width]
        alpha = np.clip(255 * (1.3 - np.hypot(x / width - 0.5, y / height - 0.5) * 2), 0, 255).astype(np.uint8)
        image.putalpha(Image.fromarray(alpha))
    elif mode != "RGB":
        image = image.convert(mode)
    if name.endswith(".jpg"):
        image.save(IMAGES / name, quality=88)
    else:
        image.save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    for seed, picture in enumerate(PICTURES):
        draw(*picture, seed)
        print(picture[0], (IMAGES / picture[0]).stat().st_size)
    for seed, (name, width, height) in enumerate(PLAIN, len(PICTURES)):
        Image.fromarray(gradient(width, height, seed)).save(IMAGES / name)
