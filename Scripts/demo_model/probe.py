#!/usr/bin/env python3
"""Asks a checkpoint of train.py about held-out pictures, on the training machine, and prints rough scores.

    python3 probe.py --work WORK [--count 128]

This is for watching training; evaluate.py measures the exported model.
"""

import argparse
import re
from pathlib import Path

import torch

import data
import model as demo
import smollm2
from assets import Assets, tiles_of
from render import Renderer, Sample
from words import this_is


def answers(net, encoder, samples, device, most=40):
    """Greedy answers to the first question of each sample."""
    result = []
    mean = torch.tensor(demo.MEAN, device=device).view(1, 3, 1, 1) * 255
    std = torch.tensor(demo.STD, device=device).view(1, 3, 1, 1) * 255
    matrices = net.llm.matrices()
    for at in range(0, len(samples), 64):
        rows, pixels = [], []
        for sample in samples[at : at + 64]:
            tiles = [tiles_of(image) for image in sample.images]
            pixels += [torch.from_numpy(t.copy()) for t in tiles]
            rows.append(encoder.prompt(sample.turns[0][0], [len(t) for t in tiles]))
        lengths = torch.tensor([len(r) for r in rows], device=device)
        width = max(map(len, rows)) + most
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        ids = ids.to(device)
        x = (torch.cat(pixels).to(device).permute(0, 3, 1, 2).float() - mean) / std
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            features = net.image_features(x)
        done = torch.zeros(len(rows), dtype=torch.bool, device=device)
        index = torch.arange(len(rows), device=device)
        first = lengths.clone()
        with torch.no_grad():
            for _ in range(most):
                embedded = net.splice(ids, features).flatten(0, 1)
                hidden = net.llm(embedded, matrices, (tuple(ids.shape),)).view(*ids.shape, -1)[index, lengths - 1]
                token = (hidden @ net.llm.table.T)[:, : smollm2.VOCABULARY].argmax(-1)
                ids[index, lengths] = token
                done |= token == smollm2.IM_END
                lengths += 1
                if done.all():
                    break
        for i in range(len(rows)):
            made = ids[i, first[i] : lengths[i]].tolist()
            made = made[: made.index(smollm2.IM_END)] if smollm2.IM_END in made else made
            result.append(encoder.tokenizer.decode(made))
    return result


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--checkpoint", type=Path)
    arguments.add_argument("--count", type=int, default=128)
    options = arguments.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = demo.DemoModel(smollm2.weights(smollm2.GGUF(options.work / "SmolLM2-135M-Instruct.Q4_1.gguf")))
    net.load_state_dict(
        torch.load(options.checkpoint or options.work / "checkpoint.pt", map_location="cpu"), strict=False
    )
    net.to(device)
    encoder = data.Encoder(str(options.work / "tokenizer.json"))
    renderer = Renderer(Assets(options.work, "test"), 77)
    assets, rng = renderer.assets, renderer.rng
    count = options.count

    def show(name, samples, right):
        found = answers(net, encoder, samples, device)
        good = [right(s, a) for s, a in zip(samples, found)]
        print(f"{name:12s} {sum(good) / len(good):.3f}", flush=True)
        for s, a, g in list(zip(samples, found, good))[:6]:
            print("     ", "ok " if g else "BAD", s.turns[0], "->", repr(a))

    def same(sample, answer):
        return answer.strip() == sample.turns[0][1]

    def named(sample, answer):
        words = set(re.findall(r"[a-z]+", answer.lower()))
        words |= {w[:-1] for w in words if w.endswith("s")}
        return bool(words & (set(sample.entry["words"]) | {sample.entry["name"].split()[-1]}))

    for name, pool in (("emoji", [e for e in assets.emoji if e["source"] == "noto"]), ("clip art", assets.clipart)):
        samples = []
        for entry in rng.sample(pool, min(count, len(pool))):
            samples.append(Sample([renderer.portrait(entry)[0]], [("What is this?", this_is(entry["name"]))]))
            samples[-1].entry = entry
        show(name, samples, named)
    show("word", [renderer.reading() for _ in range(count)], same)
    scenes = []
    while len(scenes) < count:
        picture, things, ground = renderer.scene()
        turns = renderer.scene_turns(things, ground, 1)
        if turns:
            scenes.append(Sample([picture], turns))
    show("scene", scenes, same)
    show("wide", [renderer.wide(rng.choice([3, 4])) for _ in range(count)], same)
    show("pair", [renderer.pair() for _ in range(count)], same)
    show("landscape", [renderer.landscape() for _ in range(count // 2)], same)


if __name__ == "__main__":
    main()
