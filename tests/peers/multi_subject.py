"""graphs/multi_subject.json as one PyTorch script: reads the graph's numbers and does all of its work.

    python3 tests/peers/multi_subject.py --out FOLDER

Written to be quick: latents and prompts are encoded once, nothing but training keeps a graph, both trainings share one
model, weights are folded before sampling. Prints where the time went as a line of JSON.
"""

import argparse
import json
import os
import pathlib
import time

BEGIN = time.perf_counter()
ROOT = pathlib.Path(__file__).resolve().parents[2]
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--graph", type=pathlib.Path, default=ROOT / "graphs/multi_subject.json")
parser.add_argument("--out", type=pathlib.Path, required=True)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(args.threads)

import torch  # noqa: E402: the variables above are read when it is imported
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer  # noqa: E402

import para  # noqa: E402
import sites  # noqa: E402

torch.set_num_threads(args.threads)
phases, last = {}, BEGIN


def phase(name):
    """All time since the last phase belongs to this one."""
    global last
    now = time.perf_counter()
    phases[name] = phases.get(name, 0.0) + now - last
    last = now


phase("imports")
nodes = json.loads(args.graph.read_text())["nodes"]


def parameters(name):
    return nodes[name]["params"]


folder = args.graph.parent / parameters("base")["path"]
single = {"torch_dtype": torch.float32}
unet = UNet2DConditionModel.from_pretrained(folder / "unet", **single).eval().requires_grad_(False)
vae = AutoencoderKL.from_pretrained(folder / "vae", **single).eval().requires_grad_(False)
encoders = [
    (CLIPTokenizer.from_pretrained(folder / f"tokenizer{end}"), kind.from_pretrained(folder / f"text_encoder{end}", **single).eval())
    for end, kind in (("", CLIPTextModel), ("_2", CLIPTextModelWithProjection))
]
schedule = DDIMScheduler.from_pretrained(folder / "scheduler")
side = unet.config.sample_size * 4
phase("loading")


@torch.inference_mode()
def encode(prompt):
    """States of both encoders, and the pooled prompt with the sizes."""
    states = []
    for tokenizer, model in encoders:
        length = model.config.max_position_embeddings
        ids = tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
        found = model(ids, output_hidden_states=True)
        states.append(found.hidden_states[-2])
    sizes = torch.tensor([[float(side), float(side), 0.0, 0.0, float(side), float(side)]])
    return torch.cat(states, -1), {"text_embeds": found.text_embeds, "time_ids": sizes}


@torch.inference_mode()
def latents_of(name):
    """Mean and deviation of the posterior of every picture."""
    files = sorted((args.graph.parent / parameters(name)["path"]).glob("*.png"))
    pictures = [Image.open(file).convert("RGB").resize((side, side), Image.LANCZOS) for file in files]
    pixels = torch.stack([torch.frombuffer(bytearray(p.tobytes()), dtype=torch.uint8) for p in pictures])
    pixels = pixels.view(-1, side, side, 3).permute(0, 3, 1, 2) / 127.5 - 1.0
    posterior = vae.encode(pixels.contiguous()).latent_dist
    return pictures, posterior.mean, posterior.std


def train(name, pictures):
    """The bases of a PaRa, and its last losses."""
    wanted = parameters(name)
    generator = torch.Generator().manual_seed(wanted["seed"])
    _, mean, std = pictures
    mean, std = mean.clone(), std.clone()
    states, added = ({k: v.clone() for k, v in x.items()} if isinstance(x, dict) else x.clone() for x in encode(wanted["prompt"]))
    layers = para.attach(unet, sites.ranks(unet, wanted["rank"]), generator)
    optimizer = torch.optim.AdamW(layers.parameters, lr=1e-3, weight_decay=1e-2, fused=True)
    losses, order = [], []
    for _ in range(wanted["steps"]):
        order = order or torch.randperm(len(mean), generator=generator).tolist()
        pick = order.pop()
        layers.renew()
        noise = torch.randn(2, *mean.shape[1:], generator=generator)
        latents = (mean[pick] + std[pick] * noise[0])[None] * vae.config.scaling_factor
        t = torch.randint(schedule.config.num_train_timesteps, (1,), generator=generator)
        noisy = schedule.add_noise(latents, noise[1:], t)
        output = unet(noisy, t, states, added_cond_kwargs=added, return_dict=False)[0]
        loss = torch.nn.functional.mse_loss(output, noise[1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(layers.parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    bases = layers.orthonormal()
    layers.detach()
    return bases, sum(losses[-50:]) / 50


@torch.inference_mode()
def draw(name, prompt):
    """The pictures of a sampling node."""
    wanted = parameters(name)
    n, guidance = wanted["batch"], wanted["guidance"]
    (away, away_added), (states, added) = encode(""), encode(prompt)
    states = torch.cat([away, states]).repeat_interleave(n, 0)
    added = {key: torch.cat([away_added[key], added[key]]).repeat_interleave(n, 0) for key in added}
    x = torch.randn(n, 4, side // 4, side // 4, generator=torch.Generator().manual_seed(wanted["seed"]))
    schedule.set_timesteps(wanted["steps"])
    for t in schedule.timesteps:
        low, high = unet(torch.cat([x, x]), t, states, added_cond_kwargs=added, return_dict=False)[0].chunk(2)
        x = schedule.step(low + guidance * (high - low), t, x, return_dict=False)[0]
    phase("sampling")
    pixels = vae.decode(x / vae.config.scaling_factor, return_dict=False)[0]
    pixels = ((pixels + 1.0) * 127.5).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    return [Image.frombytes("RGB", (side, side), p.numpy().tobytes()) for p in pixels]


def grid(rows, labels):
    """A row of pictures under each label, at twice the size."""
    cell = 2 * side
    sheet = Image.new("RGB", (cell * max(map(len, rows)), (cell + 16) * len(rows)), "white")
    pen = ImageDraw.Draw(sheet)
    for y, (row, label) in enumerate(zip(rows, labels)):
        pen.text((4, y * (cell + 16)), label, fill="black")
        for x, picture in enumerate(row):
            sheet.paste(picture.resize((cell, cell), Image.NEAREST), (x * cell, y * (cell + 16) + 16))
    return sheet


dogs, teapots = latents_of("dogs"), latents_of("teapots")
phase("encoding")
plain = draw("plain_draw", parameters("plain_prompt")["prompt"])
phase("decoding")
dog, dog_loss = train("dog", dogs)
teapot, teapot_loss = train("teapot", teapots)
phase("training")
para.fold(unet, para.merge([dog, teapot]))
phase("merging")
both = draw("draw", parameters("prompt")["prompt"])
phase("decoding")
args.out.mkdir(parents=True, exist_ok=True)
for number, picture in enumerate(both, 1):
    picture.save(args.out / f"multi_subject_{number:05}.png")
grid([plain, dogs[0], teapots[0], both], parameters("compare")["labels"]).save(args.out / "multi_subject_compare_00001.png")
phase("saving")
print(json.dumps({"phases": phases, "losses": [dog_loss, teapot_loss]}))
