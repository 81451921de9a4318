"""Write the embedded networks as ONNX, so that a match needs no PyTorch.

    python tools/export_lite.py

reads EfficientNet-Lite0's published weights and writes ``deepmersion/data/lite.onnx``, whose
SHA-256 it prints; `deepmersion.weights.lite_weights` has to name the same. The graph is written
node by node, because PyTorch's own exporters write four times as many nodes, which take twice as
long to load, and others with each version. The same weights give the same bytes.

Batch normalisation is folded into the convolutions. Large weights are stored in 16 bits: whole
numbers with a scale for each output channel, which a half-precision float's eleven significant bits
would not match. ONNX Runtime widens them once, when it loads the file. The heads' parameters are
inputs, and not in the file.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from deepmersion.vision.lite_network import POOLED_BLOCKS, Head, LiteNetwork
from deepmersion.vision.lite_session import INPUT, OUTPUTS
from deepmersion.vision.lite_views import INPUT_SIDE
from deepmersion.weights.lite_weights import BACKBONE

OPSET = 20
"""Version of the operators, the first with Gelu; ONNX Runtime has known it since 1.17, of 2024."""

IR_VERSION = 9
"""Version of the file format that belongs to it."""

STORED_WHOLE = 5000
"""Weights with fewer numbers than this are stored as 32-bit floats: all together they are 0.1 MB,
and the first layers' errors grow through all the others. So probabilities are off by at most 0.0003
in the examples' views; with all weights in 16 bits by 0.0005, in half precision by 0.005."""

INT16_MAX = 32_767


class Graph:
    """The nodes, constants and inputs of a network in the making.

    Attributes
    ----------
    side : int
        Cells on each side of the layer that was appended last.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.inputs: dict[str, list[int | str]] = {INPUT: ["n", 3, INPUT_SIDE, INPUT_SIDE]}
        self.side = INPUT_SIDE

    def node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Append a node, and return the name of its output."""
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, name: str, values: np.ndarray) -> str:
        """Add a constant and return its name."""
        self.constants[name] = values
        return name

    def weight(self, name: str, values: np.ndarray) -> str:
        """Add a layer's weights [outputs, ...], in 16 bits if they are many."""
        if values.size < STORED_WHOLE:
            return self.constant(name, values.astype(np.float32))
        rest = tuple(range(1, values.ndim))
        scale = (np.abs(values).max(axis=rest, keepdims=True) / INT16_MAX).astype(np.float32)
        steps = np.divide(values, scale, out=np.zeros_like(values), where=scale > 0)
        numbers = self.constant(f"{name}.numbers", steps.round().astype(np.int16))
        floats = self.node("Cast", f"{name}.floats", numbers, to=TensorProto.FLOAT)
        return self.node("Mul", name, floats, self.constant(f"{name}.scale", scale))

    def convolution(self, name: str, x: str, layer: Any, norm: Any, relu6: bool = True) -> str:
        """Append a convolution with its batch normalisation, and the activation if there is one."""
        gain = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
        bias = _array(norm.bias) - _array(norm.running_mean) * gain
        self.side = math.ceil(self.side / layer.stride[0])
        left, right, top, bottom = getattr(layer.static_padding, "padding", (0, 0, 0, 0))
        x = self.node(
            "Conv",
            name,
            x,
            self.weight(f"{name}.weight", _array(layer.weight) * gain[:, None, None, None]),
            self.constant(f"{name}.bias", bias.astype(np.float32)),
            kernel_shape=layer.kernel_size,
            strides=list(layer.stride),
            pads=[top, left, bottom, right],
            group=layer.groups,
        )
        return self.node("Clip", f"{name}.relu6", x, "zero", "six") if relu6 else x

    def block(self, name: str, x: str, block: Any) -> str:
        """Append an inverted bottleneck (Sandler et al. 2018)."""
        y = x
        if hasattr(block, "_expand_conv"):
            y = self.convolution(f"{name}.expand", y, block._expand_conv, block._bn0)
        y = self.convolution(f"{name}.depthwise", y, block._depthwise_conv, block._bn1)
        y = self.convolution(f"{name}.project", y, block._project_conv, block._bn2, relu6=False)
        n_in, n_out = block._block_args.input_filters, block._block_args.output_filters
        keeps_shape = n_in == n_out and block._block_args.stride == 1
        return self.node("Add", f"{name}.sum", y, x) if keeps_shape else y

    def textures(self, name: str, x: str) -> tuple[str, str]:
        """Append mean and standard deviation of each channel, [pictures, channels] each."""
        mean = self.node("ReduceMean", f"{name}.mean", x, "rows and columns", keepdims=1)
        apart = self.node("Sub", f"{name}.apart", x, mean)
        squares = self.node("Mul", f"{name}.squares", apart, apart)
        total = self.node("ReduceSum", f"{name}.total", squares, "rows and columns", keepdims=0)
        freedom = self.constant(f"{name}.freedom", np.array(self.side**2 - 1, np.float32))
        variance = self.node("Div", f"{name}.variance", total, freedom)
        deviation = self.node("Sqrt", f"{name}.deviation", variance)
        return self.node("Flatten", f"{name}.means", mean), deviation

    def head(self, label_set: str, features: str, head: Head) -> str:
        """Append a head, whose parameters are inputs, and return its output."""
        of = {}
        for key, values in head.state_dict().items():
            of[key] = f"{label_set}.{key.removeprefix('classes.')}"
            self.inputs[of[key]] = list(values.shape)
        x = self.node("Sub", f"{label_set}.centred", features, of["centre"])
        x = self.node("Mul", f"{label_set}.scaled", x, of["scale"])
        for layer in ("hidden", "classes"):
            weight, bias = of[f"{layer}.weight"], of[f"{layer}.bias"]
            x = self.node("Gemm", f"{label_set}.{layer}", x, weight, bias, transB=1)
            if layer == "hidden":
                x = self.node("Gelu", f"{label_set}.gelu", x)
        return self.node("Softmax", label_set, x, axis=1)

    def model(self) -> onnx.ModelProto:
        """Return the network, checked."""
        graph = helper.make_graph(
            self.nodes,
            "lite",
            [_value(name, shape) for name, shape in self.inputs.items()],
            [_value(name, [None] * (4 if name == "cells" else 2)) for name in OUTPUTS],
            [numpy_helper.from_array(values, name) for name, values in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def _array(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.detach().double().numpy())


def _value(name: str, shape: Sequence[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def export(network: LiteNetwork) -> bytes:
    """Return the networks, with the outputs that `lite_session.OUTPUTS` names, as an ONNX file."""
    graph, backbone = Graph(), network.backbone
    graph.constant("zero", np.array(0, np.float32))
    graph.constant("six", np.array(6, np.float32))
    graph.constant("rows and columns", np.array([2, 3]))
    x = graph.convolution("stem", INPUT, backbone._conv_stem, backbone._bn0)
    textures: list[str] = []
    for number, block in enumerate(backbone._blocks):
        x = graph.block(f"block {number}", x, block)
        if number in POOLED_BLOCKS:
            textures += graph.textures(f"block {number}.textures", x)
    x = graph.convolution("last", x, backbone._conv_head, backbone._bn1)
    means = graph.node("ReduceMean", "means", x, "rows and columns", keepdims=0)
    weights = graph.weight("objects.weight", _array(backbone._fc.weight))
    bias = graph.constant("objects.bias", _array(backbone._fc.bias).astype(np.float32))
    logits = graph.node("Gemm", "objects.logits", means, weights, bias, transB=1)
    graph.node("Softmax", "objects", logits, axis=1)
    features = graph.node("Concat", "features", means, *textures, axis=1)
    graph.head("scenes", features, network.scenes)
    graph.head("conditions", features, network.conditions)
    graph.node("Identity", "cells", x)
    graph.node("Identity", "object weights", weights)
    return bytes(graph.model().SerializeToString(deterministic=True))


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=BACKBONE)
def main(output: Path) -> None:
    """Write the embedded networks and print the file's SHA-256."""
    network = export(LiteNetwork.load())
    output.write_bytes(network)
    click.echo(f"{hashlib.sha256(network).hexdigest()}  {output}, {len(network):,} bytes")


if __name__ == "__main__":
    main()
