"""Makes Tests/Fixtures/images/{decoding,resize,tiling}.json: what Pillow 13 makes of small pictures of every kind.

`decoding.json` holds whole files in base64 with the SHA-256 of their RGB pixels: upright by EXIF, transparency on white.
Two kinds are computed here by the PNG specification, because Pillow compares their colour key with converted samples:
grey of 2 or 4 bits, and samples of 16 bits. Kinds that Pillow cannot write are put together by hand.
"""

import base64
import hashlib
import io
import json
import struct
import warnings
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps

from fixture_paths import IMAGES

assert PIL.__version__.startswith("13."), "the order of resizing passes is that of Pillow 13"
warnings.simplefilter("ignore")


def noise(count, seed):
    """The bytes the Swift tests make too: a 32-bit mixer over a running number."""
    x = (np.arange(count, dtype=np.uint64) + seed * 1_000_003) & 0xFFFFFFFF
    x ^= x >> 16
    x = x * 0x7FEB352D & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0x846CA68B & 0xFFFFFFFF
    x ^= x >> 16
    return (x & 255).astype(np.uint8)


def smooth(width, height, channels, seed):
    """A colour field with a little noise, [height, width, channels] bytes."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [128 + 100 * np.sin(x / (5 + c) + seed) * np.cos(y / (7 - c) + c) for c in range(channels)]
    grain = noise(height * width * channels, seed).reshape(height, width, channels) / 16
    return np.clip(np.stack(planes, -1) + grain, 0, 255).astype(np.uint8)


def pillow_rgb(data):
    """Pixels as the models' own processors see them, with transparency on white."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


CASES = []


def add(name, data, pixels=None):
    """Adds a case; its pixels are Pillow's unless given."""
    pixels = pillow_rgb(data) if pixels is None else pixels
    CASES.append({
        "name": name, "width": pixels.shape[1], "height": pixels.shape[0],
        "sha256": hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest(),
        "file": base64.b64encode(data).decode(),
    })


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# EXIF

def exif(orientation, order="<", kind=3, before=(), prefix=b""):
    """A TIFF block with an orientation tag, after the `before` ones."""
    entries = [struct.pack(order + "HHI", 0x0112, kind, 1) + struct.pack(order + {1: "B3x", 3: "H2x", 4: "I"}[kind],
                                                                        orientation)]
    entries = [struct.pack(order + "HHIH2x", 0x0112, 3, 1, value) for value in before] + entries
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return prefix + head + struct.pack(order + "H", len(entries)) + b"".join(entries) + struct.pack(order + "I", 0)


def with_jpeg_exif(data, block):
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + data[2:]


# JPEG

def frame_header(data):
    """Where the first SOF segment's precision byte is."""
    at = 2
    while not 0xC0 <= data[at + 1] <= 0xC2:
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    return at + 4


def resampled(data, width, height, factors):
    """The same blocks read as a picture of another size and luma sampling."""
    at = frame_header(data)
    data = bytearray(data)
    data[at + 1:at + 5] = struct.pack(">HH", height, width)
    data[at + 7] = factors
    return bytes(data)


def jpegs():
    photo = Image.fromarray(smooth(61, 45, 3, 1))
    grey, inks = photo.convert("L"), Image.fromarray(smooth(37, 29, 4, 2), "CMYK")
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        for progressive in (False, True):
            kind = "progressive" if progressive else "baseline"
            add(f"jpeg {kind} {sampling}", saved(photo, "JPEG", subsampling=sampling, progressive=progressive))
    add("jpeg 4:4:0", resampled(saved(Image.fromarray(smooth(64, 32, 3, 3)), "JPEG", subsampling="4:2:2"), 32, 64, 0x12))
    add("jpeg 4:1:1", resampled(saved(Image.fromarray(smooth(64, 64, 3, 3)), "JPEG", subsampling="4:2:0"), 128, 32, 0x41))
    add("jpeg 4:1:0", resampled(saved(Image.fromarray(smooth(64, 64, 3, 3)), "JPEG", subsampling="4:2:0"), 27, 125, 0x14))
    add("jpeg low quality", saved(photo, "JPEG", quality=5))
    add("jpeg optimized restarts", saved(photo, "JPEG", optimize=True, restart_marker_blocks=3))
    add("jpeg stored rgb", saved(photo, "JPEG", keep_rgb=True))
    add("jpeg profile and comment", saved(photo, "JPEG", icc_profile=b"x" * 70000, comment=b"words", dpi=(72, 72)))
    for progressive in (False, True):
        kind = "progressive" if progressive else "baseline"
        add(f"jpeg grey {kind}", saved(grey, "JPEG", progressive=progressive))
        cmyk = saved(inks, "JPEG", progressive=progressive)
        add(f"jpeg cmyk {kind}", cmyk)
        adobe = cmyk.index(b"Adobe") + 11
        add(f"jpeg ycck {kind}", cmyk[:adobe] + b"\x02" + cmyk[adobe + 1:])
    for size in ((1, 1), (1, 17), (19, 1), (2, 2), (3, 28), (8, 8), (16, 16), (17, 17), (200, 1)):
        add(f"jpeg {size[0]}x{size[1]}", saved(Image.fromarray(smooth(*size, 3, 4)), "JPEG"))
    add("jpeg bytes between segments", (lambda d: d[:20] + b"\xff\xff" + d[21:])(saved(photo, "JPEG")))
    add("jpeg bytes behind the end", saved(photo, "JPEG") + b"anything")
    small = saved(Image.fromarray(smooth(22, 14, 3, 5)), "JPEG")
    for orientation in range(1, 9):
        add(f"jpeg orientation {orientation}", with_jpeg_exif(small, exif(orientation)))
        add(f"jpeg orientation {orientation} big-endian", with_jpeg_exif(small, exif(orientation, ">")))
    add("jpeg orientation 0", with_jpeg_exif(small, exif(0)))
    add("jpeg orientation 9", with_jpeg_exif(small, exif(9)))
    add("jpeg orientation as long", with_jpeg_exif(small, exif(6, "<", 4)))
    add("jpeg orientation as byte", with_jpeg_exif(small, exif(6, ">", 1)))
    add("jpeg orientation twice", with_jpeg_exif(small, exif(8, "<", 3, before=[6])))
    add("jpeg exif nonsense", with_jpeg_exif(small, b"nothing to see here"))
    add("jpeg exif twice prefixed", with_jpeg_exif(small, exif(6, prefix=b"Exif\0\0")))
    add("jpeg exif behind jfif", small[:20] + with_jpeg_exif(small, exif(6))[2:2 + 2 + 8 + 26] + small[20:])


# PNG

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_rows(samples, depth):
    """Stored rows of samples [height, width, channels], each with a filter type in turn."""
    rows, step = [], max(1, samples.shape[2] * depth // 8)
    previous = None
    for y, row in enumerate(samples.reshape(samples.shape[0], -1)):
        if depth == 16:
            raw = row.astype(">u2").tobytes()
        elif depth == 8:
            raw = row.astype(np.uint8).tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            raw = np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()
        previous = previous or bytes(len(raw))
        rows.append(bytes([y % 5]) + filtered(raw, previous, step, y % 5))
        previous = raw
    return b"".join(rows)


def filtered(raw, up, step, kind):
    out = bytearray()
    for i, value in enumerate(raw):
        a, b, c = (raw[i - step] if i >= step else 0), up[i], (up[i - step] if i >= step else 0)
        p = a + b - c
        nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        out.append((value - [0, a, b, (a + b) // 2, nearest][kind]) & 255)
    return bytes(out)


def png(samples, kind, depth, interlaced=False, palette=None, key=None, early=b"", late=b"", wrap=zlib.compress):
    height, width = samples.shape[:2]
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced))
    out += early
    if palette is not None:
        out += chunk(b"PLTE", palette)
    if key is not None:
        out += chunk(b"tRNS", key)
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        raw = b"".join(packed_rows(part, depth) for part in passes if part.size)
    else:
        raw = packed_rows(samples, depth)
    data = wrap(raw)
    middle = len(data) // 2
    return out + chunk(b"IDAT", data[:middle]) + chunk(b"IDAT", data[middle:]) + late + chunk(b"IEND", b"")


def png_samples(width, height, kind, depth, seed):
    """Stored samples; of 16 bits some are small, so that clipping shows."""
    count = height * width * CHANNELS[kind]
    values = noise(count, seed).astype(np.int64)
    if depth == 16:
        values = values * 257 * (values % 3 > 0) + values * (values % 3 == 0)
    elif depth < 8:
        values = values >> (8 - depth)
    return values.reshape(height, width, CHANNELS[kind])


def keyed(samples, depth, key):
    """RGB of grey or colour samples whose key colour is transparent, by the PNG specification, white behind."""
    top = (1 << depth) - 1
    if samples.shape[2] == 1:
        shown = np.minimum(samples, 255) if depth == 16 else samples * 255 // top
    else:
        shown = samples >> 8 if depth == 16 else samples
    clear = (samples == np.array(key)).all(-1)
    rgb = np.repeat(shown, 3, -1) if shown.shape[2] == 1 else shown.copy()
    rgb[clear] = 255
    return rgb.astype(np.uint8)


def pngs():
    palette = noise(256 * 3, 77).tobytes()
    seed = 10
    for kind, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (False, True):
                seed += 1
                samples = png_samples(13, 11, kind, depth, seed)
                entries = palette[:3 << depth] if kind == 3 else None
                name = f"png kind {kind} depth {depth}" + (" interlaced" if interlaced else "")
                add(name, png(samples, kind, depth, interlaced, entries))
                if kind == 3:
                    alpha = noise(1 << depth, 78).tobytes()
                    add(name + " alpha", png(samples, kind, depth, interlaced, entries, alpha))
                    add(name + " some alpha", png(samples, kind, depth, interlaced, entries, alpha[:1 << (depth - 1)]))
                elif kind in (0, 2):
                    key = [int(v) for v in samples[5, 5]]
                    data = png(samples, kind, depth, interlaced, None, struct.pack(f">{len(key)}H", *key))
                    add(name + " key", data, keyed(samples, depth, key))
    for size in ((1, 1), (1, 9), (9, 1), (2, 2), (3, 3), (5, 2), (8, 8), (4, 5)):
        for interlaced in (False, True):
            samples = png_samples(*size, 2, 8, 5)
            add(f"png {size[0]}x{size[1]}" + (" interlaced" if interlaced else ""), png(samples, 2, 8, interlaced))
    every = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1)
    add("png every grey with every alpha", saved(Image.fromarray(every.astype(np.uint8), "LA"), "PNG", optimize=True))
    few = np.arange(16).reshape(4, 4, 1)
    add("png palette too short", png(few, 3, 8, False, palette[:9]))
    add("png palette too short alpha", png(few, 3, 8, False, palette[:9], b"\x80\x20"))
    colour = png_samples(22, 14, 2, 8, 6)
    for orientation in range(1, 9):
        add(f"png orientation {orientation}", png(colour, 2, 8, early=chunk(b"eXIf", exif(orientation))))
    add("png orientation behind pixels", png(colour, 2, 8, late=chunk(b"eXIf", exif(6, ">"))))
    words = chunk(b"tEXt", b"Comment\0words") + chunk(b"gAMA", struct.pack(">I", 100000))
    add("png text, gamma and profile", png(colour, 2, 8, early=words + chunk(b"iCCP", b"p\0\0" + zlib.compress(b"x" * 200))))
    frames = [Image.fromarray(smooth(12, 9, 3, seed)) for seed in (1, 2, 3)]
    add("png animated", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))
    add("png animated, picture apart", saved(frames[0], "PNG", save_all=True, default_image=True, append_images=frames[1:]))
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        add(f"png by pillow {mode}", saved(Image.fromarray(smooth(40, 30, 4, 9)).convert(mode), "PNG"))


# WebP

def riff(*chunks):
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
                              for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def u24(value):
    return struct.pack("<I", value)[:3]


def animation(canvas, alpha, *frames):
    """An animation of (x, y, picture) frames that may be smaller than the canvas."""
    head = struct.pack("<I", 0x02 | (0x10 if alpha else 0)) + u24(canvas[0] - 1) + u24(canvas[1] - 1)
    chunks = [(b"VP8X", head), (b"ANIM", b"\x10\x20\x30\x40\0\0")]
    for x, y, image in frames:
        still = saved(image, "WEBP", lossless=True)
        payload = still[12:] if still[12:16] == b"VP8L" else still[30:]
        place = u24(x // 2) + u24(y // 2) + u24(image.width - 1) + u24(image.height - 1) + u24(100) + b"\x02"
        chunks.append((b"ANMF", place + payload))
    return riff(*chunks)


def webps():
    photo, clear = Image.fromarray(smooth(61, 45, 3, 1)), Image.fromarray(smooth(35, 27, 4, 2))
    for lossless in (False, True):
        kind = "lossless" if lossless else "lossy"
        add(f"webp {kind}", saved(photo, "WEBP", lossless=lossless))
        add(f"webp {kind} alpha", saved(clear, "WEBP", lossless=lossless))
        add(f"webp {kind} alpha exact", saved(clear, "WEBP", lossless=lossless, exact=True))
        add(f"webp {kind} profile", saved(photo, "WEBP", lossless=lossless, icc_profile=b"x" * 333))
        for size in ((1, 1), (1, 17), (16, 1)):
            add(f"webp {kind} {size[0]}x{size[1]}", saved(Image.fromarray(smooth(*size, 3, 3)), "WEBP", lossless=lossless))
    small = Image.fromarray(smooth(22, 14, 3, 5))
    for orientation in range(1, 9):
        add(f"webp orientation {orientation}", saved(small, "WEBP", exif=exif(orientation)))
    add("webp orientation prefixed", saved(small, "WEBP", exif=exif(6, ">", prefix=b"Exif\0\0")))
    frames = [Image.fromarray(smooth(12, 9, 3, seed)) for seed in (1, 2, 3)]
    add("webp animated", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    add("webp animated lossy alpha", saved(clear, "WEBP", save_all=True, append_images=[clear.rotate(90)]))
    add("webp first frame smaller, clear", animation((20, 16), True, (4, 2, Image.fromarray(smooth(9, 7, 4, 3)))))
    add("webp first frame smaller, opaque", animation((20, 16), False, (4, 2, frames[0]), (0, 0, frames[1])))


# GIF

def with_screen(data, width, height):
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def with_frame_at(data, left, top):
    """Moves the first frame; the image descriptor follows the colour table and extensions."""
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[at] == 0x21:
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    return data[:at + 1] + struct.pack("<HH", left, top) + data[at + 5:]


def gifs():
    photo = Image.fromarray(smooth(33, 21, 3, 1)).quantize(64)
    grey = Image.fromarray(smooth(33, 21, 1, 2)[..., 0])
    frames = [Image.fromarray(smooth(33, 21, 3, seed)).quantize(16) for seed in (3, 4)]
    for interlace in (0, 1):
        kind = " interlaced" if interlace else ""
        add("gif palette" + kind, saved(photo, "GIF", interlace=interlace))
        add("gif grey" + kind, saved(grey, "GIF", interlace=interlace))
        add("gif transparent" + kind, saved(photo, "GIF", interlace=interlace, transparency=3))
        for size in ((1, 1), (1, 9), (9, 1), (5, 5)):
            tiny = Image.fromarray(smooth(*size, 3, 5)).quantize(4)
            add(f"gif {size[0]}x{size[1]}" + kind, saved(tiny, "GIF", interlace=interlace))
    add("gif animated", saved(frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0))
    add("gif comment", saved(photo, "GIF", comment=b"words " * 100))
    plain, clear = saved(photo, "GIF"), saved(photo, "GIF", transparency=3)
    for name, data in (("", plain), (" transparent", clear)):
        add("gif screen larger" + name, with_frame_at(with_screen(data, 50, 40), 5, 9))
        add("gif screen smaller" + name, with_frame_at(with_screen(data, 7, 9), 2, 3))
    local = plain[:10] + bytes([plain[10] & 0x7F]) + plain[11:13]
    table = plain[13:13 + (3 << ((plain[10] & 7) + 1))]
    rest = plain[13 + len(table):]
    at = rest.index(b",") + 9
    add("gif local colours", local + rest[:at] + bytes([rest[at] | 0x80 | plain[10] & 7]) + table + rest[at + 1:])
    add("gif without colours", local + rest)
    two = table[:6]
    add("gif too few colours", plain[:10] + bytes([plain[10] & 0xF8]) + plain[11:13] + two + rest)


# Resizing and tiling

def resizes():
    """[width, height, new width, new height, filter, SHA-256] of a noise picture seeded by its width."""
    random = np.random.default_rng(20261)
    pairs = [tuple(int(v) for v in random.integers(1, 260, 4)) for _ in range(56)]
    pairs += [(200, 180, 200, 40), (200, 180, 40, 180), (64, 64, 64, 64), (1, 1, 7, 9), (1, 90, 3, 5), (90, 1, 5, 3),
              (300, 200, 1, 1), (17, 400, 100, 30), (400, 17, 30, 100), (5, 3, 224, 224), (6, 6, 3, 3), (640, 360, 56, 56),
              (100, 300, 60, 219), (100, 300, 60, 220), (100, 300, 60, 221), (448, 333, 224, 224)]
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC,
               "lanczos": Image.Resampling.LANCZOS}
    rows = []
    for width, height, new_width, new_height in pairs:
        image = Image.fromarray(noise(width * height * 3, width).reshape(height, width, 3))
        for name, kind in filters.items():
            pixels = np.asarray(image.resize((new_width, new_height), kind))
            rows.append([width, height, new_width, new_height, name, hashlib.sha256(pixels.tobytes()).hexdigest()])
    return rows


def upstream_grid(width, height, least, most, tile):
    """The published `dynamic_preprocess` rule as transformers orders it: ratios by area, then by columns."""
    ratios = [(i, j) for i in range(1, most + 1) for j in range(1, most + 1) if least <= i * j <= most]
    ratios.sort(key=lambda ratio: ratio[0] * ratio[1])
    aspect, best, best_difference = width / height, (1, 1), float("inf")
    for ratio in ratios:
        difference = abs(aspect - ratio[0] / ratio[1])
        if difference < best_difference:
            best_difference, best = difference, ratio
        elif difference == best_difference and width * height > 0.5 * tile * tile * ratio[0] * ratio[1]:
            best = ratio
    return best


def tilings():
    """[width, height, fewest, most, tile, columns, rows]; half of the sizes have simple ratios, so that ties occur."""
    random = np.random.default_rng(20262)
    sizes = [tuple(int(v) for v in random.integers(1, 4000, 2)) for _ in range(160)]
    for i in range(1, 13):
        for j in range(1, 13):
            unit = int(random.integers(20, 600))
            sizes.append((i * unit, j * unit))
    sizes += [(448, 448), (316, 317), (317, 317), (633, 634), (634, 634), (896, 448), (1, 200), (200, 1), (800, 600)]
    return [[width, height, least, most, tile, *upstream_grid(width, height, least, most, tile)]
            for width, height in sizes
            for least, most, tile in ((1, 12, 448), (1, 6, 448), (1, 1, 448), (1, 40, 448), (2, 6, 448), (1, 12, 112))]


def write(name, rows):
    lines = ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows)
    (IMAGES / name).write_text("[\n" + lines + "\n]\n")
    print(name, len(rows), (IMAGES / name).stat().st_size, "bytes")


if __name__ == "__main__":
    jpegs()
    pngs()
    webps()
    gifs()
    assert len({case["name"] for case in CASES}) == len(CASES)
    write("decoding.json", CASES)
    write("resize.json", resizes())
    write("tiling.json", tilings())
