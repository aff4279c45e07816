"""CPU seconds of an epoch of the autoencoders of series, in awry and in a plain PyTorch loop.

    python benchmarks/epoch.py

50,000 windows of 64 points of one channel; the LSTM autoencoder with a width of 64, the
convolutional one as it is by default; batches of 256, one thread. The plain loop trains the same
network on the same windows, standardised and in single precision beforehand, with the same losses,
AdamW and clipping of gradients. Both are measured by turns, each epoch by itself, and the least of
each is given. Writes epoch.json and epoch.md beside this file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

from awry.bench.runs import markdown_table
from awry.core.windows import windows
from awry.nn.conv_autoencoder_series import ConvAutoEncoderNetwork
from awry.nn.network import Network, by_name
from awry.nn.recurrent import RecurrentAutoEncoderNetwork
from awry.nn.trainer import Trainer

HERE = Path(__file__).parent
WINDOWS, LENGTH, BATCH, TURNS = 50_000, 64, 256, 2
#: The networks, and what an epoch costs in plain PyTorch by the issue that asked for this.
NETWORKS: dict[str, tuple[Callable[[], Network], float]] = {
    "LSTM autoencoder, 64": (
        lambda: RecurrentAutoEncoderNetwork(
            1, [64], latent=None, every=None, cell="lstm", dropout=0.0
        ),
        46.0,
    ),
    "convolutional autoencoder, 32 and 16": (
        lambda: ConvAutoEncoderNetwork(1, [32, 16], kernel_size=7, activation="tanh", dropout=0.0),
        8.5,
    ),
}


class Cut:
    """Windows that are cut and standardised when they are taken, as detectors have them."""

    def __init__(self, values: np.ndarray) -> None:
        self.view = windows(values, LENGTH)
        self.center, self.scale = values.mean(axis=0), values.std(axis=0)

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return (self.view[rows] - self.center) / self.scale


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def plain(network: Network, data: torch.Tensor) -> None:
    """An epoch as one would write it by hand."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-5)
    network.train()
    for rows in torch.randperm(len(data)).split(BATCH):
        loss = by_name(network.loss((data[rows],)))["loss"]
        optimiser.zero_grad()
        loss.backward()
        clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()


def ours(network: Network, data: Cut) -> None:
    trainer = Trainer(epochs=1, batch_size=BATCH, validation_fraction=0.0, device="cpu")
    trainer.fit(network, (data,))


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    at = np.arange(WINDOWS + LENGTH - 1)
    cut = Cut((np.sin(at / 8) + rng.normal(0, 0.1, len(at)))[:, None])
    whole = torch.from_numpy(cut[np.arange(WINDOWS)].astype(np.float32))
    rows = []
    for name, (make, said) in NETWORKS.items():
        by_hand, by_trainer = [], []
        for _ in range(TURNS):
            by_hand.append(cpu_seconds(lambda make=make: plain(make(), whole)))
            # Its last look at the data, for the Gaussian of the errors, is no part of the epoch.
            network = make()
            network.on_end = lambda batches: None  # type: ignore[method-assign]
            by_trainer.append(cpu_seconds(lambda network=network: ours(network, cut)))
        rows.append(
            {
                "network": name,
                "plain_cpu_s": round(min(by_hand), 2),
                "awry_cpu_s": round(min(by_trainer), 2),
                "ratio": round(min(by_trainer) / min(by_hand), 3),
                "issue_cpu_s": said,
            }
        )
        (HERE / "epoch.json").write_text(json.dumps(rows, indent=1) + "\n")
    head = ("network", "plain PyTorch, CPU s", "awry, CPU s", "ratio", "aim, CPU s")
    table = markdown_table(head, [[str(v) for v in row.values()] for row in rows])
    (HERE / "epoch.md").write_text(
        "# An epoch of the autoencoders of series\n\n"
        f"{WINDOWS:,} windows of {LENGTH} points of one channel, batches of {BATCH}, one thread, "
        f"the least of {TURNS} epochs (`python benchmarks/epoch.py`).\n\n" + table + "\n"
    )


if __name__ == "__main__":
    main()
