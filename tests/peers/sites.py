"""Which modules learn, and with which rank: the paper's subset ExCA, as in the crate `diffusion`."""

import re

# On diffusers' paths: all but cross-attention, of attentions, resnets and samplers.
EXCA = re.compile(
    r"^(down_blocks|mid_block|up_blocks)\..*?(\.attn1\.(to_q|to_k|to_v|to_out\.0)"
    r"|resnets\.\d+\.(conv1|conv2|conv_shortcut|time_emb_proj)|(down|up)samplers\.0\.conv)$"
)


def ranks(model, rank):
    """Ranks by module. Those of convolutions are capped at a fortieth of their weight's rank, as in the paper's files."""
    found = {}
    for name, module in model.named_modules():
        if EXCA.match(name):
            bound = min(module.weight.shape[0], module.weight[0].numel())
            found[name] = min(rank, bound // 40 if module.weight.dim() == 4 else bound)
    return {name: rank for name, rank in found.items() if rank > 0}
