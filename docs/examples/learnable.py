"""The program of the document's section 5.2 on three kinds of labels, from five seeds each.

The network, the loss, the optimizer and the 500 epochs are those of the program; only the labels
differ. ``random`` are its own, which no network can predict. ``linear`` are 1 on one side of a
plane. ``product`` are 1 where the first two features have one sign, which no plane separates, so
that the hidden layer has to work. Run it: ``python docs/examples/learnable.py``.
"""

import nnscratch as torch
from nnscratch import nn, optim

SAMPLES, SEEDS = 1000, range(5)


class SimpleNN(nn.Module):
    """The network of section 5.2."""

    def __init__(self, input_dim, hidden_dim, output_dim):
        """Make its two layers."""
        super().__init__()
        self.fc1 = nn.Linear(input_dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, output_dim)

    def forward(self, x):
        """Return the scores of both classes."""
        return self.fc2(torch.relu(self.fc1(x)))


def make_labels(kind, x, rule):
    """Return labels of one kind for rows of ten features."""
    if kind == "random":
        return torch.randint(0, 2, (len(x),))
    return ((x @ rule if kind == "linear" else x[:, 0] * x[:, 1]) > 0).long()


def train(x, y, epochs=500):
    """Train as section 5.2 does, and return the model."""
    model = SimpleNN(input_dim=10, hidden_dim=10, output_dim=2)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.001)
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    return model


def accuracy(model, x, y):
    """Return the share of rows whose larger score is that of their class."""
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def run(kind, seed, epochs=500):
    """Return the accuracy on the training data and on as many fresh ones."""
    torch.manual_seed(seed)
    x, fresh_x, rule = torch.randn(SAMPLES, 10), torch.randn(SAMPLES, 10), torch.randn(10)
    y, fresh_y = make_labels(kind, x, rule), make_labels(kind, fresh_x, rule)
    model = train(x, y, epochs)
    return accuracy(model, x, y), accuracy(model, fresh_x, fresh_y)


def main():
    """Print a table: labels, the mean and range of the accuracy in training and on fresh data."""
    print(f"{'labels':<9} {'training':<22} {'fresh data':<22}")
    for kind in ("random", "linear", "product"):
        columns = zip(*(run(kind, seed) for seed in SEEDS), strict=True)
        texts = [f"{sum(c) / len(c):.1%} ({min(c):.1%} to {max(c):.1%})" for c in columns]
        print(f"{kind:<9} {texts[0]:<22} {texts[1]:<22}".rstrip())


if __name__ == "__main__":
    main()
