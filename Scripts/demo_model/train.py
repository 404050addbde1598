#!/usr/bin/env python3
"""Trains the demo model on one or more GPUs of one machine.

    torchrun --nproc-per-node 2 train.py --work WORK --output OUT --seconds 1200

WORK holds SmolLM2-135M-Instruct.Q4_1.gguf, tokenizer.json and start.npz (see prepare.py), pictures.zip and fonts.zip
(see pack.py) and, once made by text.py, text.npz. The learning rate follows the clock: warm-up, a plateau and a decay
to zero at --seconds. What is learned (tower, projector, deltas) is saved as checkpoint.pt in WORK every --save seconds,
and at the end. To go on from what was learned, at a lower rate and with more to read:

    train.py --work WORK --output OUT --seconds 400 --resume ../../DemoModel/weights.safetensors --start random \
        --rate 0.4 --decay 0.98 --shares reading=0.5 naming=0.2 scenes=0.15
"""

import argparse
import json
import math
import os
import queue
import threading
import time
from pathlib import Path

import numpy as np

import assemble
import data
import smollm2
from assets import Assets
from render import SHARES


def share_of(text):
    """A sort of picture and its share, from "reading=0.5"."""
    name, number = text.split("=")
    if name not in SHARES:
        raise ValueError(name)
    return name, float(number)


def parsed():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--seconds", type=float, default=1200, help="training time, compilation excluded")
    arguments.add_argument("--within", type=float, help="seconds in all, compilation included; shortens --seconds")
    arguments.add_argument("--save", type=float, default=240)
    arguments.add_argument("--workers", type=int, default=14, help="drawing processes for each GPU")
    arguments.add_argument("--single", type=int, default=96)
    arguments.add_argument("--pair", type=int, default=14)
    arguments.add_argument("--three", type=int, default=8)
    arguments.add_argument("--four", type=int, default=8)
    arguments.add_argument("--patches", type=float, default=0.5, help="weight of the patches' classification")
    arguments.add_argument("--tokens", type=float, default=0.3, help="weight of the image tokens' classification")
    arguments.add_argument("--text", type=int, default=8)
    arguments.add_argument("--text-weight", type=float, default=0.5, help="weight of the plain text's divergence")
    arguments.add_argument(
        "--shares", nargs="*", type=share_of, default=[], metavar="SORT=SHARE", help="how often what is drawn; see render.py"
    )
    arguments.add_argument("--rate", type=float, default=1.0, help="a factor of the four rates")
    arguments.add_argument("--tower-rate", type=float, default=2.5e-4)
    arguments.add_argument("--delta-rate", type=float, default=8e-4)
    arguments.add_argument("--projector-rate", type=float, default=1e-3)
    arguments.add_argument("--start", choices=["dinov2", "random"], default="dinov2")
    arguments.add_argument("--resume", type=Path, help="a checkpoint.pt, or the weights.safetensors that ships")
    arguments.add_argument("--decay", type=float, default=0.4, help="the share of the time in which the rate falls")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--every", type=int, default=100)
    return arguments.parse_args()


def factor_at(share, decay):
    """The learning rate's factor when this share of the time has passed."""
    if share < 0.02:
        return share / 0.02
    if share < 1 - decay:
        return 1.0
    return max(0.0, 0.5 * (1 + math.cos(math.pi * (share - 1 + decay) / decay))) * 0.99 + 0.01


def main():
    options = parsed()
    begun = time.time()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    batch = {"single": options.single, "pair": options.pair, "three": options.three, "four": options.four}
    feeder = data.Feeder(
        batch,
        options.work,
        str(options.work / "tokenizer.json"),
        options.workers,
        options.seed * 100 + rank,
        sorts=options.shares,
        progress=1.0 if options.resume else 0.0,
    )
    import torch  # after the fork
    import torch.distributed as dist
    from torch.nn import functional as F

    import model as demo

    gpu = torch.cuda.is_available()  # without one, this is a very slow test of the code
    device = torch.device("cuda", rank) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(rank)
    if world > 1:
        dist.init_process_group("nccl", device_id=device)
    torch.manual_seed(options.seed)
    torch.set_float32_matmul_precision("high")
    weights = smollm2.weights(smollm2.GGUF(options.work / "SmolLM2-135M-Instruct.Q4_1.gguf"))
    net = demo.DemoModel(weights)
    if options.start == "dinov2":
        packed = np.load(options.work / "start.npz")
        demo.load_start(
            net.tower,
            {
                name.removesuffix(":q"): (
                    packed[name] * packed[name.replace(":q", ":s")] if name.endswith(":q") else packed[name]
                )
                for name in packed.files
                if not name.endswith(":s")
            },
        )
    if options.resume:
        if options.resume.suffix == ".safetensors":
            state = {n: torch.from_numpy(np.array(a, np.float32)) for n, a in assemble.learned(options.resume).items()}
        else:
            state = torch.load(options.resume, map_location="cpu")
        net.load_state_dict(state)
    net.to(device)
    classes = Assets(options.work, "train").classes
    sorter = demo.Sorter(classes, data.Encoder(str(options.work / "tokenizer.json")), net.llm.table).to(device)
    text = np.load(options.work / "text.npz")["ids"] if (options.work / "text.npz").exists() else None
    if text is None:
        options.text = 0

    groups = [
        {"params": list(net.tower.parameters()), "lr": options.tower_rate, "weight_decay": 0.02},
        {"params": list(net.projector.parameters()), "lr": options.projector_rate, "weight_decay": 0.0},
        {
            "params": [p for n, p in net.llm.named_parameters() if n != "added"],
            "lr": options.delta_rate,
            "weight_decay": 0.0,
        },
        {"params": [net.llm.added], "lr": 1e-4, "weight_decay": 0.0},
        {"params": list(sorter.parameters()), "lr": 1e-3, "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.97), eps=1e-8, fused=True)
    for group in adam.param_groups[:-1]:
        group["lr"] *= options.rate
    for group in adam.param_groups:
        group["base"] = group["lr"]
    parameters = [*net.parameters(), *sorter.parameters()]
    if rank == 0:
        print("trained parameters:", sum(p.numel() for p in parameters), flush=True)

    mean = torch.tensor(demo.MEAN, device=device).view(1, 3, 1, 1) * 255
    std = torch.tensor(demo.STD, device=device).view(1, 3, 1, 1) * 255
    compiled_layer = torch.compile(demo.llm_layer, dynamic=False)
    compiled_tower = torch.compile(demo.tower_layer, dynamic=False)

    def prepared(pixels):
        """uint8 tiles to normalised pixels, with a little noise and change of light."""
        x = pixels.permute(0, 3, 1, 2).float()
        gain = 1 + 0.06 * torch.randn(len(x), 1, 1, 1, device=device)
        shift = 6 * torch.randn(len(x), 1, 1, 1, device=device)
        sigma = 5 * torch.rand(len(x), 1, 1, 1, device=device)
        x = (x * gain + shift + sigma * torch.randn_like(x)).clamp_(0, 255)
        return ((x - mean) / std).bfloat16()

    @torch.compile(dynamic=False)
    def losses(hidden, table, labels):
        logits = F.linear(hidden, table).float()
        return torch.logsumexp(logits, -1) - logits.gather(1, labels[:, None]).squeeze(1)

    @torch.compile(dynamic=False)
    def divergence(hidden, reference, table):
        student = F.log_softmax(F.linear(hidden, table).float(), -1)
        teacher = F.log_softmax(F.linear(reference, table).float(), -1)
        return (teacher.exp() * (teacher - student)).sum(-1)

    sorting = torch.compile(sorter, dynamic=False)
    sorts = list(batch)
    singles, longs = options.single, options.pair + options.three + options.four
    parts = ((singles + options.text, data.SHORT), (longs, data.LONG))
    cap, text_cap = 24 * singles + 48 * longs, 100 * options.text
    random = np.random.default_rng(options.seed + rank)

    def packed_targets(mask, following, cap, first=0):
        """Positions among all tokens whose next token is learned, those tokens and weights, padded to cap."""
        found = np.flatnonzero(mask)
        found = random.permutation(found)[:cap]
        positions, labels, weight = np.full(cap, first), np.zeros(cap, np.int64), np.zeros(cap, np.float32)
        positions[: len(found)] = found + first
        labels[: len(found)] = following[found]
        weight[: len(found)] = 1
        return positions, labels, weight

    def host_batch(found):
        """A batch as pinned tensors: pixels, labels, token ids, targets, the chosen rows of text and their targets."""
        pixels = torch.cat([torch.from_numpy(found[g][0]).flatten(0, 1) for g in sorts])
        labels = np.concatenate([found[g][3].reshape(-1, 16, 16) for g in sorts]).astype(np.int64)
        chosen = random.integers(0, len(text), options.text) if options.text else np.zeros(0, np.int64)
        rows = text[chosen] if options.text else np.zeros((0, data.SHORT), np.uint32)
        short = np.concatenate([found["single"][1], (rows & 0x7FFF_FFFF).astype(np.int64)])
        long = np.concatenate([found[g][1] for g in sorts[1:]])
        ids = np.concatenate([short.ravel(), long.ravel()])

        def before(mask):  # the mask of the positions before the learned ones
            mask = mask.copy()
            mask[:, :-1], mask[:, -1] = mask[:, 1:], 0
            return mask.ravel()

        masks = [before(found["single"][2]), np.zeros(rows.size, np.uint8)] + [before(found[g][2]) for g in sorts[1:]]
        targets = packed_targets(np.concatenate(masks), np.append(ids[1:], 0), cap)
        spoken = (
            packed_targets(
                before((rows >> 31).astype(np.uint8)), np.append(rows.ravel()[1:], 0), text_cap, singles * data.SHORT
            )
            if options.text
            else ()
        )
        tensors = [pixels, *map(torch.from_numpy, (labels, ids, *targets, chosen, *spoken))]
        return [t.pin_memory() for t in tensors] if gpu else tensors

    def batches():
        ready = queue.Queue(3)

        def prepare():
            while True:
                ready.put(host_batch(feeder.take()))

        threading.Thread(target=prepare, daemon=True).start()
        while True:
            yield [t.to(device, non_blocking=True) for t in ready.get()]

    stream = batches()
    feeder.fill()
    sorted_share = 1.0  # of the patches' loss: after a resumption it grows, since the sorter starts anew
    said = None
    if options.text:  # what the untouched model says about every text, as its last hidden states
        plain, said = net.llm.matrices(adapted=False), []
        with torch.no_grad():
            for rows in np.array_split(text, len(text) // 64):
                ids = torch.from_numpy((rows & 0x7FFF_FFFF).astype(np.int64)).to(device)
                said.append(net.llm(net.llm.embed(ids).flatten(0, 1), plain, (tuple(ids.shape),)).view(*ids.shape, -1))
        said = torch.cat(said)
        del plain

    def step():
        pixels, marks, ids, positions, labels, weight, chosen, *spoken = next(stream)
        with torch.autocast(device.type, torch.bfloat16):
            seen = net.tower(prepared(pixels), compiled_tower)
            features = net.projector(seen)
            patches, tokens = sorting(seen, features, marks)
        hidden = net.llm(net.splice(ids, features), net.llm.matrices(), parts, compiled_layer)
        answers = (losses(hidden[positions], net.llm.table, labels) * weight).sum() / weight.sum()
        total = answers + sorted_share * options.patches * patches + options.tokens * tokens
        result = [answers.detach(), patches.detach(), tokens.detach()]
        if spoken:
            positions, _, weight = spoken
            reference = said[chosen].flatten(0, 1)[positions - singles * data.SHORT]
            kl = (divergence(hidden[positions], reference, net.llm.table) * weight).sum() / weight.sum()
            result.append(kl.detach())
            total = total + options.text_weight * kl
        total.backward()
        return torch.stack(result)

    def reduce_gradients():
        if world == 1:
            return
        flat = torch.cat([p.grad.reshape(-1) for p in parameters])
        dist.all_reduce(flat, op=dist.ReduceOp.AVG)
        torch._foreach_copy_(
            [p.grad for p in parameters],
            [g.view_as(p) for g, p in zip(flat.split([p.numel() for p in parameters]), parameters)],
        )

    def save():
        if rank == 0:
            state = {n: p.detach().float().cpu() for n, p in net.named_parameters()}
            part = options.work / "checkpoint.part"
            torch.save(state, part)
            part.replace(options.work / "checkpoint.pt")

    pixels = next(stream)[0]
    if not options.resume:
        with torch.no_grad():  # level the channels that the projector sees
            net.projector.level(torch.cat([net.tower(prepared(chunk).float()) for chunk in pixels.split(64)]))
    if world > 1:
        for p in parameters:
            dist.broadcast(p.data, 0)
    for _ in range(3):  # compile
        step()
        for p in parameters:
            p.grad = None
    if gpu:
        torch.cuda.synchronize()
    if rank == 0:
        used = torch.cuda.max_memory_allocated() / 2**30 if gpu else 0
        print(f"ready after {time.time() - begun:.0f} s; memory {used:.1f} GiB", flush=True)
    if world > 1:
        dist.barrier()
    if options.within:
        options.seconds = min(options.seconds, options.within - (time.time() - begun))
    start, saved, steps, shown = time.time(), time.time(), 0, []
    clock = torch.zeros(1, device=device)
    share = 0.0
    while share < 1:
        if steps % 10 == 0:
            clock.fill_((time.time() - start) / options.seconds)
            if world > 1:
                dist.broadcast(clock, 0)
            share = clock.item()
            if options.resume:
                sorted_share = min(1.0, share / 0.1 + 1e-3)
            else:
                feeder.progress[0] = share
        factor = factor_at(share, options.decay)
        for group in adam.param_groups:
            group["lr"] = group["base"] * factor
        shown.append(step())
        reduce_gradients()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()
        adam.zero_grad(set_to_none=True)
        steps += 1
        if steps % options.every == 0:
            value = torch.stack(shown).mean(0).tolist()
            shown.clear()
            if rank == 0:
                speed = steps / (time.time() - start)
                print(
                    f"{time.time() - start:6.0f} s  step {steps:5d}  {1000 / speed:4.0f} ms  "
                    + " ".join(f"{v:.3f}" for v in value)
                    + f"  reused {feeder.reused / max(1, feeder.taken):.2f}  rate {factor:.2f}",
                    flush=True,
                )
        if time.time() - saved > options.save:
            saved = time.time()
            save()
    save()
    if rank == 0:
        (options.output / "summary.json").write_text(json.dumps({"steps": steps, "seconds": time.time() - start}))
        print("done", steps, flush=True)
    feeder.stop()
    os._exit(0)


if __name__ == "__main__":
    main()
