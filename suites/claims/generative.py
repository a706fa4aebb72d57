"""Claims about the training of generative adversarial networks, from the projects whose code most GANs follow."""

from __future__ import annotations

from torchduet.suites.claim import Claim
from torchduet.suites.claims.pairs import compiled, implementations

CLAIMS = (
    Claim(
        key="gan-detach",
        statement="Detaching the fakes makes the discriminator’s step faster",
        source="pytorch/examples#116",
        figure="“it is done for speed, not correctness”",
        comparisons=implementations("generative", "discriminator_step", "detach", "attached"),
        notes="Disputed: yunjey/pytorch-tutorial#56 calls the gain trivial.",
    ),
    Claim(
        key="gan-no-grad",
        statement="Making the fakes under `no_grad` makes the discriminator’s step faster",
        source="udacity/deep-learning-v2-pytorch#306",
        figure="0.734 against 0.703 minutes for two epochs, both steps included",
        comparisons=implementations("generative", "discriminator_step", "no_grad", "detach"),
        notes="Against fakes that are made with a graph, and detached from it.",
    ),
    Claim(
        key="gan-frozen",
        statement="Freezing the discriminator avoids unnecessary computation in the generator’s step",
        source="junyanz/pytorch-CycleGAN-and-pix2pix, `set_requires_grad`",
        comparisons=implementations("generative", "generator_step", "frozen", "through"),
    ),
    Claim(
        key="gan-fakes-once",
        statement="Using the fakes of the discriminator’s step in the generator’s, too, makes an iteration faster",
        source="pytorch/examples#69; tarepan.hatenablog.com, 2020-10-22",
        figure="the second: about 10 % less computation, eight passes instead of nine",
        comparisons=implementations("generative", "iteration", "fakes_once", "fakes_twice"),
        notes="Against steps that make the same fakes anew, the discriminator’s under `no_grad`.",
    ),
    Claim(
        key="gan-compile",
        statement="Compiling its networks makes a DCGAN train faster",
        source="pytorch/pytorch#93794",
        figure="1.36 in one run of that dashboard, 0.94 in the next: on a GPU, in mixed precision",
        comparisons=compiled(
            "generative", ("discriminator_step", "generator_step", "iteration"), "compile-model", device="cuda"
        ),
        notes="Measured in fp32 on a GPU: the step of each network, and one iteration of both.",
    ),
)
