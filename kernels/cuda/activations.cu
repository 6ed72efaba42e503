// Elementwise activations: one pass forward, one pass backward.
#include "common.cuh"
#include "activations.cuh"

template <int CODE>
DEVICE void activation(const REAL* x, REAL* y, Index n, REAL p, REAL q) {
  sweep(
      n, aligned(x) && aligned(y),
      [=](Index j) {
        Pack pack = load(x, j);
        for (int k = 0; k < WIDTH; ++k) pack.v[k] = Activation<CODE>::forward(pack.v[k], p, q);
        store(y, j, pack);
      },
      [=](Index i) { y[i] = Activation<CODE>::forward(x[i], p, q); });
}

template <int CODE>
DEVICE void activation_backward(const REAL* dy, const REAL* v, REAL* dx, Index n, REAL p,
                                REAL q) {
  sweep(
      n, aligned(dy) && aligned(v) && aligned(dx),
      [=](Index j) {
        const Pack up = load(dy, j), kept = load(v, j);
        Pack down;
        for (int k = 0; k < WIDTH; ++k)
          down.v[k] = Activation<CODE>::backward(up.v[k], kept.v[k], p, q);
        store(dx, j, down);
      },
      [=](Index i) { dx[i] = Activation<CODE>::backward(dy[i], v[i], p, q); });
}

// y = f(x)
#define FORWARD(CODE, NAME)                                                                 \
  KERNEL activation_##NAME(const REAL* x, REAL* y, Index n, double p, double q) {           \
    activation<CODE>(x, y, n, REAL(p), REAL(q));                                            \
  }
ACTIVATIONS(FORWARD)

// dx = dy f', with v what the forward kept
#define BACKWARD(CODE, NAME)                                                                \
  KERNEL activation_backward_##NAME(const REAL* dy, const REAL* v, REAL* dx, Index n,       \
                                    double p, double q) {                                   \
    activation_backward<CODE>(dy, v, dx, n, REAL(p), REAL(q));                              \
  }
ACTIVATIONS(BACKWARD)
