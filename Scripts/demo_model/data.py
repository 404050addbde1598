"""Feeds training: worker processes draw samples into shared memory, a loader gathers them into batches.

Samples come in four groups with fixed shapes, so that the compiled model sees two sequence lengths:

    single  one picture, one tile                        sequences of SHORT
    pair    two pictures, one tile each                  sequences of LONG
    three   one picture, two tiles and the thumbnail     sequences of LONG
    four    one picture, three tiles and the thumbnail   sequences of LONG

A slot of shared memory holds one sample. Workers redraw the slots that were used; when they fall behind, a slot is used
again rather than letting the GPU wait.
"""

import mmap
import multiprocessing
import os
import random
import time

import numpy as np

import smollm2
from assets import TILE, Assets, labels_of, tiles_of
from render import Renderer

TILE_TOKENS = 64
SHORT, LONG = 176, 336
GROUPS = {"single": 1, "pair": 2, "three": 3, "four": 4}  # tiles
SYSTEMS = [
    "",
    "",
    "",
    "You are a helpful assistant.",
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
]


class Encoder:
    """Turns a sample into token ids and the mask of positions to learn."""

    def __init__(self, tokenizer):
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(tokenizer)
        self.kept = {}

    def ids(self, text):
        if text not in self.kept:
            if len(self.kept) > 50_000:
                self.kept.clear()
            self.kept[text] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return self.kept[text]

    def prompt(self, question, tiles, system=""):
        """Token ids of a conversation up to the first answer. tiles lists the tiles of each picture."""
        start, end, line = smollm2.IM_START, smollm2.IM_END, self.ids("\n")
        ids = []
        if system:
            ids += [start, *self.ids("system\n" + system), end, *line]
        ids += [start, *self.ids("user\n")]
        for count in tiles:
            ids += [smollm2.IMAGE_START, *[smollm2.IMAGE_CONTEXT] * (TILE_TOKENS * count), smollm2.IMAGE_END, *line]
        return ids + [*self.ids(question), end, *line, start, *self.ids("assistant\n")]

    def sample(self, turns, tiles, system, length):
        """(ids, mask) padded to length, or None if not even the first turn fits."""
        ids, mask = [], []
        for i, (question, answer) in enumerate(turns):
            part = self.prompt(question, tiles if i == 0 else [], system if i == 0 else "")
            if i:
                part = self.ids("\n") + part
            reply = [*self.ids(answer), smollm2.IM_END]
            if len(ids) + len(part) + len(reply) > length:
                break
            ids += part + reply
            mask += [0] * len(part) + [1] * len(reply)
        if not ids:
            return None
        rest = length - len(ids)
        return ids + [smollm2.END_OF_TEXT] * rest, mask + [0] * rest


class Pool:
    """The shared slots of one group."""

    def __init__(self, group, slots):
        self.tiles, self.slots = GROUPS[group], slots
        self.length = SHORT if group == "single" else LONG

        def shared(dtype, *shape):
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            return np.frombuffer(mmap.mmap(-1, size), dtype).reshape(shape)

        self.pixels = shared(np.uint8, slots, self.tiles, TILE, TILE, 3)
        self.ids = shared(np.int32, slots, self.length)
        self.mask = shared(np.uint8, slots, self.length)
        self.labels = shared(np.int16, slots, self.tiles, 16, 16)
        self.uses = shared(np.int16, slots)
        self.uses[:] = -1  # not drawn yet


def draw_forever(pools, shares, folder, tokenizer, worker, workers, seed, progress, sorts):
    os.nice(5)
    renderer = Renderer(Assets(folder, "train"), seed, sorts)
    encoder = Encoder(tokenizer)
    rng = random.Random(seed + 1)
    mine = {g: list(range(worker, p.slots, workers)) for g, p in pools.items()}
    cursor = dict.fromkeys(pools, 0)
    names = list(pools)
    while True:
        group = rng.choices(names, shares)[0]
        pool = pools[group]
        renderer.progress = float(progress[0])
        for step in range(len(mine[group])):
            slot = mine[group][(cursor[group] + step) % len(mine[group])]
            if pool.uses[slot] != 0:
                cursor[group] += step + 1
                break
        else:
            time.sleep(0.002)
            continue
        try:
            sample = (
                renderer.single()
                if group == "single"
                else renderer.pair() if group == "pair" else renderer.wide(pool.tiles)
            )
            tiles = [tiles_of(image) for image in sample.images]
            row = encoder.sample(sample.turns, [len(t) for t in tiles], rng.choice(SYSTEMS), pool.length)
            pixels = np.concatenate(tiles)
            labels = np.concatenate([labels_of(image, 16) for image in sample.images])
            if row is None or len(pixels) != pool.tiles:
                continue
        except (ValueError, OSError, IndexError, RecursionError, ZeroDivisionError, OverflowError):
            continue
        pool.uses[slot] = -1
        pool.pixels[slot], pool.labels[slot], pool.ids[slot], pool.mask[slot] = pixels, labels, row[0], row[1]
        pool.uses[slot] = 0


class Feeder:
    """Starts the workers (before CUDA is touched) and hands out batches as NumPy arrays."""

    def __init__(self, batch, folder, tokenizer, workers, seed, depth=24, sorts=(), progress=0.0):
        self.batch = batch
        self.progress = np.frombuffer(mmap.mmap(-1, 8), np.float64)  # the workers read it
        self.progress[0] = progress
        self.pools = {g: Pool(g, max(workers, count * depth)) for g, count in batch.items()}
        shares = [count * (2.0 if g != "single" else 1) for g, count in batch.items()]
        context = multiprocessing.get_context("fork")
        self.workers = [
            context.Process(
                target=draw_forever,
                daemon=True,
                args=(self.pools, shares, folder, tokenizer, i, workers, seed * 1000 + i, self.progress, sorts),
            )
            for i in range(workers)
        ]
        for worker in self.workers:
            worker.start()
        self.rng = np.random.default_rng(seed)
        self.reused = self.taken = 0

    def fill(self, timeout=120):
        """Waits until every group holds three batches."""
        end = time.time() + timeout
        while time.time() < end and any((p.uses >= 0).sum() < 3 * self.batch[g] for g, p in self.pools.items()):
            time.sleep(0.2)

    def stop(self):
        for worker in self.workers:
            worker.terminate()

    def take(self):
        """{group: (pixels, ids, mask, labels)}, the least used slots first."""
        result = {}
        for group, pool in self.pools.items():
            uses = pool.uses.astype(np.float32) + self.rng.random(pool.slots, np.float32) * 0.9
            uses[pool.uses < 0] = np.inf
            slots = np.argpartition(uses, self.batch[group])[: self.batch[group]]
            self.reused += int((uses[slots] >= 1).sum())
            self.taken += len(slots)
            result[group] = (pool.pixels[slots], pool.ids[slots].astype(np.int64), pool.mask[slots], pool.labels[slots])
            pool.uses[slots] += 1
        return result
