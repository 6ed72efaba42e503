"""Section 4.3 of the document: 10-10-2 with sigmoids, mean squared error, gradient descent.

The network is that of its section 4.1, 500 iterations over all 1000 samples at once. The document
gives no learning rate, so several are tried, on labels that are random and on labels that can be
learned. Run it: ``python docs/examples/document_section_4_3.py``.
"""

import nnscratch as torch
from nnscratch import nn, optim

SAMPLES, FEATURES, HIDDEN, CLASSES, ITERATIONS = 1000, 10, 10, 2, 500
RATES = (0.1, 1.0, 10.0)


def make_data(learnable, seed=0):
    """Return features and labels for training, and as many fresh ones."""
    torch.manual_seed(seed)
    x, fresh_x = torch.randn(SAMPLES, FEATURES), torch.randn(SAMPLES, FEATURES)
    if learnable:
        rule = torch.randn(FEATURES)
        return x, (x @ rule > 0).long(), fresh_x, (fresh_x @ rule > 0).long()
    return x, torch.randint(0, 2, (SAMPLES,)), fresh_x, torch.randint(0, 2, (SAMPLES,))


def train(x, y, lr, iterations=ITERATIONS):
    """Return a trained network and its last loss."""
    model = nn.Sequential(
        nn.Linear(FEATURES, HIDDEN), nn.Sigmoid(), nn.Linear(HIDDEN, CLASSES), nn.Sigmoid()
    )
    criterion = nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=lr)
    target = torch.one_hot(y, CLASSES).float()
    for _ in range(iterations):
        optimizer.zero_grad()
        loss = criterion(model(x), target)
        loss.backward()
        optimizer.step()
    return model, loss.item()


def accuracy(model, x, y):
    """Return the share of rows whose larger output is that of their class."""
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def main():
    """Print a table: labels, learning rate, loss, accuracy in training and on fresh data."""
    print(f"{'labels':<10} {'lr':>5} {'loss':>8} {'training':>9} {'fresh data':>11}")
    for learnable in (False, True):
        x, y, fresh_x, fresh_y = make_data(learnable)
        for lr in RATES:
            model, loss = train(x, y, lr)
            found = accuracy(model, x, y), accuracy(model, fresh_x, fresh_y)
            name = "learnable" if learnable else "random"
            print(f"{name:<10} {lr:>5} {loss:>8.4f} {found[0]:>9.1%} {found[1]:>11.1%}")


if __name__ == "__main__":
    main()
