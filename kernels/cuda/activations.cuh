// The one table of activations: the value f(x), and the gradient dy f' from what the forward kept.
//
// KEEPS_OUTPUT: `v` of the gradient is the output y; otherwise it is the input x. p and q are the
// activation's options: negative_slope; alpha; beta and threshold; min_val and max_val.
#ifndef NN_ACTIVATIONS
#define NN_ACTIVATIONS

// Expands DO(code, name) for each activation.
#define ACTIVATIONS(DO)                                                                     \
  DO(0, identity)                                                                           \
  DO(1, relu)                                                                               \
  DO(2, leaky_relu)                                                                         \
  DO(3, elu)                                                                                \
  DO(4, selu)                                                                               \
  DO(5, gelu)                                                                               \
  DO(6, gelu_tanh)                                                                          \
  DO(7, silu)                                                                               \
  DO(8, sigmoid)                                                                            \
  DO(9, tanh)                                                                               \
  DO(10, softplus)                                                                          \
  DO(11, softsign)                                                                          \
  DO(12, hardtanh)

constexpr REAL ONE = REAL(1);
constexpr REAL HALF = REAL(0.5);
constexpr REAL SELU_ALPHA = REAL(1.6732632423543772848);
constexpr REAL SELU_SCALE = REAL(1.0507009873554804934);
constexpr REAL ROOT_HALF = REAL(0.70710678118654752440);       // 1 / sqrt 2
constexpr REAL NORMAL_PEAK = REAL(0.39894228040143267794);     // 1 / sqrt(2 pi)
constexpr REAL GELU_SLOPE = REAL(0.79788456080286535588);      // sqrt(2 / pi)
constexpr REAL GELU_CUBIC = REAL(0.044715);

// 1 / (1 + e^-x) on the branch that cannot overflow.
DEVICE REAL logistic(REAL x) {
  const REAL decay = exp(x >= 0 ? -x : x);
  return (x >= 0 ? ONE : decay) / (ONE + decay);
}

// log(1 + e^-x) on the branch that cannot overflow.
DEVICE REAL soft(REAL x) {
  return log1p(exp(x >= 0 ? -x : x)) + (x >= 0 ? REAL(0) : -x);
}

DEVICE REAL normal_cdf(REAL x) { return HALF * erfc(-x * ROOT_HALF); }

template <int CODE>
struct Activation;

#define ACTIVATION(CODE, FORWARD, BACKWARD)                                                 \
  template <>                                                                               \
  struct Activation<CODE> {                                                                 \
    static DEVICE REAL forward(REAL x, REAL p, REAL q) {                                    \
      (void)p, (void)q;                                                                     \
      FORWARD                                                                               \
    }                                                                                       \
    static DEVICE REAL backward(REAL dy, REAL v, REAL p, REAL q) {                          \
      (void)v, (void)p, (void)q;                                                            \
      BACKWARD                                                                              \
    }                                                                                       \
  };

ACTIVATION(0, return x;, return dy;)
// A comparison with NaN is false, so NaN passes through.
ACTIVATION(1, return x <= 0 ? REAL(0) : x;, return v <= 0 ? REAL(0) : dy;)
ACTIVATION(2, return x > 0 ? x : p * x;, return v > 0 ? dy : p * dy;)
ACTIVATION(3, return x > 0 ? x : p * expm1(x);, return v > 0 ? dy : dy * (p * exp(v));)
ACTIVATION(4, return x > 0 ? SELU_SCALE * x : (SELU_SCALE * SELU_ALPHA) * expm1(x);,
           return dy * (v > 0 ? SELU_SCALE : (SELU_SCALE * SELU_ALPHA) * exp(v));)
ACTIVATION(5, return x * normal_cdf(x);, {
  const REAL density = NORMAL_PEAK * exp(-HALF * (v * v));
  return dy * (normal_cdf(v) + v * density);
})
ACTIVATION(6, return HALF * x * (ONE + tanh(GELU_SLOPE * (x + GELU_CUBIC * (x * x * x))));, {
  // Beyond 100 the tanh is flat; cut there, x squared cannot overflow.
  const REAL x = v > 100 ? REAL(100) : v < -100 ? REAL(-100) : v;
  const REAL t = tanh(GELU_SLOPE * (x + GELU_CUBIC * (x * x * x)));
  const REAL slope = GELU_SLOPE * (ONE + 3 * GELU_CUBIC * (x * x));
  return dy * (HALF * (ONE + t) + HALF * x * (ONE - t * t) * slope);
})
ACTIVATION(7, return x * logistic(x);, {
  const REAL s = logistic(v);
  return dy * (s * (ONE + v * (ONE - s)));
})
ACTIVATION(8, return logistic(x);, return dy * v * (ONE - v);)
ACTIVATION(9, return tanh(x);, return dy * (ONE - v * v);)
ACTIVATION(10, return p * x > q ? x : log1p(exp(p * x)) / p;,
           return p * v > q ? dy : dy * logistic(p * v);)
ACTIVATION(11, return x / (ONE + fabs(x));, {
  const REAL d = ONE + fabs(v);
  return dy / (d * d);
})
ACTIVATION(12, {
  const REAL above = x < p ? p : x;
  return above > q ? q : above;
}, return v <= p || v >= q ? REAL(0) : dy;)

#undef ACTIVATION

#endif
