"""Claims about networks for images."""

from __future__ import annotations

from torchduet.suites.claim import Claim, Comparison, Setting
from torchduet.suites.claims.pairs import compiled, implementations
from torchduet.suites.claims.sources import F

COMPILE_GUIDE = '"Optimize inference using torch.compile()", a guide of Hugging Face Transformers'
CLUSTER_NMS = 'Zheng et al. 2021: "Enhancing Geometric Factors in Model Learning and Inference for Object Detection"'
INTEL_AMP = '"Auto Mixed Precision (AMP)", from the documentation of Intel Extension for PyTorch'


CONTIGUOUS, CHANNELS_LAST = {"memory_format": "contiguous"}, {"memory_format": "channels_last"}
RESNET_ON_CPU, RESNET_ON_GPU = {"network": "resnet18-narrow"}, {"network": "resnet18"}
EAGER, COMPILED = {"mode": "eager"}, {"mode": "compile-model"}


def channels_last(*workloads: str, **settings: Setting) -> tuple[Comparison, ...]:
    """Weights and images in channels-last format against contiguous ones."""
    return tuple(
        Comparison("vision", workload, {**CHANNELS_LAST, **settings}, {**CONTIGUOUS, **settings})
        for workload in workloads
    )


def classifier(case: dict[str, str], baseline: dict[str, str], size: dict[str, str], device: str) -> Comparison:
    """Inference steps of ResNet-18 or a vision transformer on a kind of device."""
    on = {"device": device}
    return Comparison("vision", "infer_classifier", {**case, **on}, {**baseline, **on}, size)


def in_bf16(workload: str, **settings: Setting) -> Comparison:
    """bf16 autocast against fp32."""
    return Comparison("vision", workload, {"precision": "bf16", **settings}, {"precision": "fp32", **settings})


CLAIMS: tuple[Claim, ...] = (
    Claim(
        key="channels-last-on-cpu",
        statement="channels_last makes ResNet-18 and VGG-11 faster on a CPU",
        source=F,
        figure="26 % to 76 % on Intel Xeon processors from Ice Lake on",
        comparisons=(
            classifier(CHANNELS_LAST, CONTIGUOUS, RESNET_ON_CPU, "cpu"),
            *channels_last("infer_vgg", device="cpu"),
        ),
        notes="As inference steps. Another CPU may gain nothing: oneDNN arranges contiguous tensors anew by itself.",
    ),
    Claim(
        key="channels-last-vgg",
        statement="channels_last makes VGG-11 train faster under mixed precision on a GPU",
        source=F,
        figure="8 % to 35 % on GPUs of the generation Volta",
        comparisons=channels_last("train_vgg", device="cuda", precision="bf16"),
        notes="In bf16, which Volta lacks. Disputed for ResNet-50: NVIDIA/apex#1445 found no difference on an A100.",
    ),
    Claim(
        key="channels-last-fp32",
        statement="In fp32, channels_last slows a convolutional network down on a GPU",
        source="pytorch/pytorch#44943",
        figure="1.68 s against 2.76 s on a V100, with PyTorch 1.6",
        expects="slower",
        comparisons=(
            classifier(CHANNELS_LAST, CONTIGUOUS, RESNET_ON_GPU, "cuda"),
            *channels_last("infer_vgg", "infer_yolo", device="cuda"),
        ),
        notes="A maintainer there: channels_last is expected to help with fp16 inputs only.",
    ),
    Claim(
        key="bf16-on-cpu",
        statement="bf16 autocast makes convolutions faster on a CPU",
        source=INTEL_AMP,
        comparisons=tuple(
            in_bf16("infer_vgg", device="cpu", memory_format=layout) for layout in ("contiguous", "channels_last")
        ),
        notes="“Primarily benefits” CPUs with bfloat16 instructions. On others it slows a network down: "
        "pytorch/pytorch#86270, pytorch/pytorch#118499.",
    ),
    Claim(
        key="compile-vit",
        statement="Compiling a transformer for images speeds its inference up on a GPU",
        source=COMPILE_GUIDE,
        figure="“up to 30 %”",
        comparisons=(
            *(classifier(COMPILED, EAGER, {"network": network}, "cuda") for network in ("vit-tiny", "vit-base")),
            *compiled("vision", ("infer_yolos",), "compile-model", device="cuda"),
        ),
    ),
    Claim(
        key="compile-resnet18",
        statement="A compiled ResNet-18 infers more slowly than an eager one",
        source="pytorch/pytorch#91794",
        expects="slower",
        comparisons=(
            classifier(COMPILED, EAGER, RESNET_ON_CPU, "cpu"),
            classifier(COMPILED, EAGER, RESNET_ON_GPU, "cuda"),
        ),
        notes="The report is from before the release of PyTorch 2.0. Here only calls after the compilation count.",
    ),
    Claim(
        key="cluster-nms",
        statement="Cluster-NMS is faster than suppressing boxes one by one on a GPU",
        source=CLUSTER_NMS,
        figure="“very efficient due to its pure GPU implementation”",
        comparisons=implementations("vision", "nms", "cluster", "greedy", device="cuda"),
        notes="Both in plain PyTorch. WongKinYiu/ScaledYOLOv4#6 found torchvision’s compiled kernel fastest.",
    ),
)
