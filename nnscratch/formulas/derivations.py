"""Derivations that several formulas share, or that are too long for a file: their steps."""

CONVOLUTION_STEPS = (
    "Each output is a sum of products, as in a linear layer, but a weight meets the "
    "input at every place: at the place i, the entry k of the kernel meets the input at "
    "$s i + d k - p$.",
    r"The slopes are what stands beside each factor: $$\frac{\partial Y_{n,o,i}}{\partial "
    r"W_{o,c,k}} = X_{n,c,s i + d k - p} \\ \frac{\partial Y_{n,o,i}}{\partial X_{n,c,j}} "
    r"= \sum_{k, \; s i + d k - p = j} W_{o,c,k}$$",
    "A weight acts on every sample n and place i, and a bias too: the chain rule adds up "
    "over both.",
    "An input at j acts on those outputs whose window covers it, which are the pairs of "
    "i and k with $s i + d k - p = j$: the chain rule adds up over them and over the "
    "channels o.",
)

CROSS_ENTROPY_STEPS = (
    "Take one sample, with the weights $q_c$ of its classes; without smoothing and "
    r"weights q is 1 at the right class and 0 elsewhere. Its term is $$\ell = -\sum_c q_c "
    r"\log P_c$$",
    r"The slope of the logarithm of a softmax (see log_softmax): $$\frac{\partial \log "
    r"P_c}{\partial Z_k} = [c = k] - P_k$$",
    r"The chain rule adds up over c: $$\frac{\partial \ell}{\partial Z_k} = -\sum_c q_c "
    r"([c = k] - P_k) = P_k \sum_c q_c - q_k$$",
    "Without smoothing and weights this is $P_k - [k = T]$: what was said, less what is "
    "right. No slope of a softmax is ever computed by itself.",
    "The loss is the sum of the terms over the sum of the weights of the right classes, "
    "which divides every gradient.",
)

NLL_STEPS = (
    "Of each sample one entry is in the loss, that of its right class: $$L = "
    r"-\frac{1}{\sum_m w_{T_m}} \sum_n w_{T_n} (\log P)_{n T_n}$$",
    "It is there by itself, so that its slope is the factor before it; all other entries "
    "have slope 0.",
)

MOVED_STEPS = (
    "Every entry of the output is one entry of an input, as it stands, or a constant. By that "
    "entry its derivative is 1, by every other one 0.",
    "So each entry of the gradient of the output goes back to where its entry came from; one that "
    "went to several places gets the sum of what comes back, one that went nowhere gets 0.",
)
"""Of formulas whose outputs are entries of their inputs, as they stand."""
