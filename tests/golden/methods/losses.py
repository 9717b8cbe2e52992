#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes losses.txt: what published losses give a small Llama that learns from another one, in double, by PyTorch.

    python3 tests/golden/methods/losses.py            (torch and numpy from PyPI)

Weights are no file: value i of the tensor NAME is a function of NAME and i, that of tests/golden/families/make.py; the
teacher's tensors are called "teacher." + NAME. Lines are `key value...`; of each case
    CASE.loss X...               before each of ten steps of AdamW, all on one batch
    CASE.gradient.NAME X...      of the first step, the first elements of a parameter
    CASE.weight X...             sums of squares of all parameters after the ten steps, in the model's order
and of the teacher
    top.words ID..., top.log_probabilities X..., top.rest X...      its TOP largest predictions of each token
"""
import pathlib
import sys

import torch

sys.path.append(str(pathlib.Path(__file__).parent))
from hashed import numbers  # noqa: E402

torch.set_default_dtype(torch.float64)
VOCABULARY, WIDTH, HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, EPSILON = 37, 24, 40, 2, 4, 2, 6, 1e-5
BATCH, CONTEXT, TOP = 2, 9, 5
LEARNING_RATE, BETAS, DECAY = 1e-2, (0.9, 0.95), 0.1


def shapes():
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        yield layer + "input_layernorm.weight", (WIDTH,)
        for name, rows in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            yield layer + f"self_attn.{name}_proj.weight", (rows * HEAD, WIDTH)
        yield layer + "self_attn.o_proj.weight", (WIDTH, HEADS * HEAD)
        yield layer + "post_attention_layernorm.weight", (WIDTH,)
        yield layer + "mlp.gate_proj.weight", (HIDDEN, WIDTH)
        yield layer + "mlp.up_proj.weight", (HIDDEN, WIDTH)
        yield layer + "mlp.down_proj.weight", (WIDTH, HIDDEN)
    yield "model.norm.weight", (WIDTH,)


def values(name, shape):
    """Matrices in [-1/2, 1/2), weights of norms in [3/4, 5/4)."""
    u = torch.from_numpy(numbers(name, int(torch.Size(shape).numel())).copy()).reshape(shape)
    return u / 2 if len(shape) > 1 else u / 4 + 1


def norm(x, weight):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + EPSILON) * weight


def turned(x):
    """Rotary positions of (batch, heads, tokens, HEAD), halves turned together."""
    half = HEAD // 2
    angle = torch.arange(x.shape[2])[:, None] * 10000.0 ** (-torch.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def run(w, ids):
    """Hidden states: the embedding, behind each layer, and the final one; and the logits."""
    h = w["model.embed_tokens.weight"][ids]
    states = [h]
    for i in range(LAYERS):
        at = lambda name: w[f"model.layers.{i}.{name}.weight"]  # noqa: E731
        x = norm(h, at("input_layernorm"))
        heads = lambda y, n: y.view(BATCH, CONTEXT, n, HEAD).transpose(1, 2)  # noqa: E731
        q = turned(heads(x @ at("self_attn.q_proj").T, HEADS))
        k = turned(heads(x @ at("self_attn.k_proj").T, KV_HEADS)).repeat_interleave(HEADS // KV_HEADS, 1)
        v = heads(x @ at("self_attn.v_proj").T, KV_HEADS).repeat_interleave(HEADS // KV_HEADS, 1)
        score = q @ k.transpose(2, 3) / HEAD**0.5
        score = score.masked_fill(torch.ones(CONTEXT, CONTEXT).triu(1).bool(), -torch.inf)
        mixed = (score.softmax(-1) @ v).transpose(1, 2).reshape(BATCH, CONTEXT, HEADS * HEAD)
        h = h + mixed @ at("self_attn.o_proj").T
        x = norm(h, at("post_attention_layernorm"))
        gate = torch.nn.functional.silu(x @ at("mlp.gate_proj").T)
        h = h + (gate * (x @ at("mlp.up_proj").T)) @ at("mlp.down_proj").T
        states.append(h)
    final = norm(h, w["model.norm.weight"])
    return states, final, final @ w["model.embed_tokens.weight"].T


def log_softmax(x):
    return torch.log_softmax(x, -1)


def fbi_llm(ours, theirs, _):
    """Cross-entropy to the teacher, less the teacher's entropy, which no weight moves."""
    p = theirs[2].softmax(-1)
    return (p * (log_softmax(theirs[2]) - log_softmax(ours[2]))).sum(-1).mean()


def onebit(ours, theirs, _):
    """0.01 KL summed over tokens, divided by the batch; directions of the embedding and all layers but the last."""
    kl = torch.nn.functional.kl_div(log_softmax(ours[2]), theirs[2].softmax(-1), reduction="batchmean")
    direction = lambda x: torch.nn.functional.normalize(x.reshape(-1, WIDTH), p=2, dim=1, eps=0)  # noqa: E731
    apart = sum(((direction(t) - direction(s)).norm(p=2, dim=1) ** 2).mean()
                for s, t in zip(ours[0][:LAYERS], theirs[0][:LAYERS]))
    return 0.01 * kl + apart


def binarymos(ours, theirs, _):
    """KL as above without the factor; ten times the squares of all layers but the last and of the final state."""
    kl = torch.nn.functional.kl_div(log_softmax(ours[2]), theirs[2].softmax(-1), reduction="batchmean")
    pairs = list(zip(ours[0][1:LAYERS], theirs[0][1:LAYERS])) + [(ours[1], theirs[1])]
    return kl + 10 * sum(torch.nn.functional.mse_loss(s, t) for s, t in pairs)


def db_llm(ours, theirs, _):
    """KL of each token, weighted by its cross-entropy to the teacher."""
    p = theirs[2].softmax(-1)
    kl = (p * (log_softmax(theirs[2]) - log_softmax(ours[2]))).sum(-1)
    weight = -(p * log_softmax(ours[2])).sum(-1)
    return (weight.detach() * kl).mean()


def hinton(ours, theirs, targets):
    """Half next token, half the teacher at the temperature 2."""
    p = (theirs[2] / 2).softmax(-1)
    kl = (p * (log_softmax(theirs[2] / 2) - log_softmax(ours[2] / 2))).sum(-1).mean()
    next_token = torch.nn.functional.cross_entropy(ours[2].view(-1, VOCABULARY), targets.reshape(-1))
    return 0.5 * next_token + 0.5 * 4 * kl


def top_of(logits):
    """The largest log-probabilities in the order of the words, as floats, and the log of what is left."""
    words = log_softmax(logits).topk(TOP, -1).indices.sort(-1).values
    log_p = log_softmax(logits).gather(-1, words).float()
    return words, log_p, torch.log1p(-log_p.double().exp().sum(-1)).float()


def cached(ours, theirs, targets):
    """A quarter next token; the rest from the teacher's largest predictions, all other words being one event."""
    words, log_p, log_rest = top_of(theirs[2])
    q = log_softmax(ours[2])
    mask = torch.zeros_like(q).scatter(-1, words, 1).bool()
    rest = q.masked_fill(mask, -torch.inf).logsumexp(-1)
    log_p, log_rest = log_p.double(), log_rest.double()
    kl = (log_p.exp() * (log_p - q.gather(-1, words))).sum(-1) + log_rest.exp() * (log_rest - rest)
    next_token = torch.nn.functional.cross_entropy(q.view(-1, VOCABULARY), targets.reshape(-1))
    return 0.25 * next_token + 0.75 * kl.mean()


def line(key, numbers_):
    return " ".join([key, *("%.17g" % x for x in numbers_)])


tokens = torch.arange(BATCH * (CONTEXT + 1)).view(BATCH, CONTEXT + 1)
tokens = (7 * tokens * tokens + 3 * tokens + 1) % VOCABULARY
ids, targets = tokens[:, :-1], tokens[:, 1:]
teacher = {name: values("teacher." + name, shape) for name, shape in shapes()}
with torch.no_grad():
    theirs = run(teacher, ids)
words, log_p, log_rest = top_of(theirs[2])
lines = [line("top.words", words.flatten().tolist()), line("top.log_probabilities", log_p.flatten().tolist()),
         line("top.rest", log_rest.flatten().tolist())]
for loss_of in (fbi_llm, onebit, binarymos, db_llm, hinton, cached):
    case = loss_of.__name__
    student = {name: values(name, shape).requires_grad_() for name, shape in shapes()}
    matrices = [w for w in student.values() if w.dim() > 1]
    others = [w for w in student.values() if w.dim() == 1]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0}],
                                  lr=LEARNING_RATE, betas=BETAS, eps=1e-8)
    losses = []
    for step in range(10):
        optimiser.zero_grad()
        loss = loss_of(run(student, ids), theirs, targets)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            first = [line(f"{case}.gradient.{name}", w.grad.flatten()[:3].tolist()) for name, w in student.items()]
        optimiser.step()
    lines += [line(f"{case}.loss", losses), *first]
    lines.append(line(f"{case}.weight", [(w.detach() ** 2).sum().item() for w in student.values()]))
(pathlib.Path(__file__).parent / "losses.txt").write_text("\n".join(lines) + "\n")
