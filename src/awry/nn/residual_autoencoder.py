"""An autoencoder whose layers add to what they are given."""

from __future__ import annotations

from torch import Tensor, nn

from awry.nn.autoencoder import ReconstructionNetwork
from awry.nn.blocks import ACTIVATIONS


class ResidualBlock(nn.Module):
    """x + Dropout(Linear(Dropout(activation(Linear(BatchNorm(x)))))), all of one width.

    Examples
    --------
    >>> import torch
    >>> block = ResidualBlock(4, activation="relu", batch_norm=True, dropout=0.0)
    >>> _ = [nn.init.zeros_(p) for p in block.branch[-2].parameters()]
    >>> x = torch.randn(3, 4)
    >>> bool((block(x) == x).all())
    True
    """

    def __init__(self, width: int, *, activation: str, batch_norm: bool, dropout: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm1d(width) if batch_norm else nn.Identity(),
            nn.Linear(width, width),
            ACTIVATIONS[activation](),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.branch(x)
        return added


class ResidualAutoEncoderNetwork(ReconstructionNetwork):
    """Encoder and decoder of residual blocks; learns and scores by the squared error.

    Parameters
    ----------
    d, width, latent : int
        Widths of the rows, the blocks and the code.
    n_blocks : int
        Blocks on either side of the code.
    activation, batch_norm, dropout
        See :class:`ResidualBlock`.
    """

    def __init__(
        self,
        d: int,
        width: int,
        latent: int,
        *,
        n_blocks: int,
        activation: str,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()

        def tower(entry: int, end: int) -> nn.Sequential:
            style = {"activation": activation, "batch_norm": batch_norm, "dropout": dropout}
            return nn.Sequential(
                nn.Linear(entry, width),
                *(ResidualBlock(width, **style) for _ in range(n_blocks)),  # type: ignore[arg-type]
                nn.BatchNorm1d(width) if batch_norm else nn.Identity(),
                ACTIVATIONS[activation](),
                nn.Linear(width, end),
            )

        self.encoder, self.decoder = tower(d, latent), tower(latent, d)
