"""Writes what diffusers' UNet of the shipped model says to fixed inputs, in f32: the reference of the test
`unet::the_shipped_model_equals_diffusers` in nodes/diffusion/tests/models.

    python3 tests/peers/reference.py nodes/diffusion/tests/fixtures/emoji-xl.safetensors
"""

import pathlib
import sys

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

MODEL = pathlib.Path(__file__).parents[2] / "graphs/assets/emoji-xl"


def main() -> None:
    unet = UNet2DConditionModel.from_pretrained(MODEL, subfolder="unet").float().eval()
    draw = torch.Generator().manual_seed(20)
    random = lambda *shape: torch.randn(shape, generator=draw)
    tensors = {}
    # A batch as in training, a guided one, and one whose sides are no multiples of a tile.
    for name, (n, height, width) in {"one": (1, 16, 16), "two": (2, 16, 16), "odd": (2, 12, 20)}.items():
        pooled = unet.config.projection_class_embeddings_input_dim - 6 * unet.config.addition_time_embed_dim
        inputs = {
            "latent": random(n, 4, height, width),
            "states": random(n, 32, unet.config.cross_attention_dim),
            "pooled": random(n, pooled),
            "time_ids": torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]] * n),
            "timesteps": torch.tensor([401.0, 20.0][:n]),
        }
        added = {"text_embeds": inputs["pooled"], "time_ids": inputs["time_ids"]}
        with torch.no_grad():
            out = unet(inputs["latent"], inputs["timesteps"], inputs["states"], added_cond_kwargs=added).sample
        tensors |= {f"{name}.{key}": value for key, value in inputs.items()} | {f"{name}.out": out}
    save_file(tensors, sys.argv[1], {"torch": torch.__version__})


if __name__ == "__main__":
    main()
