"""Networks for other programs: ONNX, with what standardises the rows as part of the model."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from awry.core.files import write_whole
from awry.core.inputs import FloatArray
from awry.core.optional import optional
from awry.nn.network import Network

_EXTRA = {"extra": "onnx", "needed_by": "the export to ONNX"}


class Scorer(nn.Module):
    """The whole path from rows (n, d) in double precision to scores (n,).

    Double, because what a column has before its mean is taken off may need all of it; the network
    itself goes on in single precision.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, network: Network, center: FloatArray, scale: FloatArray) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("center", torch.tensor(center, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        return self.network.score(((rows - self.center) / self.scale).float())


def to_onnx(
    network: Network,
    center: FloatArray,
    scale: FloatArray,
    path: str | os.PathLike[str],
    *,
    int8: bool = False,
) -> None:
    """Write ``network`` as an ONNX model: input ``rows`` (n, d) float64, output ``scores`` (n,).

    Parameters
    ----------
    network : Network
        Trained, evaluating, in single precision.
    center, scale : ndarray of shape (d,) or broadcast to a row
        What standardises the rows.
    path : path-like
    int8 : bool, default=False
        Keep the weights of matrix products in 8 bits, and round what meets them as it comes
        (dynamic quantisation): a quarter of the size, at some cost in accuracy.
    """
    optional("onnxscript", **_EXTRA)
    scorer = Scorer(network, center, scale).eval()
    # Two rows: an example of one would be taken for a model of one.
    example = torch.from_numpy(np.stack([np.asarray(center), np.asarray(center + scale)]))
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        with _quietly():
            torch.onnx.export(
                scorer,
                (example,),
                plain,
                input_names=["rows"],
                output_names=["scores"],
                dynamic_shapes={"rows": {0: torch.export.Dim("n")}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            written = _quantised(plain) if int8 else plain
        write_whole(path, written.read_bytes())


def _quantised(plain: Path) -> Path:
    quantization = optional("onnxruntime.quantization", **_EXTRA)
    prepared, small = plain.with_name("prepared.onnx"), plain.with_name("int8.onnx")
    quantization.quant_pre_process(plain, prepared)
    quantization.quantize_dynamic(
        prepared, small, weight_type=quantization.QuantType.QInt8, per_channel=True
    )
    return small


def run_onnx(path: str | os.PathLike[str], rows: FloatArray) -> FloatArray:
    """Scores (n,) of ``rows`` (n, d) by the ONNX model at ``path``."""
    runtime = optional("onnxruntime", **_EXTRA)
    session = runtime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    (scores,) = session.run(["scores"], {"rows": np.asarray(rows, dtype=np.float64)})
    return np.asarray(scores, dtype=np.float64)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep to itself what the exporters tell those who develop them."""
    root = logging.getLogger()
    chatty: list[Any] = [root, *(logging.getLogger(n) for n in ("torch.onnx", "onnxscript"))]
    levels = [logger.level for logger in chatty]
    for logger in chatty:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(chatty, levels, strict=True):
            logger.setLevel(level)
