"""Recurrent networks: a class for a sequence, and the next character of a text."""

from __future__ import annotations

from typing import Any

from nnscratch import nn


class LSTMClassifier(nn.Module):
    """Embedded symbols, an LSTM, and a linear layer on its last state.

    Args:
        vocabulary: how many symbols there are.
        num_classes: how many classes there are.
        embedding: the size of a symbol's vector.
        hidden: the size of the state.
        layers: how many LSTM layers stand on one another.
        bidirectional: whether the sequence is read from its end too.
        dropout: the probability of dropping a feature, between layers and before the last.
        padding_idx: the symbol that fills short sequences.

    >>> from nnscratch import zeros
    >>> LSTMClassifier(20, 3, 8, 16)(zeros(2, 7, dtype="int64")).shape
    (2, 3)
    """

    def __init__(
        self,
        vocabulary: int,
        num_classes: int,
        embedding: int = 64,
        hidden: int = 128,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        padding_idx: int | None = None,
    ) -> None:
        """Make the layers."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(
            embedding,
            hidden,
            layers,
            batch_first=True,
            dropout=between,
            bidirectional=bidirectional,
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden * (2 if bidirectional else 1), num_classes)

    def forward(self, x: Any, lengths: Any = None) -> Any:
        """Return the scores (N, classes) of symbols (N, T), each row ``lengths`` long if given."""
        embedded: Any = self.embedding(x)
        if lengths is not None:
            embedded = nn.utils.rnn.pack_padded_sequence(
                embedded, lengths, batch_first=True, enforce_sorted=False
            )
        _, (state, _) = self.lstm(embedded)
        last = state.transpose(0, 1)[:, -2:] if self.lstm.bidirectional else state[-1]
        return self.fc(self.dropout(last.flatten(1)))


class CharLSTM(nn.Module):
    """The scores of the next character at every place of a text.

    Args:
        vocabulary: how many characters there are.
        embedding: the size of a character's vector.
        hidden: the size of the state.
        layers: how many LSTM layers stand on one another.
        dropout: the probability of dropping a feature between layers.

    >>> from nnscratch import zeros
    >>> scores, state = CharLSTM(50, 8, 16)(zeros(2, 7, dtype="int64"))
    >>> scores.shape
    (2, 7, 50)
    """

    def __init__(
        self,
        vocabulary: int,
        embedding: int = 64,
        hidden: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        """Make the layers."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True, dropout=dropout)
        self.fc = nn.Linear(hidden, vocabulary)

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        """Return the scores (N, T, characters) of characters (N, T), and the state behind them."""
        out, state = self.lstm(self.embedding(x), state)
        return self.fc(out), state

    def step(self, tokens: Any, past: Any = None) -> tuple[Any, Any]:
        """Return the scores (N, characters) behind the last character, and the state.

        Args:
            tokens: the new characters (N, T), which follow those that the state has seen.
            past: what the call before returned.
        """
        scores, state = self(tokens, past)
        return scores[:, -1], state
