"""PaRa in PyTorch, for comparison: y - Q(Q'y) on a module's output before its bias, Q from a QR of the learnt B.

QRs are taken outside the graph, those of one shape together; gradients reach Q as a leaf and go on to B in closed
form, dB = (I - QQ')dQ R^-T.
"""

import torch
from torch.nn import functional


class Layers:
    """The learnt B of every module, stacked by shape."""

    def __init__(self, model, ranks, generator, sigma):
        self.groups = {}
        for name, rank in ranks.items():
            module = model.get_submodule(name)
            self.groups.setdefault((module.weight.shape[0], rank), []).append((name, module))
        self.stacks = {
            shape: torch.nn.Parameter(sigma * torch.randn(len(members), *shape, generator=generator))
            for shape, members in self.groups.items()
        }
        self.parameters = list(self.stacks.values())
        self.bases = {}
        for shape, members in self.groups.items():
            for index, (name, module) in enumerate(members):
                module.forward = self.projected(module, shape, index)
        self.renew()

    def projected(self, module, shape, index):
        bases, bias = self.bases, module.bias
        if isinstance(module, torch.nn.Linear):
            def forward(x):
                q = bases[shape][index]
                y = functional.linear(x, module.weight)
                y = y - functional.linear(functional.linear(y, q.T), q)
                return y if bias is None else y + bias
        else:
            def forward(x):
                q = bases[shape][index]
                y = functional.conv2d(x, module.weight, None, module.stride, module.padding)
                flat = y.flatten(2)
                y = y - (q @ (q.T @ flat)).view_as(y)
                return y if bias is None else y + bias.view(-1, 1, 1)
        return forward

    def renew(self):
        """New bases for a step, whose gradients reach B."""
        for shape, stack in self.stacks.items():
            self.bases[shape] = Basis.apply(stack).unbind(0)

    def orthonormal(self):
        """The bases by module."""
        with torch.no_grad():
            return {
                name: q
                for shape, members in self.groups.items()
                for (name, _), q in zip(members, torch.linalg.qr(self.stacks[shape]).Q)
            }

    def detach(self):
        """The model as it was."""
        for members in self.groups.values():
            for _, module in members:
                del module.forward


class Basis(torch.autograd.Function):
    """B (n, d, r) to Q, with the gradient that only the span of B counts for."""

    @staticmethod
    def forward(ctx, b):
        q, r = torch.linalg.qr(b)
        ctx.save_for_backward(q, r)
        return q

    @staticmethod
    def backward(ctx, gradient):
        q, r = ctx.saved_tensors
        outside = gradient - q @ (q.mT @ gradient)
        return torch.linalg.solve_triangular(r, outside.mT, upper=True).mT


def attach(model, ranks, generator, sigma=1e-4):
    """Lets the modules with these ranks learn."""
    return Layers(model, ranks, generator, sigma)


def merge(bases):
    """The joint orthonormal basis of several PaRas, by module."""
    merged = {}
    for name in bases[0]:
        joint = torch.cat([one[name] for one in bases], 1)
        u, s, _ = torch.linalg.svd(joint, full_matrices=False)
        merged[name] = u[:, s > 1e-6]
    return merged


@torch.no_grad()
def fold(model, bases):
    """Takes the directions out of the weights themselves."""
    for name, q in bases.items():
        weight = model.get_submodule(name).weight
        flat = weight.flatten(1)
        weight.copy_((flat - q @ (q.T @ flat)).view_as(weight))
