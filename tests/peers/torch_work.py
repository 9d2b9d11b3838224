"""Does one piece of work again and again in PyTorch and prints how long it took, as a line of JSON.

The same work, with the same arguments, as the example `measure` of the crate `diffusion`. Written as somebody who knows
PyTorch would: no autograd where nothing learns, diffusers' own attention (scaled_dot_product_attention), PEFT's LoRA,
fused AdamW.
"""

import argparse
import json
import os
import pathlib
import re
import sys
import time

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "graphs/assets/emoji-xl"
SMALL = dict(
    sample_size=32, block_out_channels=(64, 128, 256), layers_per_block=1, cross_attention_dim=64,
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
)
SD15 = dict(sample_size=64, cross_attention_dim=768)
SDXL = dict(
    sample_size=128, block_out_channels=(320, 640, 1280), cross_attention_dim=2048, use_linear_projection=True,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20),
    addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", default="forward", choices=["forward", "para", "lora", "ddim", "load"],
                        help="a prediction, a training step (PaRa by hand, LoRA by PEFT), a DDIM trajectory, or nothing")
    parser.add_argument("--model", default="shipped", choices=["shipped", "small", "sd15", "sdxl"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--latent", type=int, help="side of the latents; the model's own if not given")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--steps", type=int, default=50, help="of a trajectory")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16", "f16"])
    parser.add_argument("--checkpoint", default="none", choices=["none", "block"], help="gradient checkpointing")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--channels-last", action="store_true", help="memory format of convolutions")
    parser.add_argument("--verbose", action="store_true", help="how PyTorch was built and what it uses, on standard error")
    return parser.parse_args()


args = arguments()
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(args.threads)

import torch  # noqa: E402: the variables above are read when it is imported
from diffusers import DDIMScheduler, UNet2DConditionModel  # noqa: E402

import sites  # noqa: E402

torch.set_num_threads(args.threads)
if args.verbose:
    print(torch.__config__.show(), torch.__config__.parallel_info(), file=sys.stderr)
    print(f"vector instructions: {torch.backends.cpu.get_cpu_capability()}", file=sys.stderr)
DTYPE = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[args.precision]


def unet():
    if args.model == "shipped":
        model = UNet2DConditionModel.from_pretrained(SHIPPED / "unet", torch_dtype=DTYPE)
    else:
        # Made without values first, so that initialisation costs neither time nor memory.
        with torch.device("meta"):
            model = UNet2DConditionModel(**{"small": SMALL, "sd15": SD15, "sdxl": SDXL}[args.model]).to(DTYPE)
        model = model.to_empty(device="cpu")
        with torch.no_grad():
            for name, value in model.named_parameters():
                if value.dim() == 1:
                    value.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
                else:
                    bound = (3.0 / value[0].numel()) ** 0.5
                    value.uniform_(-bound, bound)
    if args.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return model.eval().requires_grad_(False)


def inputs(config, batch, latent):
    tokens, factor = (32, 4) if args.model == "shipped" else (77, 8)
    states = torch.randn(batch, tokens, config.cross_attention_dim, dtype=DTYPE)
    added = None
    if config.addition_embed_type:
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        side = float(latent * factor)
        added = {
            "text_embeds": torch.randn(batch, pooled, dtype=DTYPE),
            "time_ids": torch.tensor([[side, side, 0.0, 0.0, side, side]]).repeat(batch, 1),
        }
    return states, added


def forward(model, latent):
    x = torch.randn(args.batch, 4, latent, latent, dtype=DTYPE)
    states, added = inputs(model.config, args.batch, latent)
    t = torch.full((args.batch,), 500)

    @torch.inference_mode()
    def once():
        model(x, t, states, added_cond_kwargs=added, return_dict=False)

    return once


def ddim(model, latent):
    noise = torch.randn(args.batch, 4, latent, latent)
    states, added = inputs(model.config, 2, latent)
    states = states.repeat_interleave(args.batch, 0)
    added = added and {key: value.repeat_interleave(args.batch, 0) for key, value in added.items()}
    schedule = DDIMScheduler.from_pretrained(SHIPPED / "scheduler")

    @torch.inference_mode()
    def once():
        schedule.set_timesteps(args.steps)
        x = noise
        for t in schedule.timesteps:
            both = torch.cat([x, x]).to(DTYPE)
            away, towards = model(both, t, states, added_cond_kwargs=added, return_dict=False)[0].float().chunk(2)
            x = schedule.step(away + 5.0 * (towards - away), t, x, return_dict=False)[0]
        return x

    return once


def lora(model):
    from peft import LoraConfig

    ranks = sites.ranks(model, args.rank)
    model.add_adapter(LoraConfig(
        r=args.rank, lora_alpha=args.rank, target_modules=list(ranks), init_lora_weights="gaussian",
        rank_pattern={name: rank for name, rank in ranks.items() if rank != args.rank},
        alpha_pattern={name: rank for name, rank in ranks.items() if rank != args.rank},
    ))
    parameters = [p for p in model.parameters() if p.requires_grad]
    return parameters, lambda: None


def para(model):
    import para

    layers = para.attach(model, sites.ranks(model, args.rank), torch.Generator().manual_seed(1))
    return layers.parameters, layers.renew


def train(model, latent, attach):
    parameters, before = attach(model)
    if args.checkpoint == "block":
        model.enable_gradient_checkpointing()
        model.train()
    schedule = DDIMScheduler.from_pretrained(SHIPPED / "scheduler")
    mean = torch.randn(1, 4, latent, latent)
    std, scaling = torch.full_like(mean, 0.1), 0.5
    states, added = inputs(model.config, 1, latent)
    states = states.expand(args.batch, -1, -1)
    added = added and {key: value.expand(args.batch, -1) for key, value in added.items()}
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2, fused=True)

    def once():
        before()
        latents = (mean + std * torch.randn(args.batch, 4, latent, latent)) * scaling
        noise = torch.randn_like(latents)
        t = torch.randint(schedule.config.num_train_timesteps, (args.batch,))
        noisy = schedule.add_noise(latents, noise, t).to(DTYPE)
        output = model(noisy, t, states, added_cond_kwargs=added, return_dict=False)[0]
        loss = torch.nn.functional.mse_loss(output.float(), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return once, sum(p.numel() for p in parameters)


def status(name):
    """Bytes of a line of /proc/self/status."""
    text = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024


def timed(once):
    """Making weights has a peak of its own, which is forgotten here."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    seconds = []
    for index in range(args.warmup + args.repetitions):
        start = time.perf_counter()
        once()
        if index >= args.warmup:
            seconds.append(time.perf_counter() - start)
    return seconds


def main():
    model = unet()
    latent = args.latent or model.config.sample_size
    parameters, trained = sum(p.numel() for p in model.parameters()), 0
    if args.work in ("para", "lora"):
        once, trained = train(model, latent, {"para": para, "lora": lora}[args.work])
    else:
        once = {"forward": lambda: forward(model, latent), "ddim": lambda: ddim(model, latent),
                "load": lambda: (lambda: None)}[args.work]()
    print(json.dumps({
        "seconds": timed(once), "peak_bytes": status("VmHWM"), "parameters": parameters, "trained": trained,
        "latent": latent, "threads": torch.get_num_threads(), "torch": torch.__version__,
    }))


main()
