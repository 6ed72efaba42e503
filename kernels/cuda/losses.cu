// Losses of numbers: mean squared error, and binary cross-entropy of logits.
#include "common.cuh"

enum Loss { MSE, BCE };

constexpr REAL ONE = REAL(1);

// 1 / (1 + e^-x) on the branch that cannot overflow.
DEVICE REAL logistic(REAL x) {
  const REAL decay = exp(x >= 0 ? -x : x);
  return (x >= 0 ? ONE : decay) / (ONE + decay);
}

// log(1 + e^-x) on the branch that cannot overflow.
DEVICE REAL soft(REAL x) {
  return log1p(exp(x >= 0 ? -x : x)) + (x >= 0 ? REAL(0) : -x);
}

// (x - t)^2, or (1 - t) x + (1 + (weight - 1) t) log(1 + e^-x) without overflow.
template <Loss WHAT>
DEVICE REAL element_loss(REAL x, REAL t, REAL weight) {
  if (WHAT == MSE) return (x - t) * (x - t);
  return (ONE - t) * x + (ONE + (weight - ONE) * t) * soft(x);
}

// Its derivative by x.
template <Loss WHAT>
DEVICE REAL element_slope(REAL x, REAL t, REAL weight) {
  if (WHAT == MSE) return 2 * (x - t);
  return (ONE - t) - (ONE + (weight - ONE) * t) * logistic(-x);
}

// Its derivative by t.
template <Loss WHAT>
DEVICE REAL target_slope(REAL x, REAL t, REAL weight) {
  if (WHAT == MSE) return 2 * (t - x);
  return (weight - ONE) * soft(x) - x;
}

DEVICE REAL weight_of(const REAL* weights, Index period, Index i) {
  return weights == nullptr ? ONE : weights[period == 1 ? 0 : i % period];
}

template <Loss WHAT>
DEVICE void loss_blocks(const REAL* x, const REAL* t, const REAL* weights, double* partial,
                        Index n, Index period, double* scratch) {
  double sum = 0;
  sweep(
      n, aligned(x) && aligned(t),
      [&](Index j) {
        const Pack xs = load(x, j), ts = load(t, j);
        for (int k = 0; k < WIDTH; ++k)
          sum += static_cast<double>(element_loss<WHAT>(
              xs.v[k], ts.v[k], weight_of(weights, period, j * WIDTH + k)));
      },
      [&](Index i) {
        sum += static_cast<double>(
            element_loss<WHAT>(x[i], t[i], weight_of(weights, period, i)));
      });
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <Loss WHAT>
DEVICE void loss_elements(const REAL* x, const REAL* t, const REAL* weights, REAL* loss, Index n,
                          Index period) {
  for (Index i = first(); i < n; i += stride())
    loss[i] = element_loss<WHAT>(x[i], t[i], weight_of(weights, period, i));
}

template <Loss WHAT>
DEVICE void loss_backward(const REAL* x, const REAL* t, const REAL* weights, const REAL* g,
                          REAL* d, Index n, Index period, Index g_step, REAL factor,
                          bool of_target) {
  const auto slope = [=](REAL value, REAL target, Index i) {
    const REAL weight = weight_of(weights, period, i);
    return of_target ? target_slope<WHAT>(value, target, weight)
                     : element_slope<WHAT>(value, target, weight);
  };
  sweep(
      n, g_step == 0 && aligned(x) && aligned(t) && aligned(d),
      [=](Index j) {
        const Pack xs = load(x, j), ts = load(t, j);
        const REAL scale = factor * g[0];
        Pack down;
        for (int k = 0; k < WIDTH; ++k)
          down.v[k] = scale * slope(xs.v[k], ts.v[k], j * WIDTH + k);
        store(d, j, down);
      },
      [=](Index i) { d[i] = factor * g[i * g_step] * slope(x[i], t[i], i); });
}

// Expands DO(code, name) for each loss.
#define LOSSES(DO) DO(MSE, mse) DO(BCE, bce)

// partial[block] = the sum of the losses of the elements that its threads meet
#define LOSS_BLOCKS(CODE, NAME)                                                             \
  KERNEL loss_blocks_##NAME(const REAL* x, const REAL* t, const REAL* weights,              \
                            double* partial, Index n, Index period) {                       \
    __shared__ double scratch[WARP];                                                        \
    loss_blocks<CODE>(x, t, weights, partial, n, period, scratch);                          \
  }
LOSSES(LOSS_BLOCKS)

// the loss of every element
#define LOSS_ELEMENTS(CODE, NAME)                                                           \
  KERNEL loss_elements_##NAME(const REAL* x, const REAL* t, const REAL* weights,            \
                              REAL* loss, Index n, Index period) {                          \
    loss_elements<CODE>(x, t, weights, loss, n, period);                                    \
  }
LOSSES(LOSS_ELEMENTS)

// d = factor g slope by x, or by the target; g[i g_step] is the upstream gradient
#define LOSS_BACKWARD(CODE, NAME)                                                           \
  KERNEL loss_backward_##NAME(const REAL* x, const REAL* t, const REAL* weights,            \
                              const REAL* g, REAL* d, Index n, Index period, Index g_step,  \
                              double factor, int of_target) {                               \
    loss_backward<CODE>(x, t, weights, g, d, n, period, g_step, REAL(factor), of_target);   \
  }
LOSSES(LOSS_BACKWARD)
