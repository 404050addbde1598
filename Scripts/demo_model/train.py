#!/usr/bin/env python3
"""Trains the demo model on one or more GPUs of one machine.

    torchrun --nproc-per-node 2 train.py --work WORK --output OUT --seconds 1200

WORK holds SmolLM2-135M-Instruct.Q4_1.gguf, tokenizer.json, start.npz, pictures.zip, fonts.zip and, once made by
text.py, text.npz. The learning rate follows the clock: warm-up, a plateau and a decay to zero at --seconds. What is
learned (tower, projector, deltas) is saved as checkpoint.pt in WORK every --save seconds, and at the end.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np

import data
import smollm2
from render import Assets


def parsed():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--seconds", type=float, default=1200, help="training time, compilation excluded")
    arguments.add_argument("--save", type=float, default=240)
    arguments.add_argument("--workers", type=int, default=14, help="drawing processes for each GPU")
    arguments.add_argument("--single", type=int, default=80)
    arguments.add_argument("--pair", type=int, default=14)
    arguments.add_argument("--three", type=int, default=8)
    arguments.add_argument("--four", type=int, default=8)
    arguments.add_argument("--patches", type=float, default=0.5, help="weight of the patches' classification")
    arguments.add_argument("--tokens", type=float, default=0.2, help="weight of the image tokens' classification")
    arguments.add_argument("--text", type=int, default=8)
    arguments.add_argument("--tower-rate", type=float, default=2.5e-4)
    arguments.add_argument("--delta-rate", type=float, default=8e-4)
    arguments.add_argument("--projector-rate", type=float, default=1e-3)
    arguments.add_argument("--muon", type=float, default=0, help="use Muon with this rate for the tower's matrices")
    arguments.add_argument("--start", choices=["dinov2", "random"], default="dinov2")
    arguments.add_argument("--resume", type=Path)
    arguments.add_argument("--decay", type=float, default=0.4, help="the share of the time in which the rate falls")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--log", type=int, default=50)
    return arguments.parse_args()


def orthogonalised(gradients):
    """Newton-Schulz: the nearest semi-orthogonal matrices to a stack of matrices."""
    import torch
    x = gradients.bfloat16()
    wide = x.shape[-2] > x.shape[-1]
    if wide:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if wide else x).to(torch.float32)


class Muon:
    """Muon over groups of equal-shaped matrices."""

    def __init__(self, parameters, rate):
        import torch
        self.rate, self.factor = rate, 1.0
        self.groups = {}
        for p in parameters:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.momentum = {s: torch.zeros(len(ps), *s, device=ps[0].device) for s, ps in self.groups.items()}

    def step(self):
        import torch
        with torch.no_grad():
            for shape, parameters in self.groups.items():
                gradient = torch.stack([p.grad for p in parameters])
                momentum = self.momentum[shape]
                momentum.lerp_(gradient, 0.05)
                update = orthogonalised(gradient.lerp(momentum, 0.95))
                rate = self.rate * self.factor
                scale = rate * 0.2 * math.sqrt(max(shape))
                for p, u in zip(parameters, update):
                    p.mul_(1 - rate * 0.05).add_(u, alpha=-scale)


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
    feeder = data.Feeder(batch, options.work, str(options.work / "tokenizer.json"), options.workers,
                         options.seed * 100 + rank)
    import torch  # after the fork
    import torch.distributed as dist
    from torch.nn import functional as F

    import model as demo
    torch.cuda.set_device(rank)
    device = torch.device("cuda", rank)
    if world > 1:
        dist.init_process_group("nccl", device_id=device)
    torch.manual_seed(options.seed)
    torch.set_float32_matmul_precision("high")
    weights = smollm2.weights(smollm2.GGUF(options.work / "SmolLM2-135M-Instruct.Q4_1.gguf"))
    net = demo.DemoModel(weights)
    if options.start == "dinov2":
        packed = np.load(options.work / "start.npz")
        demo.load_start(net.tower, {name.removesuffix(":q"): packed[name] * packed[name.replace(":q", ":s")]
                                    if name.endswith(":q") else packed[name] for name in packed.files if not name.endswith(":s")})
    if options.resume:
        net.load_state_dict(torch.load(options.resume, map_location="cpu"), strict=False)
    net.to(device)
    classes = Assets(options.work, "train").classes
    sorter = demo.Sorter(classes, data.Encoder(str(options.work / "tokenizer.json")), net.llm.table).to(device)
    text = np.load(options.work / "text.npz")["ids"] if (options.work / "text.npz").exists() else None
    if text is None:
        options.text = 0

    def matrix(name, p):
        return p.ndim == 2 and "layers" in name and "weight" in name
    muon = Muon([p for n, p in net.tower.named_parameters() if matrix(n, p)], options.muon) if options.muon else None
    groups = [
        {"params": [p for n, p in net.tower.named_parameters() if not (muon and matrix(n, p))], "lr": options.tower_rate,
         "weight_decay": 0.02},
        {"params": list(net.projector.parameters()), "lr": options.projector_rate, "weight_decay": 0.0},
        {"params": [p for n, p in net.llm.named_parameters() if n != "added"], "lr": options.delta_rate, "weight_decay": 0.0},
        {"params": [net.llm.added], "lr": 1e-4, "weight_decay": 0.0},
        {"params": list(sorter.parameters()), "lr": 1e-3, "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.97), eps=1e-8, fused=True)
    for group in adam.param_groups:
        group["base"] = group["lr"]
    parameters = [*net.parameters(), *sorter.parameters()]
    if rank == 0:
        print("trained parameters:", sum(p.numel() for p in parameters), flush=True)

    mean = torch.tensor(demo.MEAN, device=device).view(1, 3, 1, 1) * 255
    std = torch.tensor(demo.STD, device=device).view(1, 3, 1, 1) * 255
    compiled_layer = torch.compile(demo.llm_layer, dynamic=False)
    for layer in net.tower.layers:
        layer.forward = torch.compile(layer.forward, dynamic=False)

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
    caps = {"short": 24 * options.single, "long": 48 * (options.pair + options.three + options.four),
            "text": 100 * options.text}
    random = np.random.default_rng(options.seed + rank)

    def packed_targets(ids, mask, cap):
        """Flat positions whose next token is learned, and those tokens, padded to cap with label 0 and weight 0."""
        rows, columns = np.nonzero(mask[:, 1:])
        keep = random.permutation(len(rows))[:cap]
        rows, columns = rows[keep], columns[keep]
        positions = np.zeros(cap, np.int64)
        labels = np.zeros(cap, np.int64)
        weight = np.zeros(cap, np.float32)
        positions[:len(rows)] = rows * ids.shape[1] + columns
        labels[:len(rows)] = ids[rows, columns + 1]
        weight[:len(rows)] = 1
        return positions, labels, weight

    def on_device(array):
        return torch.from_numpy(array).pin_memory().to(device, non_blocking=True)

    def batches():
        for found in feeder.stream():
            pixels = np.concatenate([found[g][0].reshape(-1, data.TILE, data.TILE, 3) for g in ("single", "pair", "three", "four")])
            short_ids, short_mask = found["single"][1:]
            long_ids = np.concatenate([found[g][1] for g in ("pair", "three", "four")])
            long_mask = np.concatenate([found[g][2] for g in ("pair", "three", "four")])
            short = packed_targets(short_ids, short_mask, caps["short"])
            long = packed_targets(long_ids, long_mask, caps["long"])
            spoken = None
            if options.text:
                rows = text[random.integers(0, len(text), options.text)]
                ids = (rows & 0x7FFF_FFFF).astype(np.int64)
                mask = (rows >> 31).astype(np.uint8)
                spoken = packed_targets(ids, mask, caps["text"])
                short_ids = np.concatenate([short_ids, ids])
            labels = np.concatenate([found[g][3].reshape(-1, 16, 16) for g in ("single", "pair", "three", "four")])
            yield [on_device(a) for a in (pixels, labels.astype(np.int64), short_ids, long_ids, *short, *long)], \
                [on_device(a) for a in spoken] if spoken else None
    stream = batches()
    feeder.fill()
    plain = net.llm.matrices(adapted=False)

    def step():
        (pixels, labels_here, short_ids, long_ids, *targets), spoken = next(stream)
        with torch.autocast("cuda", torch.bfloat16):
            seen = net.tower(prepared(pixels))
            features = net.projector(seen)
            sorted_patches, sorted_tokens = sorting(seen, features, labels_here)
        matrices = net.llm.matrices()
        count = options.single
        x = net.llm.embed(short_ids)
        pictured = net.splice(short_ids[:count], features[:count])
        short = net.llm(torch.cat([pictured, x[count:]]) if options.text else pictured, matrices, compiled_layer)
        long = net.llm(net.splice(long_ids, features[count:]), matrices, compiled_layer)
        flat_short, flat_long = short.reshape(-1, smollm2.HIDDEN), long.reshape(-1, smollm2.HIDDEN)
        positions, labels, weight = targets[:3]
        loss_short = losses(flat_short[positions], net.llm.table, labels)
        total = (loss_short * weight).sum() / weight.sum()
        result = [total.detach()]
        positions, labels, weight = targets[3:]
        loss_long = losses(flat_long[positions], net.llm.table, labels)
        loss_long = (loss_long * weight).sum() / weight.sum()
        result.append(loss_long.detach())
        total = total + 0.6 * loss_long + options.patches * sorted_patches + options.tokens * sorted_tokens
        result += [sorted_patches.detach(), sorted_tokens.detach()]
        if spoken:
            with torch.no_grad():
                reference = net.llm(x[count:], plain).reshape(-1, smollm2.HIDDEN)
            positions, _, weight = spoken
            kl = divergence(flat_short[positions + count * data.SHORT], reference[positions], net.llm.table)
            kl = (kl * weight).sum() / weight.sum()
            result.append(kl.detach())
            total = total + 0.5 * kl
        total.backward()
        return torch.stack(result)

    def reduce_gradients():
        if world == 1:
            return
        flat = torch.cat([p.grad.reshape(-1) for p in parameters])
        dist.all_reduce(flat, op=dist.ReduceOp.AVG)
        at = 0
        for p in parameters:
            p.grad.copy_(flat[at:at + p.numel()].view_as(p))
            at += p.numel()

    def save():
        if rank == 0:
            state = {n: p.detach().float().cpu() for n, p in net.named_parameters()}
            part = options.work / "checkpoint.part"
            torch.save(state, part)
            part.replace(options.work / "checkpoint.pt")

    (pixels, *_), _ = next(stream)
    with torch.no_grad():  # level the channels that the projector sees
        seen = torch.cat([net.tower(prepared(chunk).float()) for chunk in pixels.split(64)])
        if not options.resume:
            net.projector.level(seen)
    if world > 1:
        for p in parameters:
            dist.broadcast(p.data, 0)
    for _ in range(3):  # compile
        step()
        for p in parameters:
            p.grad = None
    torch.cuda.synchronize()
    if rank == 0:
        print(f"compiled after {time.time() - begun:.0f} s; memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)
    if world > 1:
        dist.barrier()
    start, saved, steps, shown = time.time(), time.time(), 0, []
    clock = torch.zeros(1, device=device)
    share = 0.0
    while share < 1:
        if steps % 10 == 0:
            clock.fill_((time.time() - start) / options.seconds)
            if world > 1:
                dist.broadcast(clock, 0)
            share = clock.item()
            feeder.progress[0] = share
        factor = factor_at(share, options.decay)
        for group in adam.param_groups:
            group["lr"] = group["base"] * factor
        shown.append(step())
        reduce_gradients()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        if muon:
            muon.factor = factor
            muon.step()
        adam.step()
        adam.zero_grad(set_to_none=True)
        steps += 1
        if steps % options.log == 0:
            value = torch.stack(shown).mean(0).tolist()
            shown.clear()
            if rank == 0:
                speed = steps / (time.time() - start)
                print(f"{time.time() - start:6.0f} s  step {steps:5d}  {1000 / speed:4.0f} ms  "
                      + " ".join(f"{v:.3f}" for v in value)
                      + f"  reused {feeder.reused / max(1, feeder.taken):.2f}  rate {factor:.2f}", flush=True)
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
