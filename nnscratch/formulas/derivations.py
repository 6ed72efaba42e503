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

CONVOLUTION_TRANSPOSE_STEPS = (
    "Every pixel of X is spread over a window of Y: the one at i, times the entry k of the "
    "kernel, is added at $s i + d k - p$. With a bracket that is 1 there and else 0: $$Y_{n,o,j} "
    r"= b_o + \sum_{c,i,k} [s i + d k - p = j] W_{c,o,k} X_{n,c,i}$$",
    r"The slopes are what stands beside each factor: $$\frac{\partial Y_{n,o,j}}{\partial "
    r"X_{n,c,i}} = \sum_k [s i + d k - p = j] W_{c,o,k} \\ \frac{\partial Y_{n,o,j}}{\partial "
    r"W_{c,o,k}} = \sum_i [s i + d k - p = j] X_{n,c,i} \\ \frac{\partial Y_{n,o,j}}{\partial "
    "b_o} = 1$$",
    "An input acts on all channels o and places j, a weight and a bias on all samples n and "
    r"places j, and the chain rule adds up over these: $$\frac{\partial L}{\partial X_{n,c,i}} = "
    r"\sum_{o,k,j} [s i + d k - p = j] W_{c,o,k} \frac{\partial L}{\partial Y_{n,o,j}} \\ "
    r"\frac{\partial L}{\partial W_{c,o,k}} = \sum_{n,i,j} [s i + d k - p = j] X_{n,c,i} "
    r"\frac{\partial L}{\partial Y_{n,o,j}}$$",
    "Of each sum over j the bracket leaves one, $j = s i + d k - p$; what lies outside of Y "
    "counts as 0. What is left for X is a convolution of the gradient of Y with the same weights, "
    "and for W a product of X with the windows of that gradient. With groups, c and o go over the "
    "channels of one group.",
)

CONVOLUTION_WEIGHT_STEPS = (
    "Every output is a sum of products: the entry i of D meets the pixel $s i + d k - p$ of X, "
    "which is 0 outside. With a bracket that is 1 for this pixel and else 0: $$Y_{o,c,k} = "
    r"\sum_{n,i,j} [s i + d k - p = j] X_{n,c,j} D_{n,o,i}$$",
    r"The slopes are what stands beside each factor: $$\frac{\partial Y_{o,c,k}}{\partial "
    r"X_{n,c,j}} = \sum_i [s i + d k - p = j] D_{n,o,i} \\ \frac{\partial Y_{o,c,k}}{\partial "
    "D_{n,o,i}} = X_{n,c,s i + d k - p}$$",
    "A pixel acts on every o and k, an entry of D on every c and k, and the chain rule adds up "
    r"over these. For X the bracket leaves the pairs of i and k that meet at j: $$\frac{\partial "
    r"L}{\partial X_{n,c,j}} = \sum_{o,k,i} [s i + d k - p = j] D_{n,o,i} \frac{\partial "
    r"L}{\partial Y_{o,c,k}}$$",
    "With the gradient of Y as the weights, that is the transposed convolution of D, and what D "
    "gets is the convolution of X. With groups, c and o go over the channels of one group.",
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

PROBABILITIES_STEPS = (
    "Take one sample, and write $v_k = w_k q_k$ for its target with the weights. Its term is "
    r"$$\ell = -\sum_k v_k \log P_k$$",
    r"The slope of the logarithm of a softmax (see log_softmax): $$\frac{\partial \log "
    r"P_k}{\partial Z_c} = [c = k] - P_c$$",
    r"The chain rule adds up over k: $$\frac{\partial \ell}{\partial Z_c} = -\sum_k v_k ([c = k] "
    r"- P_c) = P_c \sum_k v_k - v_c$$",
    "Without weights, and where T adds up to 1, so does v, and this is $P_c - q_c$: what was "
    "said, less what is right. The code does not rely on it.",
    r"T is in the same term by q, along a straight line: $$\frac{\partial \ell}{\partial q_c} = "
    r"-w_c \log P_c \\ \frac{\partial q_c}{\partial T_c} = 1 - \varepsilon$$ Their product is the "
    "gradient of T.",
    "The mean divides by N, the number of samples, and not by their weights; with the reduction "
    "'sum' nothing does.",
)

NLL_STEPS = (
    "Of each sample one entry is in the loss, that of its right class: $$L = "
    r"-\frac{1}{\sum_m w_{T_m}} \sum_n w_{T_n} (\log P)_{n T_n}$$",
    "It is there by itself, so that its slope is the factor before it; all other entries "
    "have slope 0.",
)

SMOOTH_L1_STEPS = (
    "With $D = Y - T$ each term is a parabola near 0 and a straight line outside. Their slopes: "
    r"$$\frac{\partial}{\partial D} \frac{D^2}{2 \beta} = \frac{D}{\beta} \\ "
    r"\frac{\partial}{\partial D} (|D| - \beta/2) = \mathrm{sign}(D)$$",
    r"At $|D| = \beta$ both pieces are $\beta/2$ and both slopes $\pm 1$: they meet without a "
    "kink.",
    r"Nearer than that $D / \beta$ lies between -1 and 1, further out it does not, and the slope "
    r"is the bound on its side: $$\frac{\partial L}{\partial D_i} = \frac{1}{n} \min(\max(D_i / "
    r"\beta, -1), 1)$$",
    "D grows with Y and falls with T, so T gets the same of $-D$.",
    r"With $\beta = 0$ there is no parabola, and the slope is the sign of D; at D = 0 it has "
    r"none, and the code takes 0. With the reduction 'sum' there is no $\frac{1}{n}$.",
)

HUBER_STEPS = (
    "With $D = Y - T$ each term is a parabola near 0 and a straight line outside. Their "
    r"slopes: $$\frac{\partial}{\partial D} \frac{D^2}{2} = D \\ \frac{\partial}{\partial "
    r"D} \delta (|D| - \delta/2) = \delta \, \mathrm{sign}(D)$$",
    r"At $|D| = \delta$ both are $\pm\delta$: the two pieces meet without a kink.",
    r"So the slope is D itself, but never more than $\delta$ and never less than "
    r"$-\delta$: $$\frac{\partial L}{\partial D_i} = \frac{1}{n} \min(\max(D_i, -\delta), "
    r"\delta)$$",
    "D grows with Y and falls with T, so T gets the same of $-D$.",
)

POISSON_NLL_STEPS = (
    r"With the rate $\lambda$, a Poisson distribution has the count T with the probability "
    r"$e^{-\lambda} \lambda^T / T!$. Minus its logarithm, and without log T!, that is $$\ell = "
    r"\lambda - T \log \lambda$$",
    r"X is the logarithm of the rate, $\lambda = e^X$: $$\ell = e^X - T X \\ \frac{\partial "
    r"\ell}{\partial X} = e^X - T \\ \frac{\partial \ell}{\partial T} = -X$$",
    r"With `log_input=False` it is the rate itself, and $\epsilon$ keeps the logarithm from 0: "
    r"$$\ell = X - T \log(X + \epsilon) \\ \frac{\partial \ell}{\partial X} = 1 - \frac{T}{X + "
    r"\epsilon} \\ \frac{\partial \ell}{\partial T} = -\log(X + \epsilon)$$",
    "With `full=True` Stirling's formula for log T! is added where T > 1. X is not in it, and T "
    r"gets its slope besides: $$\frac{\partial}{\partial T} \left(T \log T - T + \tfrac{1}{2} "
    r"\log(2 \pi T)\right) = \log T + \frac{1}{2 T}$$",
    r"Each entry is in one term alone, and the mean gives $\frac{1}{n}$; with the reduction 'sum' "
    "there is none.",
)

GAUSSIAN_NLL_STEPS = (
    "A normal distribution with the mean Y and the variance V has at T the density "
    r"$$\frac{1}{\sqrt{2 \pi V}} e^{-D^2 / (2 V)} \\ D = Y - T$$",
    r"Minus its logarithm is the term, and a constant that only `full=True` adds: $$\ell = "
    r"\tfrac{1}{2} \log V + \frac{D^2}{2 V} + \tfrac{1}{2} \log 2 \pi$$",
    r"D grows with Y and falls with T: $$\frac{\partial \ell}{\partial D} = \frac{D}{V} \\ "
    r"\frac{\partial D}{\partial Y} = 1 \\ \frac{\partial D}{\partial T} = -1$$",
    r"V is in both parts: $$\frac{\partial \ell}{\partial V} = \frac{1}{2 V} - \frac{D^2}{2 V^2}$$",
    r"Where V is below $\epsilon$ the code puts $\epsilon$ in its place. V itself has no effect "
    "there: its slope would be 0, and no step would ever bring it back. So the code gives it the "
    r"slope at $\epsilon$, as PyTorch does.",
    r"Each entry is in one term alone, and the mean gives $\frac{1}{n}$; with the reduction 'sum' "
    "there is none.",
)

KL_DIV_STEPS = (
    r"Each entry is in one term alone, $\frac{1}{n} \ell$ with $$\ell = T \log T - T \log P$$",
    r"The input is $\log P$ itself, so it stands there along a straight line: $$\frac{\partial "
    r"\ell}{\partial (\log P)} = -T$$",
    r"T is in both parts, and in the first one twice: $$\frac{\partial}{\partial T} (T \log T) = "
    r"\log T + T \frac{1}{T} \\ \frac{\partial \ell}{\partial T} = \log T + 1 - \log P$$",
    "Where T is 0 the first part is 0, its limit; but its slope falls below all bounds, and the "
    "code has minus infinity there.",
    "With `log_target=True` T holds logarithms, and $e^T$ stands where T did. The product rule "
    r"gives $$\ell = e^T (T - \log P) \\ \frac{\partial \ell}{\partial (\log P)} = -e^T \\ "
    r"\frac{\partial \ell}{\partial T} = e^T (T - \log P + 1)$$",
    "The mean is over all n entries. With 'batchmean' n is the length of the first axis, and with "
    r"'sum' there is no $\frac{1}{n}$.",
)

MOVED_STEPS = (
    "Every entry of the output is one entry of an input, as it stands, or a constant. By that "
    "entry its derivative is 1, by every other one 0.",
    "So each entry of the gradient of the output goes back to where its entry came from; one that "
    "went to several places gets the sum of what comes back, one that went nowhere gets 0.",
)
"""Of formulas whose outputs are entries of their inputs, as they stand."""
