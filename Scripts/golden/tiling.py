"""InternVL's dynamic tiling with Pillow: the rule of the published models' own preprocessing, written afresh.

Every grid of min…max tiles is tried by area; the one whose width-to-height ratio is nearest wins, and among equal
ratios a larger grid takes over while the picture has more than half of the grid's pixels. The picture is then resized
(bicubic) to the grid, cut row by row, and a whole-picture thumbnail follows when there is more than one tile.
"""

import numpy as np
from PIL import Image


def best_grid(width, height, tile, minimum, maximum):
    """(columns, rows) for a picture of `width` × `height` pixels."""
    grids = {(columns, rows) for columns in range(1, maximum + 1) for rows in range(1, maximum + 1)
             if minimum <= columns * rows <= maximum}
    nearest, chosen = float("inf"), (1, 1)
    for columns, rows in sorted(grids, key=lambda grid: grid[0] * grid[1]):
        difference = abs(width / height - columns / rows)
        if difference < nearest:
            nearest, chosen = difference, (columns, rows)
        elif difference == nearest and width * height > 0.5 * tile * tile * columns * rows:
            chosen = (columns, rows)
    return chosen


def open_rgb(path):
    """The picture as RGB; transparency is laid on white."""
    image = Image.open(path)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def cut(image, tile, minimum, maximum, thumbnail):
    """Tiles as bytes, [n, tile, tile, 3]: the grid row by row, then the thumbnail."""
    columns, rows = best_grid(image.width, image.height, tile, minimum, maximum)
    whole = np.asarray(image.resize((columns * tile, rows * tile), Image.Resampling.BICUBIC))
    tiles = [whole[row * tile:(row + 1) * tile, column * tile:(column + 1) * tile]
             for row in range(rows) for column in range(columns)]
    if thumbnail and len(tiles) > 1:
        tiles.append(np.asarray(image.resize((tile, tile), Image.Resampling.BICUBIC)))
    return np.stack(tiles)


def normalise(tiles, mean, std):
    """Model input, float32 [n, 3, tile, tile]: bytes / 255, then (value - mean) / std for each channel."""
    scaled = tiles.astype(np.float32) / np.float32(255)
    scaled = (scaled - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
