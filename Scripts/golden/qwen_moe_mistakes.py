"""Mistakes of routing and of experts that the golden references of Qwen3-VL-MoE and Qwen3-MoE must notice."""

import torch

import qwen3_vl_mistakes
from qwen_vl_mistakes import fill, functional, method, modules


def router(weigh):
    """Another way from a token's router logits [tokens, experts] to its experts and their weights."""
    def forward(self, states):
        logits = functional.linear(states.reshape(-1, self.hidden_dim), self.weight)
        weights, experts = weigh(logits, self.top_k)
        return logits, weights, experts
    return method("mlp.gate", "forward", forward)


def best(logits, count):
    """The most probable experts, with their probabilities."""
    return torch.topk(torch.softmax(logits, -1), count)


def renormalised(weights, experts):
    """The weights made to sum to one."""
    return weights / weights.sum(-1, keepdim=True), experts


def stored(ending, function):
    """Every expert matrix [experts, results, entries] of this kind read in another way."""
    def change(fresh, asked):
        found = [parameter for key, parameter in fresh.named_parameters() if key.endswith(f"experts.{ending}")]
        assert found, ending
        for parameter in found:
            parameter.data = function(parameter.data).reshape(parameter.shape)
    return change


def exchanged(pairs):
    """The MLPs of layers exchanged: experts where there should be none, and none where there should be some."""
    def change(fresh, asked):
        layers = fresh.get_decoder().layers
        for one, other in pairs:
            layers[one].mlp, layers[other].mlp = layers[other].mlp, layers[one].mlp
    return change


def before_experts(self, states, experts, weights):
    """Weights applied to what the experts are given instead of what they give."""
    rows = torch.arange(len(states)).repeat_interleave(experts.shape[1])
    given = states[rows] * weights.reshape(-1, 1)
    made = type(self).forward(self, given, experts.reshape(-1, 1), torch.ones(len(given), 1))
    return torch.zeros_like(states).index_add_(0, rows, made)


def routing(norm, pairs):
    """All of these; `norm` is whether weights are made to sum to one, `pairs` are layers with and without experts.

    With `norm`, a softmax over the chosen logits alone is no mistake: it gives the same weights.
    """
    def usual(weights, experts):
        return renormalised(weights, experts) if norm else (weights, experts)

    def chosen(function):
        """What the model does, but for the weights and experts it ends with."""
        return router(lambda logits, count: function(*usual(*best(logits, count))))

    yield "norm_topk_prob flipped", router(
        lambda logits, count: best(logits, count) if norm else renormalised(*best(logits, count)))
    if not norm:
        yield "softmax after top-k", router(lambda logits, count: (
            torch.softmax(torch.topk(logits, count).values, -1), torch.topk(logits, count).indices))
    yield "logits for probabilities", router(lambda logits, count: torch.topk(logits, count))
    yield "logits for probabilities, summing to one", router(
        lambda logits, count: renormalised(*torch.topk(logits, count)))
    yield "sigmoid for softmax", router(lambda logits, count: usual(*torch.topk(torch.sigmoid(logits), count)))
    yield "equal weights", chosen(lambda weights, experts: (torch.full_like(weights, 1 / weights.shape[1]), experts))
    yield "weights left out", chosen(lambda weights, experts: (torch.ones_like(weights), experts))
    yield "weights of the other expert", chosen(lambda weights, experts: (weights.flip(1), experts))
    yield "weights before the experts", method("mlp.experts", "forward", before_experts)
    yield "one expert for a token", router(lambda logits, count: usual(*best(logits, 1)))
    yield "an expert more for a token", router(lambda logits, count: usual(*best(logits, count + 1)))
    yield "all experts", router(lambda logits, count: best(logits, logits.shape[1]))
    yield "no experts", stored("down_proj", torch.zeros_like)
    yield "least probable experts", router(lambda logits, count: usual(*best(-logits, count)))
    yield "expert order shifted", router(lambda logits, count: usual(*best(logits.roll(1, 1), count)))
    yield "down of the next expert", stored("down_proj", lambda data: data.roll(1, 0))
    yield "router left out", fill("mlp.gate.weight", 0.0)
    yield "gate and up exchanged", stored("gate_up_proj", lambda data: torch.cat(data.chunk(2, 1)[::-1], 1))
    yield "gate and up in turn", stored(
        "gate_up_proj", lambda data: torch.cat([data[:, ::2], data[:, 1::2]], 1))
    for kind in ("gate_up_proj", "down_proj"):
        yield f"{kind} the other way round", stored(kind, lambda data: data.transpose(1, 2))
    yield "GELU in the experts", modules("mlp.experts", act_fn=torch.nn.GELU())
    yield "layers with and without experts exchanged", exchanged(pairs)


def mistakes(model, asked):
    """Everything for Qwen3-VL-MoE."""
    yield from routing(True, [(0, 1)])
    yield from qwen3_vl_mistakes.mistakes(model, asked)


def text_mistakes():
    """Everything for Qwen3-MoE."""
    yield from routing(False, [(0, 1), (2, 3)])
    for letter in "qk":
        yield f"{letter} norm weight left out", fill(f"{letter}_norm.weight", 1.0)
        yield f"{letter} norm left out", modules(f"{letter}_norm", forward=lambda x: x)
    yield "norm epsilon", modules("layernorm", variance_epsilon=1e-6)
